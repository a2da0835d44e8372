"""Trainings in which all is finite do not show that `FindNaN` was there; what it keeps is bounded."""

import gc
import itertools
import math
import pickle
import random

import numpy as np
import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import Net, batches, loop, mean_square, seed, state_of
from tests.unit.hosts.fake_device import elsewhere, traffic
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


OPTIMIZERS = {
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True),
    "adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True),
    "adamw": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01, foreach=True),
    "rmsprop": lambda model: torch.optim.RMSprop(model.parameters(), lr=0.01, momentum=0.5, centered=True),
}


@pytest.mark.parametrize("steps_back", [1, 4, 50])
@pytest.mark.parametrize("named", [{}, {"accumulate": 4}, {"autocast": torch.bfloat16}], ids=str)
def test_bit_by_bit_the_same(named, steps_back):
    ends = []
    for callbacks in ([], [FindNaN(steps_back=steps_back)]):
        model, optimizer, losses = loop(callbacks, **named)
        ends.append([torch.tensor(losses), *state_of(model, optimizer)])
    assert same(*ends)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_run_once_more_every_batch_comes_out_the_same(name):
    """Momentum, dropout, batch norm, random numbers of the loader: nothing is missing in the snapshot."""

    class Loader:
        def __iter__(self):
            for x, y in batches():
                yield x + 0.01 * torch.rand(1) + 0.01 * random.random() + 0.01 * float(np.random.random()), y

    find_nan = FindNaN(steps_back=7)
    loop([find_nan], make_optimizer=OPTIMIZERS[name], data=Loader(), spoil=lambda x: x.log())
    finding = find_nan.finding
    assert (finding.phase, finding.batch, finding.is_exact) == ("forward", 5, True)


def test_no_hooks_are_there_but_while_a_step_is_watched():
    def hooks(model, optimizer):
        places = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
        modules = [len(getattr(module, place)) for module in model.modules() for place in places]
        own = [len(optimizer._optimizer_step_pre_hooks), len(optimizer._optimizer_step_post_hooks)]
        return modules, own

    class Counts(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(hooks(self.model, next(iter(self.run.view.optimizers.values()))))

    found = []
    model, optimizer, _ = loop([FindNaN(), Counts()], spoil=lambda x: x.log())
    assert all(not any(modules) and own == [0, 1] for modules, own in found)  # the one is that of Loop, to count steps
    assert hooks(model, optimizer) == ([0] * len(found[0][0]), [0, 0])
    assert not torch.is_anomaly_enabled()


def test_memory_is_stated_and_bounded():
    class Sees(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            sizes.append(find_nan.size_bytes)
            counts.append(len(find_nan._past.batches))

    sizes, counts, one_batch = [], [], 16 * 5 * 4
    find_nan = FindNaN(steps_back=4)
    model, optimizer, _ = loop([find_nan, Sees()])
    kept = sum(one.numel() * one.element_size() for one in model.state_dict().values())
    slots = [value for slot in optimizer.state.values() for value in slot.values()]
    state = kept + sum(one.numel() * one.element_size() for one in slots)
    assert max(counts) == 4
    assert max(sizes) == state + 4 * one_batch
    assert find_nan.size_bytes == 0  # let go of at the end
    sizes.clear(), counts.clear()
    find_nan = FindNaN(limit_bytes=2 * one_batch)
    loop([find_nan, Sees()])
    assert max(counts) == 2


def test_the_memory_is_used_again():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    model(batches()[0][0]).sum().backward()
    optimizer.step()
    snapshot = ol.Run(model, view=ol.Loop(model, optimizer).run.view).view.snapshot()
    snapshot.take()
    places = [one.data_ptr() for one in snapshot._kept]
    snapshot.take()
    assert [one.data_ptr() for one in snapshot._kept] == places


def test_a_gradient_scaler_that_skips_steps_is_no_finding():
    """Infinities in scaled gradients are its daily business."""
    seed()
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=3)
    find_nan = FindNaN(steps_back=2)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(batches(30)):
            loss = mean_square(model(x), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            course.log(loss=loss)
        assert 0 < course.run.step < 25
    assert find_nan.finding is None


def test_a_gradient_scaler_that_skips_all_steps_is_one():
    """The loss stays finite, and nothing is learned: the derivative of a root at 0."""
    seed()
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu")
    find_nan = FindNaN(steps_back=10)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(batches(60)):
            outputs = model(x)
            loss = mean_square(outputs, y)
            if course.run.batch >= 7:
                loss = loss + (outputs * 0).square().sum().sqrt()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            course.log(loss=loss)
    finding = find_nan.finding
    assert (finding.phase, finding.batch) == ("backward", 7)
    assert finding.operation.endswith("in the derivative of sqrt")
    assert "no optimizer steps" in finding.noticed


def test_pickled_and_used_again():
    find_nan = FindNaN(steps_back=7)
    loop([find_nan], spoil=lambda x: x.log())
    again = pickle.loads(pickle.dumps(find_nan))
    assert str(again.finding) == str(find_nan.finding)
    loop([again])
    assert again.finding is None
    loop([find_nan])
    assert find_nan.finding is None


def test_nothing_is_held_on_to():
    find_nan = FindNaN()
    loop([find_nan], spoil=lambda x: x.log(), epochs=1)
    gc.collect()
    assert find_nan._past is None


# On a device: nothing is waited for between two looks.


class Elsewhere(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(elsewhere(torch.ones(3)))
        self.register_buffer("mean", elsewhere(torch.zeros(3)))

    def forward(self, x):
        self.mean = self.mean * 0.9 + x * 0.1
        return self.weight * x


def train_elsewhere(find_nan, sick=None, count=20):
    model = Elsewhere()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    transfers = []
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for number in course.train(range(count)):
            before = len(traffic.transfers)
            outputs = model(elsewhere(torch.ones(3) * (number % 3)))
            if course.run.batch == sick:
                outputs = outputs * 0
            loss = (outputs.sqrt() if course.run.batch == sick else outputs - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.log(loss=loss)
            transfers.append(before)
    return transfers


def test_no_transfer_between_two_looks():
    traffic.clear()
    at = train_elsewhere(FindNaN(steps_back=5))
    moved = [later > earlier for earlier, later in itertools.pairwise(at)]
    assert [number for number, has_moved in enumerate(moved) if has_moved] == [4, 9, 14]


def test_a_late_notice_finds_the_first_step():
    find_nan = FindNaN(steps_back=10)
    train_elsewhere(find_nan, sick=3)
    finding = find_nan.finding
    assert (finding.batch, finding.phase) == (3, "backward")
    assert finding.operation.endswith("in the derivative of sqrt")
    assert finding.noticed_step == 10
    assert finding.is_exact


def test_what_does_not_happen_again_is_said():
    """The body has something of its own that is in no snapshot."""
    bad = [math.nan]

    def loss(outputs, targets):
        return mean_square(outputs, targets) * (bad.pop() if bad else 1.0)

    find_nan = FindNaN()
    loop([find_nan], loss=loss)
    finding = find_nan.finding
    assert (finding.phase, finding.origin, finding.is_exact) == ("unknown", None, False)
    assert "the last 1 batches were run once more from before them, and all stayed finite" in str(finding)
    assert "batch 0 came out different" in str(finding)


def test_a_body_that_counts_itself_is_told_of():
    seed()
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    find_nan = FindNaN()
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for number, (x, y) in enumerate(course.train(batches())):
            loss = mean_square(model(x), y)
            if course.run.batch == 5:
                loss = loss * math.nan
            loss.backward()
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
            course.log(loss=loss)
    assert any("stepped in other batches" in note for note in find_nan.finding.notes)
