"""What a `Callback` is before, while and after it is attached."""

import copy
import pickle

import pytest
from tests.names import without_address

from onlooker.core.callback import Callback, host_entrances
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError, NotAttachedError, OnlookerError
from onlooker.core.hooks import ALIASES, HOOKS, arguments
from onlooker.core.run import Run


class Counter(Callback):
    """At the top of the module, for pickle."""

    def __init__(self):
        self.count = 3

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1


@pytest.mark.parametrize("name", ["model", "params", "run"])
def test_before_it_is_attached_it_says_so(name):
    with pytest.raises(
        NotAttachedError, match=f"Counter.{name} is known only while the callback is attached"
    ) as caught:
        getattr(Counter(), name)
    assert isinstance(caught.value, AttributeError)
    assert not hasattr(Counter(), name)
    assert getattr(Counter(), name, None) is None


def test_what_a_host_leaves_to_the_run_is_asked_of_the_run():
    """Keras' host shows the model through the run, where it is looked up each time."""
    callback, run = Counter(), Run("the first", params={"epochs": 2})
    callback.run = run
    assert (callback.model, callback.params) == ("the first", {"epochs": 2})
    run.model = "the second"
    assert callback.model == "the second"


def test_tools_that_ask_for_every_name_of_the_class_find_what_they_list():
    assert all(hasattr(Callback, name) for name in dir(Callback))


def test_the_class_answers_no_name_by_a_function_of_its_own():
    """With `__getattr__` each attribute of each callback took twice as long, in everybody's hooks."""
    assert not hasattr(Callback, "__getattr__")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'Callback' object has no attribute 'nonsense'"):
        Callback().nonsense  # noqa: B018
    assert getattr(Callback(), "nonsense", None) is None
    assert not hasattr(Callback(), "setup"), "still a question that can be asked"


@pytest.mark.parametrize(
    ("asked", "adapter"),
    [
        ("setup", "for_lightning"),
        ("state_key", "for_lightning"),
        ("on_init_end", "for_transformers"),
        ("before_training", "for_xgboost"),
        ("before_iteration", "for_lightgbm"),
        ("after_iteration", "for_catboost"),
    ],
)
def test_a_trainer_that_was_given_a_callback_as_it_is_says_which_adapter(asked, adapter):
    with pytest.raises(OnlookerError, match=rf"callbacks=\[onlooker\.{adapter}\(Callback\(\)\)\]"):
        getattr(Callback(), asked)


def test_all_fourteen_are_there_and_do_nothing():
    callback = Callback()
    for hook in HOOKS:
        method = getattr(callback, hook)
        assert method._is_default is True
        assert method(*([0] if len(arguments(hook)) == 2 else [])) is None
        assert method(*([0] if len(arguments(hook)) == 2 else []), {}) is None
    for alias in ALIASES:
        assert getattr(callback, alias)._is_default is True


def test_the_settings_of_the_class():
    assert (Callback.on_error, Callback.when, Callback.needs, Callback.async_safe) == ("raise", None, (), True)


def test_pickles_and_copies_leave_the_run_behind():
    callback = Counter()
    dispatcher = Dispatcher([callback])
    dispatcher.on_epoch_end(0)
    callback._bound_names = ("on_epoch_end",)
    callback.on_epoch_end = lambda epoch, logs: None  # what a host binds: no pickle could hold it
    for copied in (pickle.loads(pickle.dumps(callback)), copy.copy(callback), copy.deepcopy(callback)):
        assert copied.__dict__ == {"count": 4}
        copied.on_epoch_end(0)
        assert copied.count == 5
        with pytest.raises(NotAttachedError):
            copied.run  # noqa: B018
        Dispatcher([copied])
    assert callback.run is dispatcher.run  # and the original keeps all


def test_set_params_keeps_them():
    callback = Counter()
    callback.set_params({"epochs": 2})
    assert callback.params == {"epochs": 2}


def test_set_model_asks_the_host_of_the_models_family(monkeypatch):
    entered = []
    monkeypatch.setitem(host_entrances, "families", lambda callback, model: entered.append((callback, model)))
    parent = type("Parent", (), {"__module__": "families.of.models"})
    model = type("Model", (parent,), {"__module__": "user_code"})()
    callback = Counter()
    callback.set_model(model)
    assert entered == [(callback, model)]


@pytest.mark.parametrize("model", [None, 3, object()], ids=without_address)
def test_set_model_with_a_model_of_no_known_family(model):
    with pytest.raises(AttachError, match="Elsewhere pass callbacks="):
        Counter().set_model(model)
