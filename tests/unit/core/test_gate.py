"""Triggers at work: against a brute-force oracle, and what the oracle cannot see."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import OnlookerWarning, TriggerError
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes
from onlooker.core.trigger import after, at, before, every, when


class Training:
    """A training that does nothing but move the run; its clock ticks a second with each hook's begin."""

    def __init__(self, callbacks, first_epoch=0, step=0):
        self.run = Run()
        self.now_s = 0.0
        self.run.clock = lambda: self.now_s
        self.run.step = step
        self.scopes = Scopes(self.run, Dispatcher(callbacks, self.run), lambda scope: None, lambda scope, logs: None)
        self.first_epoch = first_epoch

    def go(self, epochs, tick_s=1.0):
        """Train; `epochs` holds, for each epoch, a list: True or False for a batch with or without a step, or a number
        for a test with so many batches.
        """
        scopes, run = self.scopes, self.run
        scopes.open("train")
        for epoch, content in enumerate(epochs, start=self.first_epoch):
            self.now_s += tick_s
            scopes.open("epoch", epoch)
            batch = 0
            for item in content:
                if isinstance(item, bool):
                    self.now_s += tick_s
                    scopes.open("train_batch", batch)
                    run.step += item
                    scopes.close()
                    batch += 1
                else:
                    self.test(item, tick_s)
            scopes.close()
        scopes.close()
        return self

    def test(self, batches, tick_s=1.0):
        self.scopes.open("test")
        for number in range(batches):
            self.now_s += tick_s
            self.scopes.open("test_batch", number)
            self.scopes.close()
        self.scopes.close()


HOOKS = (
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def watch(hooks, seen, trigger=None, **settings):
    """A callback that notes where it was called; the trigger stands above each hook, or `when=` gates them all."""

    def noting(hook):
        def note(self, index, logs=None):
            run = self.run
            seen.append((hook, run.epoch, index))

        return note if trigger is None else trigger(note)

    return type("Watch", (Callback,), {hook: noting(hook) for hook in hooks} | settings)()


BATCHES = [True] * 4


# What the pages say, by example.


@pytest.mark.parametrize(
    ("trigger", "epochs"),
    [
        (every(epochs=1), [0, 1, 2, 3, 4, 5]),
        (every(epochs=2), [1, 3, 5]),
        (every(epochs=5), [4]),
        (every(epochs=7), []),
        (at(epochs=0), [0]),
        (at(epochs=[1, 4, 99]), [1, 4]),
        (after(epochs=0), [0, 1, 2, 3, 4, 5]),
        (after(epochs=4), [4, 5]),
        (before(epochs=2), [0, 1]),
        (every(epochs=2) | at(epochs=0), [0, 1, 3, 5]),
        (every(epochs=2) & after(epochs=3), [3, 5]),
        (~every(epochs=2), [0, 2, 4]),
        (every(epochs=2) & ~at(epochs=3), [1, 5]),
        (when(lambda run: run.epoch == 2), [2]),
        (when(lambda run: run.epoch), [1, 2, 3, 4, 5]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("hooks", [["on_epoch_begin"], ["on_epoch_end"], ["on_epoch_begin", "on_epoch_end"]])
@pytest.mark.parametrize("is_whole", [True, False])
def test_epochs(trigger, epochs, hooks, is_whole):
    seen = []
    callback = watch(hooks, seen, when=trigger) if is_whole else watch(hooks, seen, trigger)
    Training([callback]).go([[True]] * 6)
    assert seen == [(hook, epoch, epoch) for epoch in epochs for hook in hooks]


@pytest.mark.parametrize(
    ("trigger", "batches"),
    [
        (every(batches=2), [1, 3]),
        (at(batches=[0, 3]), [0, 3]),
        (after(batches=2), [2, 3]),
        (before(batches=1), [0]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("stage", ["train", "test"])
def test_batches_start_anew_in_each_epoch_and_test(trigger, batches, stage):
    hooks, seen = [f"on_{stage}_batch_begin", f"on_{stage}_batch_end"], []
    Training([watch(hooks, seen, trigger)]).go([[*BATCHES, 4]] * 2)
    assert seen == [(hook, epoch, batch) for epoch in range(2) for batch in batches for hook in hooks]


@pytest.mark.parametrize(
    ("trigger", "batches"),
    [
        (every(steps=1), [1, 3, 4, 6, 7]),
        (every(steps=2), [3, 6]),
        (at(steps=[1, 4]), [1, 6]),
        (at(steps=[99]), []),
    ],
    ids=repr,
)
def test_steps_fire_on_the_change_and_not_on_each_micro_batch(trigger, batches):
    steps = [False, True, False, True, True, False, True, True]
    seen = []
    Training([watch(["on_train_batch_end"], seen, trigger)]).go([steps])
    assert [batch for _, _, batch in seen] == batches


def test_a_begin_hook_comes_where_this_batch_may_make_the_step_and_the_end_where_it_did():
    seen = []
    hooks = ["on_train_batch_begin", "on_train_batch_end"]
    Training([watch(hooks, seen, every(steps=2))]).go([[True, False, False, True, True, True]])
    assert seen == [
        ("on_train_batch_begin", 0, 1),  # could make the second
        ("on_train_batch_begin", 0, 2),
        ("on_train_batch_begin", 0, 3),
        ("on_train_batch_end", 0, 3),  # did
        ("on_train_batch_begin", 0, 5),
        ("on_train_batch_end", 0, 5),
    ]


@pytest.mark.parametrize(
    "trigger",
    [
        every(steps=2) | at(batches=99),
        at(batches=99) | every(steps=2),
        every(steps=2) & before(batches=99),
        before(batches=99) & every(steps=2),
        ~~every(steps=2),
    ],
    ids=repr,
)
def test_the_end_of_a_pair_waits_for_the_step_wherever_in_the_trigger_it_is_asked_for(trigger):
    seen = []
    hooks = ["on_train_batch_begin", "on_train_batch_end"]
    Training([watch(hooks, seen, when=trigger)]).go([[True, False, True]])
    assert [(hook, batch) for hook, _, batch in seen] == [
        ("on_train_batch_begin", 1),
        ("on_train_batch_begin", 2),
        ("on_train_batch_end", 2),
    ]


def test_steps_in_an_epoch_end_where_one_was_made_within():
    seen = []
    Training([watch(["on_epoch_end"], seen, every(steps=3))]).go([[True, True], [True, True], [True], [True]])
    assert [epoch for _, epoch, _ in seen] == [1, 3]
    seen.clear()
    Training([watch(["on_epoch_end"], seen, at(steps=[2, 4]))]).go([[True, True], [True], [True]])
    assert [epoch for _, epoch, _ in seen] == [0, 2]


def test_counts_go_on_after_a_resume():
    seen = []
    epochs = watch(["on_epoch_end"], seen, every(epochs=5))
    steps = watch(["on_train_batch_end"], seen, every(steps=10))
    Training([epochs, steps], first_epoch=3, step=7).go([BATCHES] * 3)
    assert seen == [("on_train_batch_end", 3, 2), ("on_epoch_end", 4, 4)]


def test_seconds_since_it_last_passed():
    seen = []
    Training([watch(["on_train_batch_end"], seen, every(seconds=3))]).go([[True] * 9], tick_s=1.0)
    assert [batch for _, _, batch in seen] == [1, 4, 7]  # the epoch's begin has taken a second


def test_seconds_since_the_run_began_and_not_since_it_was_attached():
    seen = []
    training = Training([watch(["on_epoch_end"], seen, every(seconds=10))])
    training.now_s = 1000.0
    training.go([[], []], tick_s=4.0)
    assert seen == []
    seen.clear()
    training = Training([watch(["on_train_batch_end"], seen, after(seconds=3) & before(seconds=5))])
    training.now_s = 1000.0
    training.go([[True] * 6])
    assert [batch for _, _, batch in seen] == [1, 2]


def test_a_pair_is_asked_once():
    asked, seen = [], []

    def ask(run):
        asked.append((run.epoch, run.batch))
        return len(asked) % 2 == 1

    Training([watch(["on_train_batch_begin", "on_train_batch_end"], seen, when=when(ask))]).go([BATCHES])
    assert asked == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert [(hook, batch) for hook, _, batch in seen] == [
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_begin", 2),
        ("on_train_batch_end", 2),
    ]


def test_seconds_do_not_tear_a_pair_apart():
    """Between begin and end time goes by; the end must not come without its begin, nor the begin without its end."""
    seen = []
    callback = watch(["on_epoch_begin", "on_epoch_end"], seen, when=every(seconds=5))
    Training([callback]).go([BATCHES] * 6)
    assert seen
    assert [hook for hook, _, _ in seen] == ["on_epoch_begin", "on_epoch_end"] * (len(seen) // 2)


def test_a_tests_batches_do_not_take_the_verdict_of_the_epoch_around_them():
    seen = []
    callback = watch(HOOKS, seen, when=at(epochs=[1]))
    Training([callback]).go([[True, 2], [True, 2], [True, 2]])
    assert {epoch for _, epoch, _ in seen} == {1}
    assert [hook for hook, _, _ in seen] == [
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        *["on_test_batch_begin", "on_test_batch_end"] * 2,
        "on_epoch_end",
    ]


def test_begins_and_ends_of_stages_always_come():
    seen = []
    always = ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end")
    callback = watch((), seen, when=when(lambda run: False))
    for hook in always:
        setattr(callback, hook, lambda logs, hook=hook: seen.append(hook))
    callback.on_epoch_end = lambda epoch, logs: seen.append("never")
    Training([callback]).go([[True, 1]])
    assert seen == ["on_train_begin", "on_test_begin", "on_test_end", "on_train_end"]


def test_one_trigger_for_several_callbacks_and_hooks_keeps_no_state():
    trigger, first, second = every(seconds=3), [], []
    callbacks = [watch(["on_train_batch_end"], seen, trigger) for seen in (first, second)]
    Training(callbacks).go([[True] * 9])
    assert first == second
    assert len(first) == 3


def test_the_whole_callbacks_trigger_and_one_above_a_hook_must_both_pass():
    seen = []
    callback = watch(["on_epoch_end"], seen, every(epochs=2), when=every(epochs=3))
    Training([callback]).go([[]] * 12)
    assert [epoch for _, epoch, _ in seen] == [5, 11]


def test_two_triggers_above_a_hook_must_both_pass():
    seen = []

    class Watch(Callback):
        @every(epochs=2)
        @after(epochs=4)
        def on_epoch_end(self, epoch, logs=None):
            seen.append(epoch)

    Training([Watch()]).go([[]] * 8)
    assert seen == [5, 7]


def test_a_trigger_on_an_instances_own_hook():
    seen = []
    callback = Callback()
    callback.on_epoch_end = every(epochs=2)(lambda epoch, logs: seen.append(epoch))
    Training([callback]).go([[]] * 4)
    assert seen == [1, 3]


def test_when_set_on_the_instance():
    seen = []
    callback = watch(["on_epoch_end"], seen)
    callback.when = every(epochs=2)
    Training([callback]).go([[]] * 4)
    assert [epoch for _, epoch, _ in seen] == [1, 3]


def test_a_predicate_that_raises_is_the_callbacks_fault():
    callback = watch(["on_epoch_end"], [], when=when(lambda run: 1 / 0))
    with pytest.raises(ZeroDivisionError) as caught:
        Training([callback]).go([[]])
    assert caught.value.__notes__[0] == "in the trigger when(<lambda>)"
    assert "Watch.on_epoch_end, epoch 0" in caught.value.__notes__[1]
    callback.on_error = "warn"
    with pytest.warns(OnlookerWarning, match=r"epoch 0: ZeroDivisionError.*, in the trigger when\(<lambda>\); the"):
        Training([callback]).go([[]])


def test_epochs_of_a_test_that_stands_alone():
    seen = []
    callback = watch(["on_test_batch_end"], seen, when=at(epochs=[0]))
    training = Training([callback])
    training.test(2)
    assert seen == []  # there has been no epoch


# Against an oracle that knows the whole course in advance.

UNITS = ("epochs", "batches", "steps")
numbers = st.integers(1, 4)
leaves = st.one_of(
    st.tuples(st.just("every"), st.sampled_from(UNITS), numbers),
    st.tuples(st.just("at"), st.sampled_from(UNITS), st.sets(numbers, min_size=1).map(sorted)),
    st.tuples(st.sampled_from(["after", "before"]), st.sampled_from(UNITS), numbers),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=4,
)
courses = st.lists(st.lists(st.booleans() | st.integers(1, 3), max_size=6), max_size=5)


def build(tree):
    match tree:
        case ("every", unit, value):
            return every(**{unit: value})
        case ("at", unit, value):
            return at(**{unit: value})
        case ("after", unit, value):
            return after(**{unit: value})
        case ("before", unit, value):
            return before(**{unit: value})
        case ("not", inner):
            return ~build(inner)
        case ("and", left, right):
            return build(left) & build(right)
        case ("or", left, right):
            return build(left) | build(right)


def holds(tree, place):
    """Say whether a condition holds, from its meaning alone. A place: epoch, batch, and the steps made within it."""
    match tree:
        case ("not", inner):
            return not holds(inner, place)
        case ("and", left, right):
            return holds(left, place) and holds(right, place)
        case ("or", left, right):
            return holds(left, place) or holds(right, place)
        case ("every", "steps", value):
            return any(step % value == 0 for step in place["made"])
        case ("at", "steps", value):
            return any(step in value for step in place["made"])
        case ("every", unit, value):
            return place[unit] is not None and (place[unit] + 1) % value == 0
        case ("at", unit, value):
            return place[unit] in value
        case ("after", unit, value):
            return place[unit] is not None and place[unit] >= value
        case ("before", unit, value):
            return place[unit] is not None and place[unit] < value


def waits(tree):
    """Say whether the answer may change within a batch or epoch."""
    if tree[0] in ("not", "and", "or"):
        return any(waits(inner) for inner in tree[1:])
    return tree[0] in ("every", "at") and tree[1] == "steps"


def can_stand_above(trigger, hook):
    try:
        trigger.check_hook(hook)
    except TriggerError:
        return False
    return True


def expected_calls(tree, course, hooks):
    calls = []
    step = 0

    def pair(name, index, epoch, batch, steps_before, will_step, course_of_it):
        """Decide for a begin and its end, around what happens in between."""
        nonlocal step
        verdict = None
        place = {"epochs": epoch, "batches": batch}
        if f"on_{name}_begin" in hooks:
            made = [steps_before + 1] if will_step else []
            verdict = holds(tree, {**place, "steps": step, "made": made})
            if verdict:
                calls.append((f"on_{name}_begin", epoch, index))
        course_of_it()
        if f"on_{name}_end" in hooks:
            if verdict is None or (verdict and waits(tree)):
                made = range(steps_before + 1, step + 1)
                verdict = holds(tree, {**place, "steps": step, "made": made})
            if verdict:
                calls.append((f"on_{name}_end", epoch, index))

    def add(number):
        nonlocal step
        step += number

    def run_epoch(epoch, content):
        batch = 0
        for item in content:
            if isinstance(item, bool):
                pair("train_batch", batch, epoch, batch, step, True, lambda item=item: add(item))
                batch += 1
            else:
                for number in range(item):
                    pair("test_batch", number, epoch, number, step, False, lambda: None)

    for epoch, content in enumerate(course):
        pair("epoch", epoch, epoch, None, step, False, lambda epoch=epoch, content=content: run_epoch(epoch, content))
    return calls


@settings(max_examples=300)
@given(tree=trees, course=courses, hooks=st.sets(st.sampled_from(HOOKS), min_size=1), is_whole=st.booleans())
def test_any_trigger_in_any_course_passes_where_its_meaning_says(tree, course, hooks, is_whole):
    trigger, seen = build(tree), []
    # Where it can never pass it is refused, which is tested where attaching is.
    hooks = [hook for hook in HOOKS if hook in hooks and can_stand_above(trigger, hook)]
    assume(hooks)
    callback = watch(hooks, seen, when=trigger) if is_whole else watch(hooks, seen, trigger)
    Training([callback]).go(course)
    if not is_whole:
        # Above each hook stands a gate of its own: each hook decides for itself.
        single = [call for hook in hooks for call in expected_calls(tree, course, {hook})]
        assert sorted(seen) == sorted(single)
    else:
        assert seen == expected_calls(tree, course, hooks)
