"""One instance and several runs: one after the other is right, two at once is refused."""

import pickle

import pytest
from tests.contract.acting import on, once, recorder
from tests.contract.shapes import fit_calls, some_hook, stage_calls

from onlooker.core.callback import Callback
from onlooker.core.errors import AttachError, NotAttachedError


class Kept(Callback):
    """A callback that can be pickled."""

    def on_epoch_end(self, epoch, logs=None):
        self.last = epoch


def test_in_two_trainings_of_two_models(host):
    seen = recorder(host)
    for number in (0, 1):
        subject = host.make(number)
        host.fit(subject, [seen])
        assert seen.model is host.model_of(subject)
        assert seen.check().calls == fit_calls(host)
        seen.events.clear()


@pytest.mark.needs("evaluate", "predict")
def test_in_all_three_stages_one_after_the_other(any_host):
    subject, seen = any_host.make(), recorder(any_host)
    any_host.fit(subject, [seen], epochs=1)
    any_host.evaluate(subject, [seen])
    any_host.predict(subject, [seen])
    stages = [*stage_calls(any_host), *stage_calls(any_host, stage="predict")]
    assert seen.check().calls == [*fit_calls(any_host, 1), *stages]


@pytest.mark.needs("nested")
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_batch_end"])
def test_two_live_runs_are_refused(host, hook):
    seen, refused = recorder(host), []

    def train_another(callback):
        with pytest.raises(AttachError, match="already in a run that is under way") as caught:
            host.another().fit(host.make(1), [seen])
        refused.append(caught.value)

    host.fit(host.make(), [seen, on(host, **once(hook, train_another))])
    assert len(refused) == 1
    assert seen.check().calls == fit_calls(host)
    assert seen.run.outcome == "completed"


@pytest.mark.needs("nested")
def test_another_training_from_within_a_hook(host):
    inner, outer = recorder(host), recorder(host)

    def train_another(callback):
        host.another().fit(host.make(1), [inner], epochs=1)

    host.fit(host.make(), [outer, on(host, **once("on_epoch_end", train_another))])
    assert inner.check().calls == fit_calls(host, 1)
    assert outer.check().calls == fit_calls(host)
    assert inner.run is not outer.run


def test_model_params_and_run(host):
    subject, found = host.make(), []

    def note(callback, *given):
        found.append((callback.model is host.model_of(subject), callback.params is callback.run.params, callback.run))

    host.fit(subject, [on(host, **dict.fromkeys(("on_train_begin", some_hook(host), "on_train_end"), note))])
    assert {one[:2] for one in found} == {(True, True)}
    assert len({id(one[2]) for one in found}) == 1


def test_before_it_is_attached(host):
    with pytest.raises(NotAttachedError):
        host.base().run  # noqa: B018


def test_pickled_after_a_training(host):
    callback = Kept()
    host.fit(host.make(), [callback])
    copy = pickle.loads(pickle.dumps(callback))
    assert copy.last == 1
    with pytest.raises(NotAttachedError):
        copy.run  # noqa: B018
    seen = recorder(host)
    host.fit(host.make(), [copy, seen])
    assert copy.run is seen.run


def test_forgotten_init_and_brackets(host):
    class Forgetful(host.base):
        def __init__(self):
            self.epochs = []

        def on_epoch_end(self, epoch, logs):
            self.epochs.append(epoch)

    callback = Forgetful()
    host.fit(host.make(), [callback])
    assert callback.epochs == [0, 1]
