"""Scopes are opened and closed by the grammar; the position is right in every hook; ends come whatever is raised."""

import pytest

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import GrammarError
from onlooker.core.hooks import HOOKS, SCOPES, check_grammar
from onlooker.core.logs import Logs
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes


class Track(Callback):
    """Notes each hook with the position that it sees, and raises where it is told to."""

    def __init__(self, faults=None):
        self.seen = []
        self.faults = faults or {}
        for hook, scope in HOOKS.items():
            setattr(self, hook, self.noting(hook) if scope.index is None else self.noting_index(hook))

    def noting(self, hook):
        return lambda logs: self.note(hook, None, logs)

    def noting_index(self, hook):
        return lambda index, logs: self.note(hook, index, logs)

    def note(self, hook, index, logs):
        run = self.run
        self.seen.append((hook, index, run.stage, run.epoch, run.batch))
        assert logs is not None
        if hook in self.faults:
            raise self.faults[hook]

    @property
    def hooks(self):
        return [one[0] for one in self.seen]


def build(faults=None):
    run, track = Run(), Track(faults)
    closed = []
    scopes = Scopes(run, Dispatcher([track], run), lambda scope: Logs(scope=scope), lambda *given: closed.append(given))
    return run, track, scopes, closed


def position(run):
    return run.stage, run.epoch, run.batch


def test_the_position_in_every_hook_and_after_it():
    run, track, scopes, closed = build()
    scopes.open("train")
    scopes.open("epoch", 2)
    scopes.open("train_batch", 5)
    scopes.open("test")
    scopes.open("test_batch", 1)
    assert scopes.names == ("train", "epoch", "train_batch", "test", "test_batch")
    assert scopes.innermost == "test_batch"
    assert position(run) == ("test", 2, 1)
    scopes.close()
    assert position(run) == ("test", 2, None)
    scopes.close()
    assert position(run) == ("train", 2, 5)
    scopes.close()
    assert position(run) == ("train", 2, None)
    scopes.close()
    assert position(run) == ("train", 2, None)
    scopes.close()
    assert position(run) == (None, 2, None)  # the last epoch stays, for whoever saves after the training
    assert (scopes.names, scopes.innermost) == ((), None)
    assert track.seen == [
        ("on_train_begin", None, "train", None, None),
        ("on_epoch_begin", 2, "train", 2, None),
        ("on_train_batch_begin", 5, "train", 2, 5),
        ("on_test_begin", None, "test", 2, None),
        ("on_test_batch_begin", 1, "test", 2, 1),
        ("on_test_batch_end", 1, "test", 2, 1),
        ("on_test_end", None, "test", 2, None),
        ("on_train_batch_end", 5, "train", 2, 5),
        ("on_epoch_end", 2, "train", 2, None),
        ("on_train_end", None, "train", 2, None),
    ]
    assert [scope for scope, _ in closed] == ["test", "epoch", "train"]


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_a_stage_alone_before_and_after_a_training(stage):
    run, _, scopes, _ = build()
    for epoch in (None, 3):
        if epoch is not None:
            scopes.open("train")
            scopes.open("epoch", epoch)
            scopes.close_all()
        scopes.open(stage)
        scopes.open(f"{stage}_batch", 0)
        assert position(run) == (stage, epoch, 0)
        scopes.close_all()
        assert position(run) == (None, epoch, None)


def test_the_end_hook_gets_the_logs_that_the_host_gives_and_hands_them_back():
    run, asked, given, closed = Run(), [], [], []
    callback = Callback()
    callback.on_epoch_end = lambda epoch, logs: (given.append(dict(logs)), logs.update(score=1.0))

    def logs_for(scope):
        asked.append(scope)
        return Logs(loss=0.5)

    scopes = Scopes(run, Dispatcher([callback], run), logs_for, lambda scope, logs: closed.append((scope, dict(logs))))
    scopes.open("train")
    scopes.open("epoch", 0)
    assert scopes.close() == {"loss": 0.5, "score": 1.0}
    assert (asked, given, closed) == (["epoch"], [{"loss": 0.5}], [("epoch", {"loss": 0.5, "score": 1.0})])


def test_no_logs_will_do():
    run, track = Run(), Track()
    scopes = Scopes(run, Dispatcher([track], run), lambda scope: None, lambda scope, logs: None)
    scopes.open("test")
    assert scopes.close() is None
    assert track.hooks == ["on_test_begin", "on_test_end"]


@pytest.mark.parametrize("inner", SCOPES)
@pytest.mark.parametrize("outer", [None, *SCOPES])
def test_what_cannot_stand_there_is_refused_and_changes_nothing(outer, inner):
    run, track, scopes, _ = build()
    ways = {
        None: [],
        "train": ["train"],
        "epoch": ["train", "epoch"],
        "train_batch": ["train", "epoch", "train_batch"],
        "test": ["test"],
        "test_batch": ["test", "test_batch"],
        "predict": ["predict"],
        "predict_batch": ["predict", "predict_batch"],
    }

    def open_one(name):
        scopes.open(name, 0 if SCOPES[name].index else None)

    for name in ways[outer]:
        open_one(name)
    before, seen = (position(run), scopes.names), len(track.seen)
    allowed = ("train", "test", "predict") if outer is None else SCOPES[outer].holds
    if inner in allowed:
        open_one(inner)
        assert scopes.innermost == inner
    else:
        with pytest.raises(GrammarError, match=f"on_{inner}_begin cannot come (within|outside train)"):
            open_one(inner)
        assert ((position(run), scopes.names), len(track.seen)) == (before, seen)


def test_close_to_leaves_the_scope_itself_open():
    _, track, scopes, _ = build()
    for name, index in [("train", None), ("epoch", 0), ("train_batch", 0), ("test", None)]:
        scopes.open(name, index)
    scopes.close_to("epoch")
    assert scopes.names == ("train", "epoch")
    assert track.hooks[-2:] == ["on_test_end", "on_train_batch_end"]
    scopes.close_to("epoch")
    assert scopes.names == ("train", "epoch")
    scopes.close_to(None)
    assert scopes.names == ()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_every_end_comes_although_each_raises_and_the_first_error_wins(kind):
    errors = {scope.end: kind(scope.end) for scope in SCOPES.values()}
    _, track, scopes, closed = build(errors)
    for name, index in [("train", None), ("epoch", 0), ("train_batch", 0), ("test", None), ("test_batch", 0)]:
        scopes.open(name, index)
    with pytest.raises(kind) as caught:
        scopes.close_all()
    assert caught.value is errors["on_test_batch_end"]
    assert len([note for note in caught.value.__notes__ if note.startswith("and then")]) == 4
    check_grammar(track.hooks)
    assert scopes.names == ()
    assert len(closed) == 3


def test_an_error_that_ended_the_training_gets_those_of_the_end_hooks_as_notes():
    _, track, scopes, _ = build({"on_epoch_end": ValueError("later")})
    scopes.open("train")
    scopes.open("epoch", 0)
    error = RuntimeError("first")
    scopes.close_all(error)
    assert any("later" in note for note in error.__notes__)
    check_grammar(track.hooks)


def test_ctrl_c_in_an_end_hook_is_raised_even_so():
    _, track, scopes, _ = build({"on_epoch_end": KeyboardInterrupt()})
    scopes.open("train")
    scopes.open("epoch", 0)
    with pytest.raises(KeyboardInterrupt):
        scopes.close_all(RuntimeError("first"))
    check_grammar(track.hooks)


def test_ctrl_c_in_a_later_end_hook_wins_over_an_error_in_an_earlier_one():
    errors = {
        "on_train_batch_end": ValueError("no"),
        "on_epoch_end": KeyboardInterrupt(),
        "on_train_end": OSError("no"),
    }
    _, track, scopes, _ = build(errors)
    for name, index in [("train", None), ("epoch", 0), ("train_batch", 0)]:
        scopes.open(name, index)
    with pytest.raises(KeyboardInterrupt) as caught:
        scopes.close_all()
    check_grammar(track.hooks)
    assert [note.split("(")[0] for note in caught.value.__notes__[1:]] == [
        "and before that ValueError",
        "and then OSError",
    ]


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_test_begin"])
def test_a_begin_hook_that_raises_is_closed_too(hook):
    _, track, scopes, _ = build({hook: ValueError("no")})

    def open_all():
        for name, index in [("train", None), ("epoch", 0), ("train_batch", 0), ("test", None)]:
            scopes.open(name, index)

    with pytest.raises(ValueError, match="no"):
        open_all()
    assert not scopes.is_in_hook
    scopes.close_all()
    check_grammar(track.hooks)
    assert track.hooks[-1] == "on_train_end"


def test_it_knows_whether_it_is_in_a_hook():
    run, seen = Run(), []
    callback = Callback()
    callback.on_epoch_begin = lambda epoch, logs: seen.append(scopes.is_in_hook)
    callback.on_epoch_end = lambda epoch, logs: seen.append(scopes.is_in_hook)
    scopes = Scopes(run, Dispatcher([callback], run), lambda scope: None, lambda scope, logs: None)
    scopes.open("train")
    assert not scopes.is_in_hook
    scopes.open("epoch", 0)
    scopes.close()
    assert not scopes.is_in_hook
    assert seen == [True, True]


def test_steps_are_noted_where_epochs_and_batches_begin():
    run, _, scopes, _ = build()
    run.step = 4
    scopes.open("train")
    scopes.open("epoch", 0)
    run.step = 6
    scopes.open("train_batch", 0)
    run.step = 7
    scopes.open("test")
    scopes.open("test_batch", 0)
    assert (run.step_at_epoch_begin, run.step_at_batch_begin) == (4, 6)


def test_the_clock_starts_with_the_outermost_stage():
    run, _, scopes, _ = build()
    times = iter([10.0, 20.0, 30.0])
    run.clock = lambda: next(times)
    scopes.open("train")
    assert run.begun_at_s == 10.0
    scopes.open("epoch", 0)
    scopes.open("test")
    assert run.begun_at_s == 10.0
    scopes.close_all()
    scopes.open("test")
    assert run.begun_at_s == 20.0
