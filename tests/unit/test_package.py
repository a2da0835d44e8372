"""What `import onlooker` gives, and what it says where something is not there."""

import subprocess
import sys

import pytest

import onlooker as ol


@pytest.mark.parametrize("name", ol.__all__)
def test_every_public_name_can_be_had(name):
    assert getattr(ol, name) is not None
    assert name in dir(ol)


@pytest.mark.parametrize("name", [name for name in ol.callbacks.__all__ if name[0].isupper()])
def test_every_ready_made_callback_is_one(name):
    assert issubclass(getattr(ol.callbacks, name), ol.Callback)


def test_a_callback_written_for_keras_runs_by_changing_one_import():
    import onlooker as keras

    class Counts(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.batches = 0

        def on_batch_end(self, batch, logs=None):
            self.batches += 1

    counts = Counts()
    printed = []
    shows = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: printed.append((epoch, logs["loss"])))
    with ol.Loop(None, callbacks=[counts, shows]) as loop:
        for number in loop.train([1.0, 2.0]):
            loop.log(loss=number)
    assert counts.batches == 2
    assert printed == [(0, 1.5)]


@pytest.mark.parametrize("place", [ol, ol.callbacks])
def test_what_is_not_there_is_an_attribute_error(place):
    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = place.NoSuchThing


def test_without_torch_the_trainer_names_the_command_that_brings_it():
    code = "import sys; sys.modules['torch'] = None\nimport onlooker\nonlooker.Trainer"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("torch is not installed; run: pip install 'onlooker[torch]'")
