"""A healthy training ends bit by bit the same with `FindNaN`: weights, losses, and what random generators give next."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, adam, batches, loop, mean_square
from tests.unit.callbacks.inside.trainings import end_of, same, train
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN

WAYS = {
    "plain": {},
    "accumulated": {"accumulate": 3},
    "bfloat16": {"autocast": True},
    "accumulated in bfloat16": {"accumulate": 3, "autocast": True},
    "clipped": {"clip": lambda parameters: nn.utils.clip_grad_norm_(parameters, 0.1)},
    "momentum": {"make": lambda own, lr: torch.optim.SGD(own, lr=lr, momentum=0.9, foreach=True)},
}


def ends(kind, find_nans, **way):
    """Return what a training leaves behind, without and with each of them."""
    found = []
    for callbacks in ([], *([one] for one in find_nans)):
        model, seen = train(kind, callbacks, **way)
        found.append([*seen.losses, *end_of(model)])
    assert all(one.finding is None for one in find_nans)
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["mlp", "cnn", "gpt"])
def test_a_training_ends_the_same(kind, way):
    """The last one begins anew for each batch, whose copy is larger than its limit."""
    without, *others = ends(kind, [FindNaN(), FindNaN(steps_back=2), FindNaN(limit_bytes=1)], **WAYS[way])
    assert len(without) > 12
    assert all(same(without, one) for one in others)


COMPILED = [(backend, way) for backend in ("eager", "aot_eager") for way in ("plain", "accumulated in bfloat16")]


@pytest.mark.parametrize(("backend", "way"), [*COMPILED, pytest.param("inductor", "plain", marks=pytest.mark.slow)])
def test_compiled(backend, way):
    def wrap(model):
        torch._dynamo.reset()
        return torch.compile(model, backend=backend)

    try:
        without, *others = ends("mlp", [FindNaN(steps_back=2)], wrap=wrap, **WAYS[way])
    except Exception as error:
        if backend == "inductor" and "InvalidCxxCompiler" in str(error):  # and nothing else is passed over
            pytest.skip(f"no compiler: {error!r:.100}")
        raise
    assert all(same(without, one) for one in others)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")
def test_a_compiled_model_is_searched(backend):
    """Operation by operation; afterwards it goes on, compiled as it was."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = torch.compile(nn.Sequential(nn.Linear(4, 8), Roots(), nn.Dropout(0.3), nn.Linear(8, 1)), backend=backend)
    optimizer = adam(model)
    find_nan, data = FindNaN(then="restore", steps_back=3), batches()
    data[SICK] = (torch.full((16, 4), -1e3), data[SICK][1])
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(data):
            loss = mean_square(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.log(loss=loss)
    assert course.run.outcome == "completed"
    (finding,) = find_nan.findings
    assert (finding.phase, finding.module, finding.operation, finding.batch) == ("forward", "1", "sqrt", SICK)
    assert finding.is_exact
    assert all(bool(torch.isfinite(one).all()) for one in model.state_dict().values())


class Roots(nn.Module):
    """Roots of what is around 100 while all is well."""

    def forward(self, x):
        return torch.sqrt(x + 100)


class Draws(ol.Callback):
    """What the comparison is there to see."""

    def on_train_batch_end(self, batch, logs=None):
        torch.rand(1)


def test_what_would_have_shown():
    found = []
    for callbacks in ([], [Draws()]):
        model, seen = train("mlp", callbacks)
        found.append([*seen.losses, *end_of(model)])
    assert not same(*found)


@pytest.mark.parametrize("spoil", [lambda x: x * math.nan, lambda x: torch.sqrt(x * 0)], ids=["at once", "late"])
def test_a_batch_that_was_sick_leaves_nothing_but_itself(spoil):
    """What random generators give goes on from where it stood, though batches were run twice in between."""
    find_nan = FindNaN(then="restore", steps_back=4)
    nexts = []
    for callbacks, sick in (([], None), ([find_nan], spoil)):
        loop(callbacks, spoil=sick)
        nexts.append(torch.rand(3))
    assert torch.equal(*nexts)
    assert [one.batch for one in find_nan.findings] == [SICK]
