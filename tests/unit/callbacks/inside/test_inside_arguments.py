"""What `Inside` refuses, what it leaves out with a word, and when it looks."""

import copy
import pickle
import warnings

import pytest
import torch
from tests.unit.callbacks.inside.trainings import WHAT, Sink, inputs, loss_of, mlp, train

import onlooker as ol
from onlooker.core.errors import TriggerError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"what": ("weigths",)}, "did you mean 'weights'"),
        ({"what": "biases"}, "nothing to look at"),
        ({"what": ()}, "is nothing; name some of weights, gradients"),
        ({"what": None}, "what=None is no list of words; name some of weights, gradients"),
        ({"what": 5}, "what=5 is no list of words"),
        ({"what": {"weights": True}}, "is no list of words"),
        ({"what": ["weights", ["gradients"]]}, r"names \['gradients'\], which is nothing to look at; expected some of"),
        ({"layers": 3}, "layers=3; expected a pattern on names"),
        ({"layers": b"head"}, "expected a pattern"),
        ({"layers": ""}, "expected a pattern"),
        ({"layers": []}, "expected a pattern"),
        ({"layers": [3]}, "expected a pattern"),
        ({"keep": 3}, "even number"),
        ({"keep": 0}, "even number"),
        ({"keep": True}, "even number"),
    ],
)
def test_bad_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        ol.callbacks.Inside(**given)


def test_a_trigger_that_is_none():
    with pytest.raises(TriggerError, match=r"every=onlooker.every\(steps=100\)"):
        ol.callbacks.Inside(every=100)


def test_one_word_is_enough():
    assert ol.callbacks.Inside("gradients").what == ("gradients",)
    assert ol.callbacks.Inside("gradients").needs == ("gradients",)
    assert ol.callbacks.Inside(("updates", "weights")).needs == ("weights",)


@pytest.mark.parametrize(
    ("layers", "weights", "activations"),
    [
        ("0", ["0.weight", "0.bias"], ["0"]),
        ("3.*", ["3.weight", "3.bias"], None),
        (["*.bias", "1"], ["0.bias", "3.bias"], ["1"]),
    ],
)
def test_layers(layers, weights, activations):
    inside = ol.callbacks.Inside(WHAT, layers=layers)
    train("mlp", [inside])
    for what in ("weights", "gradients", "updates"):
        assert list(inside.latest[what]) == weights
    assert list(inside.latest.get("activations", {})) == (activations or [])


def test_a_pattern_that_matches_nothing():
    inside = ol.callbacks.Inside(layers="encoder.*")
    with pytest.warns(ol.OnlookerWarning, match="matches no name; there are: '0', '1', '2', '3', '0.weight'") as caught:
        train("mlp", [inside])
    assert len([one for one in caught if issubclass(one.category, ol.OnlookerWarning)]) == 1
    assert inside.latest == {}


@pytest.mark.parametrize("layers", ["0.*", "*.bias", ["3.weight", "3.bias"]])
def test_a_pattern_that_matches_weights_and_no_module(layers):
    """There is nothing to warn of: that no module puts anything out is what was asked for."""
    inside = ol.callbacks.Inside(WHAT, layers=layers)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ol.OnlookerWarning)
        train("mlp", [inside])
    assert set(inside.latest) == {"weights", "gradients", "updates"}


def test_one_of_several_patterns_that_matches_nothing():
    inside = ol.callbacks.Inside(layers=["0", "nope.*"])
    with pytest.warns(ol.OnlookerWarning, match=r"'nope\.\*' matches no name; there are: ") as caught:
        train("mlp", [inside])
    assert len([one for one in caught if issubclass(one.category, ol.OnlookerWarning)]) == 1
    assert list(inside.latest["weights"]) == ["0.weight", "0.bias"]


def test_names_within():
    inside = ol.callbacks.Inside(layers="blocks.1")
    train("gpt", [inside])
    assert len(inside.latest["weights"]) == 10
    assert all(name.startswith("blocks.1.") for of_what in inside.latest.values() for name in of_what)


def test_by_time(monkeypatch):
    now = [0.0]

    class Clock(ol.Callback):
        def on_train_begin(self, logs):
            self.run.clock = lambda: now[0]
            self.run.begun_at_s = 0.0

        def on_train_batch_begin(self, batch, logs):
            now[0] += 4.0

    inside = ol.callbacks.Inside(every=ol.every(seconds=10))
    train("mlp", [Clock(), inside])
    assert inside.history("0.weight", "gradients").steps.tolist() == [3, 6, 9, 12]


def test_a_look_waits_for_the_next_step():
    inside = ol.callbacks.Inside(every=ol.at(batches=0))
    train("mlp", [inside], accumulate=3)
    assert inside.history("0.weight", "updates").steps.tolist() == [1, 3]
    every_other = ol.callbacks.Inside(every=ol.every(steps=2))
    train("mlp", [every_other], accumulate=3)
    assert every_other.history("0.weight", "updates").steps.tolist() == [2, 4]


class Strange(torch.nn.Module):
    """Parameters of all kinds; the loss depends on each that it can."""

    def __init__(self):
        super().__init__()
        self.plain = torch.nn.Parameter(torch.ones(3))
        self.scalar = torch.nn.Parameter(torch.tensor(2.0))
        self.empty = torch.nn.Parameter(torch.zeros(0, 3))
        self.narrow = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
        self.double_ = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.imaginary = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
        self.frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
        self.eight = torch.nn.Parameter(torch.ones(3).to(torch.float8_e4m3fn), requires_grad=False)
        self.nowhere = torch.nn.Parameter(torch.ones(3, device="meta"), requires_grad=False)
        self.unused = torch.nn.Parameter(torch.ones(3))
        self.embed = torch.nn.Embedding(5, 2, sparse=True)
        self.turned = torch.nn.Parameter(torch.ones(4, 2, 3, 3).to(memory_format=torch.channels_last))

    def forward(self, x):
        total = (
            self.plain.sum() * self.scalar + self.empty.sum() + self.narrow.sum().float() + self.double_.sum().float()
        )
        return total + self.imaginary.abs().sum() + self.embed(x).sum() + self.turned.square().sum()


def test_all_kinds_of_weights():
    model, inside, sink = Strange(), ol.callbacks.Inside(WHAT), Sink()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ol.OnlookerWarning)
        with ol.Loop(model, optimizer, callbacks=[inside, sink]) as loop:
            for _ in loop.epochs(2):
                for x in loop.train([torch.tensor([1, 1, 2])] * 3):
                    optimizer.zero_grad()
                    model(x).backward()
                    optimizer.step()
    ours = [str(one.message) for one in caught if issubclass(one.category, ol.OnlookerWarning)]
    assert [one for one in ours if "'nowhere'" in one and "no memory" in one] == ours[:1]
    assert len(ours) == 1, "once for each name and reason"
    names = [name for name, _ in model.named_parameters() if name != "nowhere"]
    assert sorted(inside.latest["weights"]) == sorted(names)
    assert {name: s.dtype for name, s in inside.latest["updates"].items() if s.dtype != "float32"} == {
        "narrow": "bfloat16",
        "double_": "float64",
        "imaginary": "complex64",
        "eight": "float8_e4m3fn",
    }
    updates = inside.latest["updates"]
    assert updates["narrow"].norm == pytest.approx(0.25 * 3**0.5)
    assert updates["scalar"].shape == ()
    assert updates["empty"].count == 0
    assert (updates["frozen"].norm, updates["unused"].norm, updates["eight"].norm) == (0, 0, 0)
    assert "frozen" not in inside.latest["gradients"]
    assert inside.latest["gradients"]["embed.weight"].zeros == 6
    assert updates["turned"].norm == pytest.approx(inside.latest["gradients"]["turned"].norm * 0.25)


def test_a_model_that_changes_while_it_trains():
    model, inside = mlp(), ol.callbacks.Inside(WHAT)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for number, x in enumerate(loop.train(inputs("mlp"))):
                if number == 3:
                    model[3] = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Linear(6, 1))
                    optimizer.param_groups.clear()
                    optimizer.add_param_group({"params": list(model.parameters())})
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                optimizer.step()
    assert inside.history("3.weight", "updates").steps.tolist() == [1, 2, 3]
    assert inside.history("3.0.weight", "updates").steps.tolist() == [5, 6], "the first step has nobody to compare with"
    assert inside.history("3.0.weight", "gradients").steps.tolist() == [5, 6]
    assert inside.history("0.weight", "updates").steps.tolist() == [1, 2, 3, 4, 5, 6]
    inside.plot()
    inside.table()


def test_what_goes_wrong_while_looking_does_not_end_the_training(monkeypatch):
    from onlooker import inside as looks

    def fail(self, tensors):
        raise ZeroDivisionError("looking")

    monkeypatch.setattr(looks.Look, "add_all", fail)
    with pytest.warns(ol.OnlookerWarning, match="ZeroDivisionError"):
        _, seen = train("mlp", [ol.callbacks.Inside()])
    assert len(seen.losses) == 12


def test_copies_and_pickles():
    inside = ol.callbacks.Inside()
    train("mlp", [inside])
    for other in (copy.deepcopy(inside), pickle.loads(pickle.dumps(inside))):
        assert other.history("0.weight", "updates").norm.tolist() == inside.history("0.weight", "updates").norm.tolist()
        train("mlp", [other])
        assert len(other.history("0.weight", "updates")) == 12


@pytest.mark.parametrize("watcher", [ol.callbacks.Inside, ol.callbacks.Doctor], ids=lambda kind: kind.__name__)
def test_an_optimizer_that_the_loop_does_not_know(watcher):
    """Whoever makes a new one in mid-training is told, and not left with nothing to see."""
    model = torch.nn.Linear(2, 1)
    known, other = (torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2))

    def train():
        with ol.Loop(model, known, callbacks=[watcher(every=ol.every(steps=1))]) as loop:
            for x in loop.train([torch.ones(3, 2)] * 300):
                other.zero_grad()
                model(x).square().mean().backward()
                other.step()

    with pytest.warns(ol.OnlookerWarning, match="no optimizer has stepped in 128 batches") as warned:
        train()
    assert len([one for one in warned if "has stepped" in str(one.message)]) == 1
