import copy
import pickle

import pytest

import onlooker as ol
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError, OnlookerWarning
from onlooker.core.hooks import ALIASES, HOOKS, arguments

Lambda = ol.callbacks.Lambda


def call(dispatcher, hook):
    index = [7] if HOOKS[hook].index else []
    getattr(dispatcher, hook)(*index, {"loss": 0.5})
    return (*index, {"loss": 0.5})


@pytest.mark.parametrize("hook", HOOKS)
def test_calls_a_function_in_each_hook(hook):
    calls = []
    dispatcher = Dispatcher([Lambda(**{hook: lambda *given: calls.append(given)})])
    assert [call(dispatcher, other) for other in HOOKS][list(HOOKS).index(hook)] == calls[0]
    assert len(calls) == 1


@pytest.mark.parametrize("alias", ALIASES)
def test_takes_the_older_names(alias):
    calls = []
    dispatcher = Dispatcher([Lambda(**{alias: lambda batch, logs: calls.append(batch)})])
    call(dispatcher, ALIASES[alias])
    assert calls == [7]


def test_takes_by_position_what_keras_does():
    keras = pytest.importorskip("keras")
    names = keras.callbacks.LambdaCallback.__init__.__code__.co_varnames[1:7]
    calls = []
    functions = [lambda *given, name=name: calls.append(name) for name in names]
    dispatcher = Dispatcher([ol.callbacks.LambdaCallback(*functions)])
    for name in names:
        call(dispatcher, name)
    assert calls == list(names)
    assert ol.callbacks.LambdaCallback is Lambda


def test_runs_the_example_from_the_documentation_of_keras(capsys):
    lines = []
    keras = ol  # as in: import onlooker as keras
    printing = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: print(batch))
    keeping = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: lines.append({"epoch": epoch, "loss": logs["loss"]}),
        on_train_end=lambda logs: lines.append("closed"),
    )
    with ol.Loop(None, callbacks=[printing, keeping]) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 2.0]):
                loop.log(loss=number)
    assert capsys.readouterr().out == "0\n1\n"
    assert lines == [{"epoch": 0, "loss": 1.5}, "closed"]


def test_nothing_is_called_for_none():
    dispatcher = Dispatcher([Lambda(on_epoch_end=None)])
    assert not any(dispatcher.listens(hook) for hook in HOOKS)


def test_parameters_of_a_lambda_may_have_short_names():
    calls = []
    dispatcher = Dispatcher([Lambda(on_epoch_end=lambda e, l: calls.append((e, l)))])  # noqa: E741
    assert call(dispatcher, "on_epoch_end") in calls


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_epoch_ends": print}, "Lambda(on_epoch_ends=...) names no hook; did you mean on_epoch_end?"),
        ({"epoch_end": print}, "did you mean on_epoch_end?"),
        ({"on_validation_end": print}, "did you mean on_test_end?"),
        ({"frequency": 5}, "expected one of on_train_begin, on_train_end,"),
        ({"on_epoch_end": 5}, "Lambda.on_epoch_end=5 cannot be called"),
        ({"on_epoch_end": lambda logs: None}, "takes (logs), which is too few"),
        ({"on_epoch_end": lambda epoch: None}, "takes (epoch), which is too few"),
        ({"on_epoch_end": lambda logs, epoch: None}, "takes (logs, epoch), but it is given"),
        ({"on_epoch_end": lambda self, epoch, logs: None}, "1 more than it is given"),
        ({"on_train_end": lambda epoch, logs: None}, "1 more than it is given"),
        ({"on_epoch_end": print, "on_error": "ignore"}, "Lambda.on_error='ignore' must be one of"),
        ({"on_epoch_end": print, "when": 5}, "Lambda.when=5 is no trigger"),
    ],
)
def test_refuses_when_it_is_made(given, message):
    with pytest.raises(AttachError) as caught:
        Lambda(**given)
    assert message in str(caught.value)


def test_a_trigger_gates_its_functions():
    calls = []
    watch = Lambda(on_epoch_end=lambda epoch, logs: calls.append(epoch), when=ol.every(epochs=2))
    dispatcher = Dispatcher([watch])
    for epoch in range(5):
        dispatcher.on_epoch_end(epoch)
    assert calls == [1, 3]


def test_a_fault_is_its_own_policy():
    dispatcher = Dispatcher([Lambda(on_epoch_end=lambda epoch, logs: 1 / 0, on_error="warn")])
    with pytest.warns(OnlookerWarning, match=r"Lambda.on_epoch_end, epoch 0: ZeroDivisionError"):
        dispatcher.on_epoch_end(0)


def test_a_function_finds_the_run_by_the_callback():
    watch = Lambda(on_epoch_end=lambda epoch, logs: watch.run.stop("enough"))
    with ol.Loop(None, callbacks=[watch]) as loop:
        epochs = 0
        for _ in loop.epochs(5):
            epochs += 1
            for _ in loop.train([1.0]):
                loop.log(loss=1.0)
    assert (epochs, loop.run.reason) == (1, "enough")


def named(epoch, logs):
    logs["seen"] = epoch


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_call_the_same(again):
    original = Lambda(on_epoch_end=named, when=ol.at(epochs=3))
    Dispatcher([original])
    logs = {}
    copied = again(original)
    dispatcher = Dispatcher([copied])
    dispatcher.on_epoch_end(2, logs)
    dispatcher.on_epoch_end(3, logs)
    assert logs == {"seen": 3}


def test_every_hook_is_an_argument_by_its_own_name():
    assert set(HOOKS) < set(Lambda.__init__.__code__.co_varnames)
    assert all(len(arguments(hook)) in (1, 2) for hook in HOOKS)
