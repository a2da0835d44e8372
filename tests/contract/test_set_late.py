"""Hooks that a callback sets on itself in on_train_begin come as if they had been there before, in every host."""

from onlooker.core.hooks import HOOKS


def heard(host, is_late):
    """Train with a callback that sets its hooks on itself; return the hooks in the order in which they came."""
    seen = []

    class Late(host.base):
        def on_train_begin(self, logs=None):
            if is_late:
                self.set_hooks()

        def set_hooks(self):
            for hook, scope in HOOKS.items():
                if hook != "on_train_begin" and scope.stage == "train":
                    setattr(self, hook, lambda *given, hook=hook, **named: seen.append(hook))

    callback = Late()
    if not is_late:
        callback.set_hooks()
    host.fit(host.make(), [callback], epochs=2)
    return seen


def test_hooks_that_are_set_when_the_training_begins(any_host):
    assert heard(any_host, is_late=True) == heard(any_host, is_late=False) != []
