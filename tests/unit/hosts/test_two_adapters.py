"""Two adapters in one trainer are two runs, one of which may end the trainer: the other's is closed all the same."""

import pytest
from tests.recorder import Recorder
from tests.unit.hosts.small_trainers import EPOCHS, TRAININGS

import onlooker as ol
from onlooker.core.hooks import HOOKS

HOOKS_THAT_RAISE = ["on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end"]


def raising(hook, at):
    """Return a callback that raises in a hook, at the epoch `at` where it has one."""

    def fail(index=at):
        if index == at:
            raise OSError("no")

    callback = ol.Callback()
    has_index = HOOKS[hook].index is not None
    setattr(callback, hook, (lambda index, logs: fail(index)) if has_index else (lambda logs: fail()))
    return callback


@pytest.mark.slow
@pytest.mark.parametrize("adapter", TRAININGS, ids=lambda adapter: adapter.__name__)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
@pytest.mark.parametrize("hook", HOOKS_THAT_RAISE)
def test_an_error_in_one_closes_the_other(adapter, hook, is_first, tmp_path):
    for at in range(EPOCHS if HOOKS[hook].index else 1):
        seen = Recorder()
        given = [adapter(raising(hook, at)), adapter(seen)]
        with pytest.raises(OSError, match="no"):
            TRAININGS[adapter](tmp_path, given if is_first else given[::-1])
        if at == 0 and is_first and not seen.events:  # it had not begun yet, and so has nothing to end
            assert hook != "on_train_end"
            continue
        assert seen.check().hooks[-1] == "on_train_end"
        assert not seen.run.is_live
        is_over = hook == "on_train_end" and (not is_first or seen.run.outcome == "completed")
        assert (seen.run.outcome, seen.run.reason) == (("completed", "") if is_over else ("failed", "OSError: no"))


@pytest.mark.parametrize("adapter", TRAININGS, ids=lambda adapter: adapter.__name__)
def test_within_one_all_are_called(adapter, tmp_path):
    seen = Recorder()
    with pytest.raises(OSError, match="no"):
        TRAININGS[adapter](tmp_path, [adapter(raising("on_epoch_end", 0), seen)])
    assert "val_loss" in seen.check().last("on_epoch_end").logs


class Stops(ol.Callback):
    def on_epoch_end(self, epoch, logs):
        self.run.stop("enough")


@pytest.mark.parametrize("adapter", TRAININGS, ids=lambda adapter: adapter.__name__)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_when_one_stops_the_other_hears_of_no_further_epoch(adapter, is_first, tmp_path):
    """XGBoost asks one after another, before a round: the first had begun one that the second then stopped."""
    seen = Recorder()
    given = [adapter(Stops()), adapter(seen)]
    TRAININGS[adapter](tmp_path, given if is_first else given[::-1])
    assert seen.check().hooks.count("on_epoch_begin") == 1
    assert seen.run.outcome == "stopped"


@pytest.mark.parametrize("adapter", TRAININGS, ids=lambda adapter: adapter.__name__)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
def test_a_stop_in_the_last_epoch_is_how_the_training_ends_for_both(adapter, hook, is_first, tmp_path):
    """As it is in a loop. One to whom nobody listens in rounds is followed in another way."""
    asking, seen, deaf = ol.Callback(), Recorder(), ol.Callback()
    setattr(asking, hook, lambda epoch, logs: epoch == EPOCHS - 1 and asking.run.stop("enough"))
    given = [adapter(asking), adapter(seen), adapter(deaf)]
    TRAININGS[adapter](tmp_path, given if is_first else given[::-1])
    assert seen.check().hooks.count("on_epoch_end") >= EPOCHS - 1
    for callback in (asking, seen, deaf):
        assert callback.run.outcome == "stopped"
        if adapter is not ol.for_lightning:  # it says who has set its own flag
            assert callback.run.reason == "enough"


@pytest.mark.parametrize("adapter", TRAININGS, ids=lambda adapter: adapter.__name__)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_a_stop_in_the_very_last_hook_is_too_late_for_both(adapter, is_first, tmp_path):
    asking, seen = ol.Callback(), Recorder()
    asking.on_train_end = lambda logs: asking.run.stop("enough")
    given = [adapter(asking), adapter(seen)]
    TRAININGS[adapter](tmp_path, given if is_first else given[::-1])
    assert [one.run.outcome for one in (asking, seen)] == ["completed", "completed"]
