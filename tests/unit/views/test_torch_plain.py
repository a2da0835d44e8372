"""What callbacks remember, through a file and back."""

import numpy
import pytest
import torch

import onlooker as ol
from onlooker.core.errors import DataError
from onlooker.views.torch_plain import pack, unpack


class Remembers(ol.Callback):
    def __init__(self, state, path=None):
        self.state, self.path, self.loaded = state, path, None

    def on_epoch_end(self, epoch, logs):
        if self.path is not None:
            self.run.save(self.path)

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.loaded = state


def train(callback, resume=None):
    model = torch.nn.Linear(1, 1)
    with ol.Loop(model, torch.optim.SGD(model.parameters(), 0.1), callbacks=[callback], resume=resume) as loop:
        for _ in loop.epochs(1 if resume is None else 2):
            for _ in loop.train([1]):
                pass


def test_arrays_in_a_callbacks_state_come_back_from_a_resumed_run(tmp_path):
    path = tmp_path / "run.pt"
    state = {"best": numpy.arange(6.0).reshape(2, 3), "count": numpy.int64(3), "pair": (1, [None, "a"]), 4: {"x": b"y"}}
    train(Remembers(state, path))
    callback = Remembers(None)
    train(callback, resume=path)
    loaded = callback.loaded
    assert isinstance(loaded["best"], numpy.ndarray)
    numpy.testing.assert_array_equal(loaded.pop("best"), numpy.arange(6.0).reshape(2, 3))
    assert loaded == {"count": 3, "pair": (1, [None, "a"]), 4: {"x": b"y"}}


def test_what_no_checkpoint_can_hold_is_refused_when_it_is_saved(tmp_path):
    with pytest.raises(DataError, match=r"\['callbacks'\]\['Remembers'\]\['function'\] is of type function"):
        train(Remembers({"function": lambda: None}, tmp_path / "run.pt"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [numpy.array(["a"]), numpy.array([object()], dtype=object), object(), range(3)])
def test_other_things_are_refused_with_their_place(value):
    with pytest.raises(DataError, match=r"^state\['inner'\]\[1\] is of type"):
        pack({"inner": [1, value]}, "state")


def test_tensors_stay_the_tensors_that_they_are():
    tensor = torch.ones(2)
    assert unpack(pack([tensor], "state"))[0] is tensor


def test_a_compiled_module_is_saved_under_the_names_that_its_user_knows(tmp_path):
    plain = torch.nn.Linear(2, 2)
    compiled = torch.compile(torch.nn.Linear(2, 2))
    with ol.Loop(compiled) as loop:
        loop.run.save(tmp_path / "run.pt")
    with ol.Loop(plain) as loop:
        loop.run.load(tmp_path / "run.pt")
    assert torch.equal(plain.weight, compiled.weight)
