"""Triggers: above a hook and for a whole callback, with every unit, combined, and after a resume."""

import pytest
from tests.contract.acting import on, recorder_class
from tests.contract.data import BATCHES
from tests.contract.shapes import some_hook, times

import onlooker as ol
from onlooker.core.errors import AttachError

pytestmark = pytest.mark.needs("triggers")

EPOCHS = 4
BATCH_STEPS = pytest.mark.needs("step", "on_train_batch_end")
"""For figures that come from three steps in an epoch."""

ALL_BATCHES = [(epoch, batch) for epoch in range(EPOCHS) for batch in range(BATCHES)]


def train(host, hook, trigger, epochs=EPOCHS):
    """Train with a trigger above a hook; return where the hook came through."""
    found = []

    @trigger
    def note(self, index, logs=None):
        run = self.run
        found.append(run.epoch if hook.startswith("on_epoch") else (run.epoch, index))

    host.fit(host.make(), [type("Gated", (host.base,), {hook: note})()], epochs=epochs)
    return found


EPOCH_CASES = [
    (ol.every(epochs=2), [1, 3]),
    (ol.at(epochs=[0, 2]), [0, 2]),
    (ol.at(epochs=3), [3]),
    (ol.after(epochs=2), [2, 3]),
    (ol.before(epochs=2), [0, 1]),
    (ol.when(lambda run: run.epoch == 1), [1]),
    (ol.every(epochs=2) | ol.at(epochs=0), [0, 1, 3]),
    (ol.every(epochs=2) & ol.after(epochs=2), [3]),
    (~ol.every(epochs=2), [0, 2]),
    (~(ol.at(epochs=0) | ol.at(epochs=3)), [1, 2]),
]


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
@pytest.mark.parametrize(("trigger", "expected"), EPOCH_CASES, ids=lambda value: repr(value))
def test_epochs(host, hook, trigger, expected):
    assert train(host, hook, trigger) == expected


BATCH_CASES = [
    (ol.every(batches=2), [(epoch, 1) for epoch in range(EPOCHS)]),
    (ol.at(batches=[0, 2]), [(epoch, batch) for epoch in range(EPOCHS) for batch in (0, 2)]),
    (ol.after(batches=1), [(epoch, batch) for epoch in range(EPOCHS) for batch in (1, 2)]),
    (ol.before(batches=1), [(epoch, 0) for epoch in range(EPOCHS)]),
    (ol.every(epochs=2), [(epoch, batch) for epoch in (1, 3) for batch in range(BATCHES)]),
    (ol.at(epochs=1) & ol.at(batches=2), [(1, 2)]),
    pytest.param(ol.every(steps=5), [(1, 1), (3, 0)], marks=BATCH_STEPS),
    pytest.param(ol.at(steps=[1, 12]), [(0, 0), (3, 2)], marks=BATCH_STEPS),
]


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
@pytest.mark.parametrize(("trigger", "expected"), BATCH_CASES, ids=lambda value: repr(value))
def test_batches(host, hook, trigger, expected):
    assert train(host, hook, trigger) == expected


@pytest.mark.parametrize(
    ("hook", "trigger", "expected"),
    [
        pytest.param("on_train_batch_end", ol.after(steps=10), ALL_BATCHES[9:], marks=BATCH_STEPS),
        pytest.param("on_train_batch_end", ol.before(steps=3), ALL_BATCHES[:2], marks=BATCH_STEPS),
        pytest.param("on_epoch_end", ol.every(steps=5), [1, 3], marks=BATCH_STEPS),
        pytest.param("on_epoch_end", ol.at(steps=7), [2], marks=BATCH_STEPS),
        pytest.param("on_epoch_end", ol.after(steps=6), [1, 2, 3], marks=BATCH_STEPS),
        pytest.param("on_epoch_begin", ol.before(steps=4), [0, 1], marks=BATCH_STEPS),
        ("on_test_batch_end", ol.every(batches=2), [(epoch, 1) for epoch in range(EPOCHS)]),
        ("on_test_batch_begin", ol.at(epochs=2), [(2, 0), (2, 1)]),
    ],
)
def test_other_hooks(host, hook, trigger, expected):
    assert train(host, hook, trigger) == expected


@pytest.mark.needs("step")
def test_steps_of_whole_epochs(host):
    assert train(host, "on_epoch_end", ol.every(steps=2 * host.steps)) == [1, 3]
    assert train(host, "on_epoch_end", ol.after(steps=3 * host.steps)) == [2, 3]
    assert train(host, "on_epoch_begin", ol.before(steps=2 * host.steps)) == [0, 1]


class Clock:
    """Goes on by one second each time that a train batch ends, or an epoch where there are no batches."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    def callback(self, host):
        def begin(callback, logs):
            callback.run.clock, callback.run.begun_at_s = self, self()

        def tick(callback, batch, logs):
            self.now_s += 1

        return on(host, on_train_begin=begin, **{some_hook(host): tick})


def by_seconds(host, epochs):
    """Return how many epochs last as long by the `Clock`, and where one stands in them: epoch and batch."""
    if host.gives("on_train_batch_end"):
        return epochs, lambda run, batch: (run.epoch, batch)
    return epochs * BATCHES, lambda run, epoch: divmod(epoch, BATCHES)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (ol.every(seconds=4), [(1, 0), (2, 1), (3, 2)]),
        (ol.after(seconds=10), ALL_BATCHES[9:]),
        (ol.before(seconds=3), ALL_BATCHES[:2]),
    ],
    ids=repr,
)
def test_seconds(host, trigger, expected):
    found = []
    epochs, place = by_seconds(host, EPOCHS)

    @trigger
    def note(callback, index, logs=None):
        found.append(place(callback.run, index))

    gated = type("Gated", (host.base,), {some_hook(host): note})()
    host.fit(host.make(), [Clock().callback(host), gated], epochs=epochs)
    assert found == expected


@pytest.mark.parametrize("is_on_instance", [True, False], ids=["on the instance", "on the class"])
def test_for_a_whole_callback(host, is_on_instance):
    trigger = ol.every(epochs=2)
    kind = type("Gated", (recorder_class(host.base),), {} if is_on_instance else {"when": trigger})
    seen = kind()
    if is_on_instance:
        seen.when = trigger
    host.fit(host.make(), [seen], epochs=EPOCHS)
    assert [event.index for event in seen.of("on_epoch_begin")] == [1, 3]
    assert [event.index for event in seen.of("on_epoch_end")] == [1, 3]
    for hook in ("on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end"):
        assert [event.run["epoch"] for event in seen.of(hook)] == [1] * times(host, hook) + [3] * times(host, hook)
    for hook in ("on_test_begin", "on_test_end"):
        assert len(seen.of(hook)) == EPOCHS * times(host, hook)
    assert (seen.hooks[0], seen.hooks[-1]) == ("on_train_begin", "on_train_end")


def test_both(host):
    found = []

    @ol.after(epochs=2)
    def note(callback, epoch, logs=None):
        found.append(epoch)

    host.fit(host.make(), [type("Gated", (host.base,), {"on_epoch_end": note, "when": ol.every(epochs=2)})()], epochs=4)
    assert found == [3]


def test_one_trigger_in_two_callbacks_and_two_trainings(host):
    found = []
    epochs, place = by_seconds(host, 2)
    trigger = ol.every(seconds=4)

    def gated(name):
        def note(callback, index, logs=None):
            found.append((name, *place(callback.run, index)))

        return type("Gated", (host.base,), {some_hook(host): trigger(note)})()

    first, second = gated("first"), gated("second")
    subject = host.make()
    for _ in range(2):
        host.fit(subject, [Clock().callback(host), first, second], epochs=epochs)
        assert found == [("first", 1, 0), ("second", 1, 0)]
        found.clear()


@pytest.mark.needs("save", "state", "stop")
@pytest.mark.parametrize(
    ("trigger", "epochs", "batches"),
    [
        (ol.every(epochs=2), [3], [(3, 0), (3, 1), (3, 2)]),
        (ol.at(epochs=[1, 3]), [3], [(3, 0), (3, 1), (3, 2)]),
        pytest.param(ol.every(steps=5), [3], [(3, 0)], marks=BATCH_STEPS),
        pytest.param(ol.at(steps=[7, 11]), [2, 3], [(2, 0), (3, 1)], marks=BATCH_STEPS),
    ],
    ids=repr,
)
def test_after_a_resume(host, tmp_path, trigger, epochs, batches):
    path, found = tmp_path / host.file_name, {"epochs": [], "batches": []}

    def save(callback, epoch, logs):
        if epoch == 1:
            callback.run.save(path)
            callback.run.stop("saved")

    host.fit(host.make(), [on(host, on_epoch_end=save)], epochs=EPOCHS)
    gated = type(
        "Gated",
        (host.base,),
        {
            "on_epoch_end": trigger(lambda self, epoch, logs=None: found["epochs"].append(epoch)),
            "on_train_batch_end": trigger(
                lambda self, batch, logs=None: found["batches"].append((self.run.epoch, batch))
            ),
        },
    )()
    host.fit(host.make(), [gated], epochs=EPOCHS, resume=path)
    assert found == {"epochs": epochs, "batches": batches if host.gives("on_train_batch_end") else []}


@pytest.mark.parametrize(
    ("hook", "trigger"),
    [
        ("on_epoch_end", ol.every(batches=2)),
        ("on_train_end", ol.every(epochs=2)),
        ("on_test_batch_end", ol.every(steps=2)),
    ],
)
def test_a_trigger_that_can_have_no_effect_is_refused(host, hook, trigger):
    def note(callback, *given):
        pass

    callback = on(host, **{hook: note})
    setattr(type(callback), hook, trigger(getattr(type(callback), hook)))
    with pytest.raises(AttachError, match=hook):
        host.fit(host.make(), [callback])
