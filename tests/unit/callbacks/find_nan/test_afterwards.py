"""What becomes of a training in which something was found, and of what was found."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import (
    SICK,
    Middle,
    Net,
    batches,
    is_finite,
    loop,
    mean_square,
    state_of,
)

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


def log_of_zero(x):
    return torch.log(torch.relu(x - 1e9))


def test_stop_leaves_the_model_as_it_was_before():
    find_nan, record = FindNaN(), []
    sink = ol.Callback()
    sink.keep = record.append
    model, *_ = loop([find_nan, sink], spoil=log_of_zero)
    assert is_finite(model)
    run = find_nan.run
    assert run.outcome == "stopped"
    assert run.reason == (
        "FindNaN: numbers stopped being finite in the forward pass of module 'middle', in the operation log, "
        "at batch 5 of epoch 0"
    )
    assert (run.step, run.epoch) == (SICK + 1, 0)
    (alert,) = record
    assert (alert.rule, alert.where, alert.step, alert.epoch) == ("not_finite", "middle", SICK, 0)
    Middle.is_on = True
    x, y = find_nan.finding.data
    assert not math.isfinite(mean_square(model(x), y))
    Middle.is_on = False
    assert math.isfinite(mean_square(model(x), y))


def test_restore_goes_on_as_if_the_batch_had_not_been():
    find_nan = FindNaN(then="restore")
    model, optimizer, _ = loop([find_nan], spoil=log_of_zero)
    assert find_nan.run.outcome == "completed"
    assert len(find_nan.findings) == 1
    assert is_finite(model)
    assert find_nan.run.step == 18
    ends = state_of(model, optimizer)
    assert all(map(torch.equal, ends, state_of(*loop([Skips()])[:2])))


class Skips(ol.Callback):
    """Takes back what the batch has done."""

    def on_train_batch_begin(self, batch, logs=None):
        if (self.run.epoch, batch) == (0, SICK):
            self.snapshot = self.run.view.snapshot()
            self.snapshot.take()

    def on_train_batch_end(self, batch, logs=None):
        if (self.run.epoch, batch) == (0, SICK):
            self.snapshot.restore()


def test_restore_stops_after_a_while():
    find_nan = FindNaN(then="restore", at_most=2)

    def loss(outputs, targets):
        return mean_square(outputs, targets) * math.nan

    model, *_ = loop([find_nan], loss=loss)
    assert [one.batch for one in find_nan.findings] == [0, 1, 2]
    assert find_nan.run.outcome == "stopped"
    assert is_finite(model)


def test_saved_and_read_again(tmp_path):
    find_nan = FindNaN()
    loop([find_nan], spoil=log_of_zero)
    find_nan.save(tmp_path / "sick.pt")
    content = torch.load(tmp_path / "sick.pt", weights_only=True)
    assert torch.equal(content["data"][0], batches()[SICK][0])
    assert content["finding"] == str(find_nan.finding)
    model = Net()
    model.load_state_dict(content["training"]["modules"][""])
    assert is_finite(model)


def test_nothing_to_save(tmp_path):
    with pytest.raises(ValueError, match="nothing was found"):
        FindNaN().save(tmp_path / "sick.pt")
