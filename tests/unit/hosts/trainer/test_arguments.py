"""What `Trainer` says to what cannot work, before it trains."""

import numpy as np
import pytest
import torch
from torch import nn

import onlooker as ol
from onlooker.core.errors import AttachError, DataError


def make(**changes):
    model = nn.Linear(2, 1)
    settings = {"loss": nn.MSELoss(), "optimizer": torch.optim.SGD(model.parameters(), lr=0.1), **changes}
    return ol.Trainer(model, **settings)


X, Y = torch.zeros(8, 2), torch.zeros(8, 1)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"loss": nn.MSELoss}, TypeError, r"^loss=MSELoss is a class; pass an instance: loss=MSELoss\(\)"),
        ({"autocast": "bf16"}, TypeError, r"^autocast='bf16' must be torch.bfloat16, torch.float16 or None"),
        ({"seed": "a"}, ValueError, r"^seed='a' must be a whole number of at least 0"),
        ({"seed": -1}, ValueError, r"^seed=-1 must be"),
        ({"seed": 2**64}, ValueError, r"^seed=18446744073709551616 must be .* less than 2\*\*64"),
        ({"clip_norm": "a"}, ValueError, r"^clip_norm='a' must be a positive number, or None"),
        ({"clip_value": [1, 2]}, ValueError, r"^clip_value=\[1, 2\] must be a positive number, or None"),
        ({"clip_value": True}, ValueError, r"^clip_value=True must be a positive number, or None"),
        ({"split": 5}, TypeError, r"^split=5 must be a function of a batch that returns its inputs and targets"),
        (
            {"optimizer": torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)},
            ValueError,
            r"^the optimizer holds none of the model's parameters",
        ),
    ],
)
def test_bad_arguments_are_refused_at_once(changes, kind, message):
    with pytest.raises(kind, match=message):
        make(**changes)


def test_the_largest_seed_is_taken():
    make(seed=2**64 - 1).fit((X, Y))


def test_limits_may_be_numbers_of_any_library():
    make(clip_norm=torch.tensor(1.0), clip_value=np.float32(1)).fit((X, Y))


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (ol.Callback(), r"^callbacks must be a list of callbacks, not .*; write callbacks=\[\.\.\.\]"),
        (ol.Callback, r"^callbacks must be a list of callbacks, not "),
    ],
)
def test_callbacks_without_their_brackets_are_refused_as_in_a_loop(callbacks, message):
    for method in ("fit", "evaluate", "predict"):
        with pytest.raises(AttachError, match=message):
            getattr(make(), method)((X, Y), callbacks=callbacks)


def test_no_callbacks_may_be_said_in_any_way():
    for none in (None, (), iter([])):
        make().fit((X, Y), callbacks=none)


def test_targets_as_a_second_argument_are_told_where_they_belong():
    message = r"^epochs is a Tensor, but must be a whole number; .* as one tuple: fit\(\(x, y\), epochs=10\)"
    with pytest.raises(TypeError, match=message):
        make().fit(X, Y)


def test_a_loss_without_a_gradient_says_so():
    trainer = make(loss=lambda outputs, targets: (outputs.detach() - targets).mean())
    with pytest.raises(DataError, match=r"^the loss does not depend on any parameter that can learn"):
        trainer.fit((X, Y))


def test_an_empty_validation_is_called_so():
    with pytest.raises(DataError, match=r"^validation: the loader yielded no batch"):
        make().fit((X, Y), validation=[])


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "junk.pt"
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"junk.pt cannot be read as a file of run.save"):
        make().fit((X, Y), resume=path)
    with pytest.raises(FileNotFoundError):
        make().fit((X, Y), resume=tmp_path / "nowhere.pt")
