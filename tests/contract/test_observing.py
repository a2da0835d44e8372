"""Observing changes nothing: with it or without, a training ends with the same weights, bit by bit."""

import contextlib
import random

import numpy as np
import pytest
from tests.contract.acting import on, recorder
from tests.contract.row import same
from tests.contract.shapes import fit_calls, some_hook

from onlooker.core.hooks import HOOKS

pytestmark = pytest.mark.needs("observing")

ASKS = {
    "weights": lambda run: run.weights(),
    "learning_rate": lambda run: run.learning_rate,
    "gradients": lambda run: run.gradients(),
}


def end_of(host, callbacks):
    """Train, and return the weights, the optimizer's numbers and what the random generators give next."""
    random.seed(1)
    np.random.seed(1)
    subject = host.make()
    host.fit(subject, callbacks, epochs=2)
    return [*host.state_of(subject), np.array(random.random()), np.random.random(3), host.draw()]


def looks(host, found):
    """Return a callback that, in every hook, looks at all that there is, and uses the model."""

    def look(callback, *given):
        run = callback.run
        found.append(dict(given[-1]))
        for ability, ask in ASKS.items():
            if host.gives(ability):
                ask(run)
        with run.observing(seed=0):
            drawn = host.draw()
            random.random()
            np.random.random(3)
            found.append((drawn, host.use(callback.model)))

    return on(host, **dict.fromkeys(HOOKS, look))


def test_a_callback_that_looks_at_everything_in_every_hook(host):
    found = []
    without = end_of(host, [recorder(host, reads=False)])
    assert same(end_of(host, [looks(host, found)]), without)
    assert len(found) == 2 * len(fit_calls(host))


def test_without_onlooker(host):
    assert same(end_of(host, [looks(host, [])]), end_of(host, []))


@pytest.mark.needs("draw")
def test_to_look_without_observing_would_have_changed_something(host):
    def use(callback, *given):
        host.draw()

    assert not same(end_of(host, [on(host, **{some_hook(host): use})]), end_of(host, []))


def test_what_is_seeded_is_drawn_again(host):
    drawn = []

    def look(callback, *given):
        with callback.run.observing(seed=0):
            drawn.append((host.draw(), np.random.random(3), random.random()))

    host.fit(host.make(), [on(host, on_epoch_end=look)], epochs=3)
    assert len(drawn) == 3
    for one in drawn[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(one, drawn[0], strict=True))


@pytest.mark.needs("silent_stages")
def test_an_evaluation_from_within_a_hook(host):
    random.seed(1)
    np.random.seed(1)
    subject = host.make()

    def look(callback, *given):
        host.evaluate_within(subject)

    seen = recorder(host)
    host.fit(subject, [seen, on(host, **dict.fromkeys(("on_train_batch_end", "on_epoch_end"), look))], epochs=2)
    ended = [*host.state_of(subject), np.array(random.random()), np.random.random(3), host.draw()]
    other = recorder(host)
    assert same(ended, end_of(host, [other]))
    assert seen.check().calls == other.calls
    assert [event.logs for event in seen.events] == [event.logs for event in other.events]


def test_an_error_within_observing(host):
    def look(callback, *given):
        with contextlib.suppress(ZeroDivisionError), callback.run.observing(seed=0):
            host.draw()
            raise ZeroDivisionError

    assert same(end_of(host, [on(host, **{some_hook(host): look})]), end_of(host, []))
