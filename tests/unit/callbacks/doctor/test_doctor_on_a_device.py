"""A Doctor beside several Insides, on a device: it judges what it would judge where nothing comes late."""

import pytest
import torch
from tests.unit.callbacks.inside import far_away

import onlooker as ol
from onlooker.callbacks.doctor.rule import Rule

EVERY = {
    "always": lambda: ol.every(steps=1),
    "second": lambda: ol.every(steps=2),
    "third": lambda: ol.every(steps=3),
    "fifth batch": lambda: ol.every(batches=5),
}


BOTH = ("weights", "gradients")


class Note(Rule):
    """Notes when it was asked, of which step, and what it was shown."""

    name, reads = "note", BOTH

    def __init__(self):
        self.noted = []

    def examine(self, examination):
        run, sums = examination.run, []
        for of_what in (examination.weights, examination.gradients):
            sums += [summary.total for summary in of_what.values()]
        self.noted.append((run.epoch, run.batch, run.step, examination.step, sums))


def noted(order, every, accumulate, **what):
    """Train with a Doctor, `"D"` in the order, and Insides, each with its trigger; return what its rule noted."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    optimizer, rule = torch.optim.SGD(model.parameters(), lr=0.1), Note()
    doctor = ol.callbacks.Doctor([rule], every=EVERY[every](), quiet=True)
    callbacks = [doctor if one == "D" else ol.callbacks.Inside(what.get(one, BOTH), EVERY[one]()) for one in order]
    with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
        for _ in loop.epochs(3):
            for number, x in enumerate(loop.train([torch.full((3, 4), 0.1 * k) for k in range(8)])):
                model(x).square().mean().backward()
                if (number + 1) % accumulate == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    return rule.noted


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("every", ["second", "fifth batch"])
@pytest.mark.parametrize(
    "order",
    [
        ("always", "D"),
        ("D", "always"),
        ("third", "second", "D"),
        ("D", "third", "second"),
        ("third", "D", "second"),
        ("second", "D", "third"),
    ],
)
def test_what_is_judged_is_what_was_due(monkeypatch, order, every, accumulate):
    far_away.move_there(monkeypatch)
    late = noted(order, every, accumulate)
    assert late
    assert all(one[2] >= one[3] > 0 for one in late)
    monkeypatch.delattr(far_away, "send")
    assert late == noted(order, every, accumulate)


def test_of_looks_at_different_steps_the_step_is_that_of_the_newest(monkeypatch):
    """Gradients at every third step, in front of it, and weights at every second, behind it."""
    order, what = ("third", "D", "second"), {"third": ("gradients",), "second": ("weights",)}
    found = noted(order, "second", 1, **what)
    assert [(one[2], one[3]) for one in found[:3]] == [(3, 3), (5, 4), (6, 6)]
    far_away.move_there(monkeypatch)
    assert noted(order, "second", 1, **what) == found
