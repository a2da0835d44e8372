"""Everything that is refused when it is attached, each with the nearest right name, and what is let through."""

import copy
import functools
import inspect
import unittest.mock

import pytest
from tests.names import without_address

from onlooker.core.attach import check_callback, heard_hooks, listed
from onlooker.core.callback import Callback
from onlooker.core.declaration import Declaration, absent
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError
from onlooker.core.hooks import ALIASES, HOOKS, arguments
from onlooker.core.names import POLICIES
from onlooker.core.run import Run
from onlooker.core.trigger import after, at, before, every, when


def make(**attributes):
    return type("Watch", (Callback,), attributes)()


def attach(callback):
    return Dispatcher([callback])


def refusal(callback):
    with pytest.raises(AttachError) as caught:
        attach(callback)
    assert isinstance(caught.value, TypeError)
    return str(caught.value)


# What is passed.


def test_a_class_instead_of_an_instance():
    class Watch(Callback):
        pass

    assert refusal(Watch) == "Watch is a class; pass an instance: callbacks=[Watch()]"
    assert "pass an instance" in refusal(int)


@pytest.mark.parametrize("thing", [None, 3, "Watch", lambda epoch, logs: None, object()], ids=without_address)
def test_what_is_no_callback(thing):
    message = refusal(thing)
    assert "must be an onlooker.Callback" in message
    assert type(thing).__name__ in message


def test_a_duck_is_no_callback_but_is_told_what_to_do():
    class Duck:
        def on_epoch_end(self, epoch, logs=None):
            pass

    assert "derive its class from onlooker.Callback" in refusal(Duck())


def test_the_list_forgotten():
    for callbacks in (make(), {"a": make()}, "ab", 3):
        with pytest.raises(AttachError, match=r"must be a list of callbacks.*callbacks=\[\.\.\.\]"):
            Dispatcher(callbacks)


def test_any_iterable_of_callbacks_will_do():
    callbacks = [make(), make()]
    assert listed(None) == []
    for given in (callbacks, tuple(callbacks), iter(callbacks), (one for one in callbacks)):
        assert listed(given) == callbacks
    assert Dispatcher(None).callbacks == ()


def test_the_same_instance_twice():
    callback = make()
    with pytest.raises(AttachError, match="the same instance of Watch was passed twice; pass it once, or make two"):
        Dispatcher([callback, callback])
    dispatcher = Dispatcher([callback])
    with pytest.raises(AttachError, match="twice"):
        dispatcher.add(callback)
    Dispatcher([make(), make()])


def test_equal_instances_are_not_the_same():
    class Equal(Callback):
        def __eq__(self, other):
            return True

        __hash__ = None

    assert len(Dispatcher([Equal(), Equal()]).callbacks) == 2


def test_an_instance_in_two_live_runs():
    callback = make()
    dispatcher = Dispatcher([callback])
    Dispatcher([callback])  # neither is under way: the later one has it
    dispatcher = Dispatcher([callback])
    dispatcher.run.is_live = True
    with pytest.raises(AttachError, match=r"this instance of Watch is already in a run that is under way \(Run\("):
        Dispatcher([callback])
    dispatcher.run.is_live = False
    Dispatcher([callback])


def test_refused_at_the_start_when_another_run_has_taken_it_in_between():
    callback = make()
    first, second = Dispatcher([callback]), Dispatcher([callback])
    second.run.is_live = True
    with pytest.raises(AttachError, match="already in a run"):
        first.claim()
    second.run.is_live = False
    first.claim()
    assert callback.run is first.run


# Settings.


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_that_are_known(policy):
    attach(make(on_error=policy))


@pytest.mark.parametrize(
    ("policy", "hint"),
    [("rais", "did you mean 'raise'?"), ("warning", "did you mean 'warn'?"), ("Disable", "did you mean 'disable'?")],
)
def test_a_misspelled_policy_names_the_nearest(policy, hint):
    message = refusal(make(on_error=policy))
    assert message.startswith(f"Watch.on_error={policy!r} must be one of raise, warn, disable; ")
    assert message.endswith(hint)


@pytest.mark.parametrize("policy", [None, True, 3, "zzz", ("raise",)])
def test_a_policy_like_none(policy):
    assert "must be one of raise, warn, disable" in refusal(make(on_error=policy))


def test_settings_on_the_instance_count():
    callback = make()
    callback.on_error = "nope"
    assert "on_error='nope'" in refusal(callback)
    callback = make()
    callback.when = 5
    assert "Watch.when=5 is no trigger; use for example when=onlooker.every(epochs=5)" in refusal(callback)


@pytest.mark.parametrize("value", [5, "every", lambda run: True, every])
def test_a_when_that_is_no_trigger(value):
    callback = make()
    callback.when = value
    assert "is no trigger" in refusal(callback)


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (("gradient",), "did you mean 'gradients'?"),
        (("xyz",), "known: params, logs"),
        (("gradients",), "Watch needs 'gradients', which is absent in Elsewhere: for a test"),
    ],
)
def test_needs_that_the_host_cannot_meet(needs, words):
    host = Declaration("Elsewhere", use="", abilities={"gradients": absent("for a test")})
    with pytest.raises(AttachError) as caught:
        Dispatcher([make(needs=needs)], Run(host=host))
    assert words in str(caught.value)


def test_needs_that_are_met():
    Dispatcher([make(needs=("gradients", "step"))])


def test_what_is_refused_is_not_half_attached():
    dispatcher = Dispatcher()
    callback = make(on_epoch_begin=lambda self, epoch, logs=None: None, on_epoch_end=lambda self: None)
    with pytest.raises(AttachError):
        dispatcher.add(callback)
    assert dispatcher.callbacks == ()
    assert not any(dispatcher.listens(hook) for hook in HOOKS)


# Spelling.

MISSPELLED = {
    "on_epoch_ends": "on_epoch_end",
    "on_epoch_ended": "on_epoch_end",
    "on_epochs_end": "on_epoch_end",
    "on_epoch_start": "on_epoch_begin",
    "on_epoch_beginning": "on_epoch_begin",
    "on_epcoh_end": "on_epoch_end",
    "on_Epoch_end": "on_epoch_end",
    "On_epoch_end": "on_epoch_end",
    "On_epoch_ends": "on_epoch_end",
    "ON_EPOCH_END": "on_epoch_end",
    "onepochend": "on_epoch_end",
    "onEpochend": "on_epoch_end",
    "on_epochend": "on_epoch_end",
    "OnTrainBatchEnd": "on_train_batch_end",
    "onbatchend": "on_batch_end",
    "on_train_batches_end": "on_train_batch_end",
    "on_train_batch_ends": "on_train_batch_end",
    "on_train_batch_start": "on_train_batch_begin",
    "on_training_begin": "on_train_begin",
    "on_train_start": "on_train_begin",
    "on_training_end": "on_train_end",
    "on_tests_end": "on_test_end",
    "on_predict_batches_begin": "on_predict_batch_begin",
    "on_prediction_end": "on_predict_end",
    "on_fit_begin": "on_train_begin",
    "on_fit_start": "on_train_begin",
    "on_fit_end": "on_train_end",
    "on_step_begin": "on_train_batch_begin",
    "on_step_end": "on_train_batch_end",
    "on_train_epoch_start": "on_epoch_begin",
    "on_train_epoch_end": "on_epoch_end",
    "on_validation_begin": "on_test_begin",
    "on_validation_start": "on_test_begin",
    "on_validation_end": "on_test_end",
    "on_validation_batch_begin": "on_test_batch_begin",
    "on_validation_batch_end": "on_test_batch_end",
    "on_evaluate": "on_test_end",
    "on_evaluate_begin": "on_test_begin",
    "on_evaluate_end": "on_test_end",
    "on_batch_ends": "on_batch_end",
    "on_batch_start": "on_batch_begin",
    "on_test_start": "on_test_begin",
    "on_test_batch_start": "on_test_batch_begin",
    "on_predict_start": "on_predict_begin",
    "on_predict_batch_start": "on_predict_batch_begin",
}


@pytest.mark.parametrize("name", MISSPELLED)
@pytest.mark.parametrize("where", ["class", "instance", "parent", "mixin"])
def test_a_misspelled_hook_names_the_right_one(name, where):
    def hook(self, *arguments):
        pass

    if where == "class":
        callback = make(**{name: hook})
    elif where == "instance":
        callback = make()
        setattr(callback, name, lambda *arguments: None)
    elif where == "parent":
        callback = type("Watch", (type("Parent", (Callback,), {name: hook}),), {})()
    else:
        callback = type("Watch", (type("Mixin", (), {name: hook}), Callback), {})()
    message = refusal(callback)
    assert message.startswith(f"Watch.{name} is no hook and would never be called; did you mean ")
    assert f"did you mean {MISSPELLED[name]}? " in message


@pytest.mark.parametrize(
    "name",
    [
        "on_click",
        "on_picture",
        "on_error_again",
        "online",
        "on_",
        "On_click",
        "once_per_epoch_end",
        "only_train_end",
        "_on_epoch_ends",
        "_on_epoch_end",
        "epoch_end",
        "train_begin",
    ],
)
def test_methods_of_ones_own_are_let_be(name):
    attach(make(**{name: lambda self: None}))


def test_an_attribute_that_cannot_be_called_is_no_hook():
    attach(make(on_epoch_ends=3))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_val_begin", "on_test_begin"),
        ("on_valid_end", "on_test_end"),
        ("on_eval_end", "on_test_end"),
        ("on_validation_epoch_end", "on_test_end"),
        ("on_val_batch_end", "on_test_batch_end"),
        ("on_validation_step_end", "on_test_batch_end"),
        ("on_iter_end", "on_train_batch_end"),
        ("on_training_step_start", "on_train_batch_begin"),
        ("on_train_epoch_start", "on_epoch_begin"),
        ("on_evaluate", "on_test_end"),
        ("onEpochEnd", "on_epoch_end"),
    ],
)
def test_what_others_call_a_moment_leads_to_our_hook(name, meant):
    message = refusal(make(**{name: lambda self: None}))
    assert f"Watch.{name} is no hook and would never be called; did you mean {meant}? " in message


@pytest.mark.parametrize("where", ["class", "instance"])
@pytest.mark.parametrize("name", ["on_eror", "on_errors", "on_err", "onerror", "On_error"])
def test_a_misspelled_policy_attribute_is_refused(name, where):
    callback = make(**{name: "warn"}) if where == "class" else make()
    if where == "instance":
        setattr(callback, name, "warn")
    assert refusal(callback) == f"Watch.{name}='warn' says nothing to anybody; did you mean on_error?"


@pytest.mark.parametrize(("name", "value"), [("on_errors", []), ("on_what", "raise"), ("on_error_text", "it broke")])
def test_attributes_that_only_look_a_little_like_the_policy(name, value):
    attach(make(**{name: value}))


# Names of ours that a callback uses for something else.


@pytest.mark.parametrize("name", ["run", "model", "params"])
def test_an_attribute_of_ours_set_by_the_callback_is_refused(name):
    callback = make()
    setattr(callback, name, object())
    assert f"Watch.{name} is set" in refusal(callback)
    assert "call it something else" in refusal(callback)


@pytest.mark.parametrize("name", ["run", "model", "params"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda self: 1, "is a method, but"),
        (staticmethod(len), "is a method, but"),
        ({"epochs": 1}, "is set to {'epochs': 1} in the class, but"),
        (property(lambda self: 1), "is a property that cannot be set, but"),
    ],
    ids=["method", "static method", "value", "property"],
)
def test_a_name_of_ours_taken_in_the_class_is_refused(name, value, words):
    for kind in (
        type("Watch", (Callback,), {name: value}),
        type("Watch", (type("P", (Callback,), {name: value}),), {}),
    ):
        message = refusal(kind())
        assert message.startswith(f"Watch.{name} {words} {name} is ")
        assert message.endswith("when it is attached; call it something else")


@pytest.mark.parametrize("name", ["run", "model", "params"])
def test_names_of_ours_in_the_class_that_do_no_harm(name):
    both_ways = property(lambda self: vars(self)[name], lambda self, value: vars(self).update({name: value}))
    for value in (None, {}, both_ways):  # nothing and an empty dict are placeholders, as linters like them
        callback = make(**{name: value})
        run = attach(callback).run
        assert getattr(callback, name) is (run if name == "run" else getattr(run, name))


def test_a_placeholder_that_would_hide_a_model_that_is_looked_up_each_time_is_refused():
    run = Run()
    run.view.is_replaced = True
    Dispatcher([make(params={}, run=None)], run)
    for kind in (type("Watch", (Callback,), {"model": None}), type("Watch", (type(make(model=None)),), {})):
        with pytest.raises(AttachError) as caught:
            Dispatcher([kind()], run)
        assert str(caught.value) == (
            "Watch.model is set to None in the class, which hides the model here: it is a state that is looked up each "
            "time, as each step makes a new one; write no more than its type, model: object"
        )


def test_what_a_run_has_given_is_not_the_callbacks_own():
    callback = make()
    for _ in range(3):
        attach(callback)
    by_keras = make()
    by_keras.set_params({"epochs": 3})  # before set_model, as in a loop of somebody's own
    by_keras.set_params({"epochs": 4})
    attach(by_keras)
    assert attach(copy.copy(by_keras)).callbacks[0].params == {}


def test_needs_that_are_one_word_are_refused():
    assert "Watch.needs='gradients' must be a tuple of names: ('gradients',)" in refusal(make(needs="gradients"))


# Arguments.


def no_arguments(self): ...
def only_logs(self, logs=None): ...
def index_only(self, epoch): ...
def both(self, epoch, logs): ...
def both_default(self, epoch, logs=None): ...
def other_index_name(self, number, logs=None): ...
def three_with_default(self, epoch, logs=None, more=1): ...
def three(self, epoch, logs, more): ...
def no_name(self, epoch, _): ...
def no_names(self, _, _logs): ...
def keras_log(self, epoch, log=None): ...
def letters(self, e, l): ...  # noqa: E741  # as users write it
def metrics_name(self, epoch, metrics, *rest): ...
def swapped(self, logs, epoch): ...
def swapped_batch(self, logs=None, batch=None): ...
def logs_first(self, logs, _): ...
def epoch_last(self, number, epoch): ...
def keyword_needed(self, epoch, logs, *, more): ...
def keyword_optional(self, epoch, logs, *, more=1): ...
def any_arguments(self, *arguments): ...
def anything(self, *arguments, **named): ...
def index_and_rest(self, epoch, *rest): ...
def position_only(self, epoch, logs, /): ...
def logs_keyword_only(self, epoch, *, logs=None): ...


FITTING = [
    both,
    both_default,
    other_index_name,
    three_with_default,
    keyword_optional,
    any_arguments,
    anything,
    index_and_rest,
    position_only,
    no_name,
    no_names,
    keras_log,
    letters,
    metrics_name,
]
UNFITTING = {
    no_arguments: "takes (nothing), which is too few",
    index_only: "takes (epoch), which is too few",
    only_logs: "takes (logs), which is too few",
    three: "takes (epoch, logs, more), which is 1 more than it is given",
    swapped: "takes (logs, epoch), but it is given (epoch, logs) in this order",
    swapped_batch: "takes (logs, batch), but it is given (epoch, logs) in this order",
    logs_first: "takes (logs, _), but it is given (epoch, logs) in this order",
    epoch_last: "takes (number, epoch), but it is given (epoch, logs) in this order",
    keyword_needed: "needs the keyword more, which nobody gives",
    logs_keyword_only: "takes (epoch), which is too few",
}


def dressings(function):
    """Yield the ways in which a hook may be there: each has to be judged by its own arguments."""

    @functools.wraps(function)
    def wrapped(*arguments, **named):
        return function(*arguments, **named)

    on_instance = make()
    on_instance.on_epoch_end = function.__get__(on_instance)
    partial = make()
    partial.on_epoch_end = functools.partial(function, partial)
    callable_object = make()
    call = type("Call", (), {"__call__": function})()
    callable_object.on_epoch_end = call
    yield "method", make(on_epoch_end=function)
    yield "wrapped", make(on_epoch_end=wrapped)
    yield "on the instance", on_instance
    yield "partial", partial
    yield "callable object", callable_object
    yield "classmethod", make(on_epoch_end=classmethod(function))
    yield "staticmethod", make(on_epoch_end=staticmethod(functools.partial(function, None)))


@pytest.mark.parametrize("function", FITTING, ids=lambda function: function.__name__)
def test_arguments_that_fit(function):
    for way, callback in dressings(function):
        dispatcher = attach(callback)
        assert dispatcher.listens("on_epoch_end"), way
        dispatcher.on_epoch_end(0, {})


@pytest.mark.parametrize("function", UNFITTING, ids=lambda function: function.__name__)
def test_arguments_that_do_not_fit(function):
    for way, callback in dressings(function):
        message = refusal(callback)
        assert (
            message == f"Watch.on_epoch_end {UNFITTING[function]}; expected def on_epoch_end(self, epoch, logs=None)"
        ), way


@pytest.mark.parametrize("hook", [*HOOKS, *ALIASES])
def test_a_wrong_arity_is_found_in_every_hook(hook):
    expected = arguments(ALIASES.get(hook, hook))
    message = refusal(make(**{hook: lambda self: None}))
    assert message.startswith(
        f"Watch.{hook} takes (nothing), which is too few; expected def {ALIASES.get(hook, hook)}("
    )
    if len(expected) == 1:
        message = refusal(make(**{hook: lambda self, epoch, logs: None}))
        assert "1 more than it is given" in message


def test_a_plain_function_on_the_instance_has_no_self():
    callback = make()
    callback.on_epoch_end = lambda epoch, logs: seen.append((epoch, dict(logs)))
    seen = []
    attach(callback).on_epoch_end(3, {"loss": 1.0})
    assert seen == [(3, {"loss": 1.0})]
    callback = make()
    callback.on_epoch_end = lambda self, epoch, logs: None
    assert "1 more than it is given" in refusal(callback)


def test_a_signature_that_a_function_claims_is_taken_at_its_word():
    def hook(*arguments):
        pass

    hook.__signature__ = inspect.signature(only_logs)
    assert "Watch.on_epoch_end takes (logs), which is too few" in refusal(make(on_epoch_end=hook))


def test_a_builtin_is_asked_for_its_arguments_too(capsys):
    callback = make()
    callback.on_train_end = print
    attach(callback).on_train_end({"loss": 1.0})
    assert capsys.readouterr().out == "{'loss': 1.0}\n"
    callback = make()
    callback.on_train_end = isinstance
    assert "takes (obj, class_or_tuple), which is 1 more than it is given" in refusal(callback)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_parameter_may_have_any_name_as_in_keras(hook):
    seen = []
    if HOOKS[hook].index is None:
        callback = make(**{hook: lambda self, _: seen.append(_)})
        getattr(attach(callback), hook)({"loss": 1.0})
    else:
        callback = make(**{hook: lambda self, i, metrics=None: seen.append(metrics)})
        getattr(attach(callback), hook)(2, {"loss": 1.0})
    assert seen == [{"loss": 1.0}]


async def asynchronous(self, epoch, logs=None): ...
def generator(self, epoch, logs=None):
    yield


async def asynchronous_generator(self, epoch, logs=None):
    yield


@pytest.mark.parametrize("function", [asynchronous, generator, asynchronous_generator])
def test_what_would_never_run_is_refused(function):
    assert "is async or a generator; a hook must be a plain function" in refusal(make(on_epoch_end=function))


@pytest.mark.parametrize("function", [asynchronous, generator])
def test_what_would_never_run_is_refused_under_a_decorator_too(function):
    @functools.wraps(function)
    def wrapped(*arguments):
        return function(*arguments)

    callback = make(on_epoch_end=wrapped)
    # The wrapper itself is a plain function and may well run what it wraps.
    assert attach(callback).listens("on_epoch_end")


@pytest.mark.parametrize("value", [None, 3, "x"])
def test_a_hook_that_cannot_be_called(value):
    message = refusal(make(on_epoch_end=value))
    assert (
        message == f"Watch.on_epoch_end={value!r} cannot be called; expected def on_epoch_end(self, epoch, logs=None)"
    )


def test_a_mock_on_the_instance_is_a_hook():
    """A mock answers every question with something true, also whether it is a default hook or has a trigger."""
    callback = make()
    callback.on_epoch_end = unittest.mock.Mock()
    attach(callback).on_epoch_end(2, {"loss": 0.5})
    callback.on_epoch_end.assert_called_once_with(2, {"loss": 0.5})


# Which hooks are heard.


def test_only_what_is_overridden_is_heard():
    assert heard_hooks(make()) == {}
    for hook in HOOKS:
        assert list(heard_hooks(make(**{hook: lambda self, *arguments: None}))) == [hook]


def test_a_hook_that_calls_super_is_heard_and_the_parents_too():
    class Parent(Callback):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)

    class Child(Parent):
        def on_train_end(self, logs=None):
            super().on_train_end(logs)

    assert list(heard_hooks(Child())) == ["on_train_end", "on_epoch_end"]


def test_a_hook_given_back_its_default_is_not_heard():
    class Parent(Callback):
        def on_epoch_end(self, epoch, logs=None): ...

    assert heard_hooks(type("Child", (Parent,), {"on_epoch_end": Callback.on_epoch_end})()) == {}


@pytest.mark.parametrize("alias", ALIASES)
def test_keras_older_names_are_heard_and_the_newer_name_wins(alias):
    seen = []
    older = make(**{alias: lambda self, batch, logs=None: seen.append("older")})
    assert list(heard_hooks(older)) == [ALIASES[alias]]
    both_names = make(
        **{
            alias: lambda self, batch, logs=None: seen.append("older"),
            ALIASES[alias]: lambda self, batch, logs=None: seen.append("newer"),
        }
    )
    getattr(attach(both_names), ALIASES[alias])(0)
    assert seen == ["newer"]


def test_check_callback_lets_a_good_one_through():
    assert check_callback(make(on_epoch_end=both_default, when=every(epochs=2), on_error="warn")) is None


# Triggers.


@pytest.mark.parametrize("hook", [hook for hook, scope in HOOKS.items() if scope.index is None])
def test_a_trigger_above_a_hook_that_always_comes(hook):
    function = every(epochs=2)(lambda self, logs=None: None)
    message = refusal(make(**{hook: function}))
    assert message.startswith(f"Watch.{hook} has the trigger every(epochs=2) above it, but {hook} always comes: ")


@pytest.mark.parametrize(
    "trigger", [every(batches=2), at(batches=1), after(batches=1), before(batches=1)], ids=without_address
)
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
def test_a_trigger_on_batches_above_an_epoch_hook(trigger, hook):
    function = trigger(lambda self, epoch, logs=None: None)
    assert f"Watch.{hook}: {trigger!r} can never pass there" in refusal(make(**{hook: function}))
    plain = make(**{hook: lambda self, epoch, logs=None: None}, when=trigger)
    assert "can never pass there" in refusal(plain)
    assert "can never pass there" in refusal(make(**{hook: lambda self, epoch, logs=None: None}, when=~trigger))
    for combined in (trigger | every(epochs=1), every(epochs=1) | trigger, every(epochs=1) & trigger):
        callback = make(**{hook: lambda self, epoch, logs=None: None}, when=combined)
        assert "can never pass there" in refusal(callback)


@pytest.mark.parametrize("trigger", [every(steps=2), at(steps=1)], ids=without_address)
@pytest.mark.parametrize(
    "hook",
    ["on_epoch_begin", "on_test_batch_begin", "on_test_batch_end", "on_predict_batch_begin", "on_predict_batch_end"],
)
def test_a_trigger_on_the_change_of_the_step_where_it_cannot_change(trigger, hook):
    function = trigger(lambda self, index, logs=None: None)
    assert "can never pass there" in refusal(make(**{hook: function}))


@pytest.mark.parametrize("trigger", [after(steps=2), before(steps=1)], ids=without_address)
def test_a_trigger_on_the_value_of_the_step_goes_anywhere(trigger):
    for hook, scope in HOOKS.items():
        if scope.index is not None:
            attach(make(**{hook: trigger(lambda self, index, logs=None: None)}))


def test_a_whole_callback_with_a_trigger_may_have_hooks_that_always_come():
    attach(make(when=every(epochs=2), on_train_begin=lambda self, logs=None: None))


@pytest.mark.parametrize("dress", [lambda function: function, staticmethod, classmethod])
def test_a_trigger_above_a_method_that_is_no_hook(dress):
    callback = make(draw=dress(every(epochs=2)(lambda self: None)), on_epoch_end=lambda self, epoch, logs: None)
    assert refusal(callback) == (
        "Watch.draw has the trigger every(epochs=2) above it, but draw is no hook, and triggers gate hooks only. "
        "Put it above the hook that calls draw, or remove it"
    )


def test_a_method_that_is_a_hook_under_another_name_may_have_a_trigger():
    function = every(epochs=2)(lambda self, epoch, logs=None: None)
    attach(make(draw=function, on_epoch_end=function))
    callback = make(draw=function)
    callback.on_epoch_end = callback.draw
    attach(callback)


def test_when_on_a_callback_without_hooks():
    attach(make(when=when(lambda run: True)))
