"""Callbacks for these tests: one that notes everything, one that does something in a hook."""

import functools

from tests.recorder import Recording

from onlooker.core.hooks import HOOKS


@functools.cache
def recorder_class(base):
    """Return the class of recorders that is derived from a class of callbacks."""
    return type("Recorder", (Recording, base), {})


def recorder(host, act=None, reads=True):
    """Return a callback that notes all hooks of a host, and does something in each."""
    return recorder_class(host.base)(act, reads)


def on(host, *, on_error=None, when=None, needs=None, name="Acting", **hooks):
    """Return a callback with the given hooks: functions of the callback and of what the hook is given.

    Args:
        host: from whose class of callbacks it is derived.
        on_error, when, needs: as in a class of a user's; None leaves the default.
        name: of its class.
        **hooks: by name.
    """
    settings = {"on_error": on_error, "when": when, "needs": needs}
    body = {key: value for key, value in settings.items() if value is not None}
    return type(name, (host.base,), body | {hook: _hook(hook, function) for hook, function in hooks.items()})()


def once(hook, do, at=0):
    """Return `{hook: function}` for `on`: the function does something when the hook comes for the `at`-th time."""
    left = [at]

    def function(callback, *given):
        left[0] -= 1
        if left[0] == -1:
            do(callback)

    return {hook: function}


def ways_to_stop(host):
    """Return what asks to stop, for `once`: the run's method, and the model's attribute where it takes one."""

    def by_attribute(callback):
        callback.model.stop_training = True

    by_run = [lambda callback: callback.run.stop("enough")]
    return [*by_run, by_attribute] if host.gives("stop_training") else by_run


def all_stages(host, subject, callbacks, epochs=2):
    """Train, and evaluate and predict where that stands alone."""
    host.fit(subject, callbacks, epochs=epochs)
    if host.gives("evaluate"):
        host.evaluate(subject, callbacks)
    if host.gives("predict"):
        host.predict(subject, callbacks)


def raising(error):
    """Return what raises an error, for `once`."""

    def act(*given):
        raise error

    return act


def _hook(hook, function):
    scope = HOOKS.get(hook) or HOOKS.get(hook.replace("on_batch", "on_train_batch"))
    if scope is not None and scope.index is None:
        return lambda self, logs=None: function(self, logs)
    return lambda self, index, logs=None: function(self, index, logs)
