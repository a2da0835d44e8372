"""Random programs over `Loop`: whatever a body does, the hooks, the logs and the outcome are those of a reference.

The reference is the ideal: it knows `with` blocks and nothing of generators, so there each scope closes at once. In the
loop the closing hooks may come late, but always before the next hook, so the sequences must be the same.
"""

import contextlib
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import LoopError
from onlooker.core.hooks import HOOKS, SCOPES

# ------------------------------------------------------------------------------- programs
#
# A body is a tuple of actions. Stages are tuples, too: a kind, and a body for each batch. What a stage's loader yields
# are these bodies, so that a program runs itself.

ENDINGS = ("raise", "interrupt", "break", "return", "continue")
simple = st.sampled_from(("log", "log", "log", "pass", "stop", *ENDINGS))
simple_bodies = st.lists(simple, max_size=3).map(tuple)


def stages(kinds, bodies):
    return st.tuples(st.sampled_from(kinds), st.lists(bodies, min_size=1, max_size=3).map(tuple))


inner_stages = stages(("test", "predict"), simple_bodies)
batch_bodies = st.lists(simple | inner_stages, max_size=4).map(tuple)
train_stages = stages(("train",), batch_bodies)
epoch_bodies = st.lists(simple | train_stages | train_stages | inner_stages, max_size=4).map(tuple)
trainings = st.tuples(st.just("epochs"), st.lists(epoch_bodies, max_size=4).map(tuple))
programs = st.lists(trainings | trainings | train_stages | inner_stages, max_size=3).map(tuple)


class Broken(Exception):  # noqa: N818
    """What a body raises."""


# ---------------------------------------------------------------------------- on the loop


class OnLoop:
    """Runs a program on a `Loop`, as a user would write it."""

    def __init__(self, callbacks):
        self.callbacks = callbacks
        self.value = 0
        self.tests = 0

    def run(self, program):
        with ol.Loop(None, callbacks=self.callbacks) as self.loop:
            for item in program:
                signal = self.training(item[1]) if item[0] == "epochs" else self.stage(item)
                if signal == "return":
                    return

    def training(self, bodies):
        for epoch in self.loop.epochs(len(bodies)):
            signal = self.body(bodies[epoch])
            if signal == "break":
                break
            if signal == "return":
                return signal
        return None

    def stage(self, item):
        kind, bodies = item
        if kind == "test":
            self.tests += 1
            loader = self.loop.test(bodies, prefix=f"t{self.tests}")
        else:
            loader = getattr(self.loop, kind)(bodies)
        for body in loader:
            signal = self.body(body)
            if signal == "break":
                break
            if signal == "return":
                return signal
        return None

    def body(self, actions):
        """Do what a body says; return what the `for` around it has to do."""
        for action in actions:
            if isinstance(action, tuple):
                if self.stage(action) == "return":
                    return "return"
            elif action == "log":
                self.value += 1
                self.loop.log(loss=float(self.value))
            elif action == "stop":
                self.loop.stop("enough")
            elif action == "raise":
                raise Broken
            elif action == "interrupt":
                raise KeyboardInterrupt
            elif action != "pass":
                return action
        return None


# -------------------------------------------------------------------------- the reference


class Reference:
    """Says which hooks must come, with which logs, and how each training ends."""

    def __init__(self):
        self.calls = []
        self.outcomes = []
        self.value = 0
        self.tests = 0
        self.is_stopping = False
        self.means = []  # of the open stages, innermost last: the values of the batches that are over
        self.batches = []  # of the open batches, innermost last: the value logged, or None
        self.epoch_values = {}
        self.is_in_epoch = False

    @contextlib.contextmanager
    def scope(self, name, index=None, logs=dict):
        scope = SCOPES[name]
        self.calls.append((scope.begin, index, {}))
        try:
            yield
        finally:
            self.calls.append((scope.end, index, logs()))

    def mean(self):
        values = self.means[-1]
        return {"loss": sum(values) / len(values)} if values else {}

    def epoch_logs(self):
        return {**self.mean(), **self.epoch_values}

    def run(self, program):
        for item in program:
            signal = self.training(item[1]) if item[0] == "epochs" else self.alone(item)
            if signal == "return":
                return

    def training(self, bodies):
        self.is_stopping = False
        self.last = {}
        signal = error = None
        try:
            with self.scope("train", logs=lambda: self.last):
                for epoch, body in enumerate(bodies):
                    if self.is_stopping:
                        break
                    signal = self.epoch(epoch, lambda body=body: self.body(body))
                    if signal in ("break", "return"):
                        break
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.end(error, is_left=signal in ("break", "return"))
        return signal if signal == "return" else None

    def end(self, error, is_left):
        if error is not None:
            self.outcomes.append("failed" if isinstance(error, Exception) else "interrupted")
        else:
            self.outcomes.append("stopped" if self.is_stopping or is_left else "completed")

    def epoch(self, number, work):
        self.means.append([])
        self.epoch_values = {}
        self.next_batch = 0
        self.is_in_epoch = True

        def logs():
            self.last = self.epoch_logs()
            return self.last

        try:
            with self.scope("epoch", number, logs):
                return work()
        finally:
            self.means.pop()
            self.is_in_epoch = False

    def alone(self, item):
        """A stage outside `epochs`."""
        kind, _ = item
        if kind != "train":
            before, self.is_stopping = self.is_stopping, False
            try:
                return self.stage(item)
            finally:
                self.is_stopping = before
        self.is_stopping, self.last = False, {}
        signal = error = None
        try:
            with self.scope("train", logs=lambda: self.last):
                signal = self.epoch(0, lambda: self.stage(item, says_break=True))
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.end(error, is_left=signal in ("break", "return"))
        return signal if signal == "return" else None

    def stage(self, item, says_break=False):
        kind, bodies = item
        signal = self.train(bodies) if kind == "train" else self.test_or_predict(kind, bodies)
        return signal if signal == "return" or says_break else None

    def train(self, bodies):
        for body in bodies:
            if self.is_stopping:
                break
            index, self.next_batch = self.next_batch, self.next_batch + 1
            signal = self.batch("train_batch", index, body)
            if signal in ("break", "return"):
                return signal
        return None

    def test_or_predict(self, kind, bodies):
        stands_alone = not self.is_in_epoch
        if kind == "test":
            self.tests += 1
        prefix = f"t{self.tests}"
        self.means.append([])

        def logs():
            mean = self.mean()
            if kind == "test":
                self.epoch_values.update({f"{prefix}_{name}": value for name, value in mean.items()})
            return mean

        try:
            with self.scope(kind, logs=logs):
                for index, body in enumerate(bodies):
                    if stands_alone and self.is_stopping:
                        break
                    signal = self.batch(f"{kind}_batch", index, body)
                    if signal in ("break", "return"):
                        return signal
        finally:
            self.means.pop()
        return None

    def batch(self, scope, index, body):
        self.batches.append(None)

        def logs():
            value = self.batches.pop()
            if value is not None:
                self.means[-1].append(value)
            return self.mean()

        with self.scope(scope, index, logs):
            return self.body(body)

    def body(self, actions):
        for action in actions:
            if isinstance(action, tuple):
                if self.stage(action) == "return":
                    return "return"
            elif action == "log":
                self.value += 1
                if self.batches:
                    self.batches[-1] = float(self.value)
                else:
                    self.epoch_values["loss"] = float(self.value)
            elif action == "stop":
                self.is_stopping = True
            elif action == "raise":
                raise Broken
            elif action == "interrupt":
                raise KeyboardInterrupt
            elif action != "pass":
                return action
        return None


def result_of(runner, program):
    """Run a program; return the class of what it raised, or None."""
    try:
        runner.run(program)
    except (Broken, KeyboardInterrupt) as error:
        return type(error)
    return None


# ------------------------------------------------------------------------------ the tests


class Faulty(ol.Callback):
    """Raises in one hook, from its n-th call on; which policy it has changes nothing for the others."""

    def __init__(self, hook, first_call, error, policy):
        self.on_error, self.calls = policy, 0
        self.first_call, self.error = first_call, error
        if HOOKS[hook].index is None:
            setattr(self, hook, lambda logs: self.act())
        else:
            setattr(self, hook, lambda index, logs: self.act())

    def act(self):
        self.calls += 1
        if self.calls >= self.first_call:
            raise self.error


harmless = st.builds(
    Faulty, st.sampled_from([*HOOKS]), st.integers(1, 3), st.builds(ValueError), st.sampled_from(["warn", "disable"])
)


@settings(max_examples=300)
@given(program=programs, faulty=st.none() | harmless, is_first=st.booleans())
@example(program=(("train", (("break",),)), ("test", (("log",),))), faulty=None, is_first=True)
@example(
    program=(("epochs", ((("train", (("stop", "log"),)), ("train", (("log",),)), "log"),)),), faulty=None, is_first=True
)
def test_hooks_logs_and_outcome_are_those_of_the_reference(program, faulty, is_first):
    recorder, reference = Recorder(), Reference()
    callbacks = [recorder] if faulty is None else [faulty, recorder] if is_first else [recorder, faulty]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = result_of(OnLoop(callbacks), program)
    assert error is result_of(reference, program)
    recorder.check()
    assert recorder.calls == [call[:2] for call in reference.calls]
    for event, (_, _, logs) in zip(recorder.events, reference.calls, strict=True):
        assert event.logs == pytest.approx(logs)
    assert [event.run["outcome"] for event in recorder.of("on_train_end")] == reference.outcomes


harmful = st.builds(
    Faulty,
    st.sampled_from([*HOOKS]),
    st.integers(1, 3),
    st.sampled_from([ValueError, KeyboardInterrupt]).map(lambda kind: kind("in a hook")),
    st.just("raise"),
)


@settings(max_examples=200)
@given(program=programs, faulty=st.lists(harmful, min_size=1, max_size=2))
def test_whatever_a_hook_raises_all_is_closed_and_the_error_is_known(program, faulty):
    before, after = Recorder(), Recorder()
    runner = OnLoop([before, *faulty, after])
    raised = None
    try:
        runner.run(program)
    except (Broken, KeyboardInterrupt, ValueError) as error:
        raised = error
    run = runner.loop.run
    before.check()
    assert (run.is_live, run.batch, run.stage) == (False, None, None)
    assert after.check().hooks == before.hooks
    has_raised = [one for one in faulty if one.calls >= one.first_call]
    if raised is None:
        assert not has_raised
        assert run.outcome in (None, "completed", "stopped")
        return
    assert isinstance(raised, Broken | KeyboardInterrupt) or raised in [one.error for one in has_raised]
    if isinstance(raised, ValueError):
        assert any(note.startswith("in Faulty.on_") for note in raised.__notes__)
    if before.events[-1].hook != "on_train_end":
        return  # it was a stage that stood alone
    # Known before on_train_end, and if that fails it changes it no more.
    expected = {"failed" if isinstance(raised, Exception) else "interrupted"}
    if any(hook.endswith("_end") for one in has_raised for hook in vars(one) if hook in HOOKS):
        expected.add("failed")  # the first error stays it, where Ctrl-C comes in a later hook and is raised before it
    if any("on_train_end" in vars(one) for one in has_raised):
        expected |= {"completed", "stopped", "failed", "interrupted"}
    assert run.outcome in expected


@pytest.mark.slow
@settings(max_examples=200)
@given(program=programs, kept=st.lists(st.tuples(st.sampled_from(["train", "test", "predict"]), st.integers(1, 3))))
def test_iterators_that_are_kept_anywhere_break_no_grammar(program, kept):
    """Between any two actions an iterator may be begun and kept, or an old one gone on with."""
    plan, held = list(kept), []

    class Keeps(OnLoop):
        def body(self, actions):
            if plan:
                kind, count = plan.pop(0)
                if kind == "test":
                    self.tests += 1
                    stage = self.loop.test([()] * count, prefix=f"t{self.tests}")
                else:
                    stage = getattr(self.loop, kind)([()] * count)
                held.append(iter(stage))
                next(held[-1], None)
            if len(held) > 1:
                with contextlib.suppress(LoopError):
                    next(held[0], None)
            return super().body(actions)

    recorder = Recorder()
    runner = Keeps([recorder])
    with contextlib.suppress(Broken, KeyboardInterrupt, LoopError, ol.OnlookerError):
        runner.run(program)
    recorder.check()
    assert not runner.loop.run.is_live
