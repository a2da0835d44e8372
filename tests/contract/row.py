"""`Row`: what a host has to offer to be put through this folder's tests, and what a row may leave as it is.

A newcomer derives a class from `Row`, gives it `name` and `declaration`, implements the methods that raise
`NotImplementedError`, and enters it in `hosts.py`. What its declaration calls absent is not asked of it: those tests
are skipped, with the declaration's own reason (`needs` in `conftest.py`). What a host lacks that is no hook and no
ability stands in `lacks`, again with the reason.
"""

import numpy as np
from tests.contract.data import BATCHES, TEST_BATCHES

import onlooker as ol
from onlooker.core.declaration import ABILITIES, ABSENT, EMULATED
from onlooker.core.hooks import ALIASES, HOOKS

TRAITS = {
    "line": "make_line and line: a linear model that does not move, for figures that numpy can give",
    "user": "fit(user=...): code of the user's own that is called in each batch, or in each epoch where there is none",
    "no_epoch": "fit(epochs=0)",
    "stop_by_user": "stop_by_user: the user ends the training without a callback",
    "stop_training": "self.model.stop_training = True: the model takes attributes",
    "draw": "the training draws from the generator from which draw draws, and so drawing shows in the weights",
    "nested": "another: a second training from within a hook of the first",
    "keras_callbacks": "Keras' own callbacks run beside ours",
}
"""What a row may lack that is neither a hook nor an ability, with what it means."""

STAGES = {"evaluate": "test", "predict": "predict"}
"""The stages that may stand alone, by the method that runs them."""


class Row:
    """A host in the table: a tiny real model, trained in the host's own way on `data.py`.

    Attributes:
        name: for the tests' names.
        declaration: what the host says of itself.
        base: the class from which callbacks are derived in this row.
        has_run: whether such callbacks have `self.run`.
        file_name: under which `run.save` writes.
        has_outputs_in_training: whether `run.outputs` is there in training and evaluation too.
        values: the names in the logs of train batches, in their order.
        test_values: the same of test batches and on_test_end; None means `values`.
        loss_name: which of the values moves in each epoch, in training and in evaluation.
        learning_rate: of what `make` returns.
        resting_rate: a learning rate at which nothing moves.
        stands_alone: which of "test" and "predict" can run outside a training.
        lacks: which of `TRAITS` the row cannot have, each with the reason.
    """

    name: str
    declaration: ol.core.declaration.Declaration
    base = ol.Callback
    has_run = True
    file_name = "run.pt"
    has_outputs_in_training = True
    values = ("accuracy", "loss")
    test_values = None
    loss_name = "loss"
    learning_rate = 0.05
    resting_rate = 0.0
    stands_alone = frozenset(("test", "predict"))
    lacks: dict = {}  # noqa: RUF012 - nobody writes to it

    # What the host gives.

    def why_not(self, name):
        """Return why something is absent here, or None where it is there.

        Args:
            name: a hook, an alias of one, an ability, one of `TRAITS`, or "evaluate" and "predict" for a stage that
                stands alone.
        """
        if name in TRAITS:
            return self.lacks.get(name)
        if name in STAGES:
            if STAGES[name] not in self.stands_alone:
                return f"{name} does not stand alone in {self.declaration.name}"
            name = f"on_{STAGES[name]}_begin"
        name = ALIASES.get(name, name)
        if name not in HOOKS and name not in ABILITIES:
            raise ValueError(f"{name!r} is no hook, no ability, no stage, and none of {', '.join(TRAITS)}")
        support = self.declaration.hooks.get(name) or self.declaration.abilities[name]
        return support.reason if support.level == ABSENT else None

    def gives(self, name):
        """Say whether something is there; what may be asked for stands at `why_not`."""
        return self.why_not(name) is None

    @property
    def steps(self):
        """How many steps an epoch has, which is also `params["steps"]`: one where there are no batches to be seen."""
        return BATCHES if self.gives("on_train_batch_end") else 1

    def names_in(self, stage):
        """Return the names in the logs of a stage's batches and of its end, in their order."""
        if stage == "predict":
            return ["outputs"]
        return [*((stage == "test" and self.test_values) or self.values)]

    def names_in_epoch(self, validation=True):
        """Return the names in the logs of on_epoch_end, in their order."""
        return [*self.names_in("train"), *(f"val_{name}" for name in self.names_in("test") if validation)]

    def stop_counts(self, hook):
        """Return what has been in a training of several epochs where a hook asks to stop when it first comes.

        Where the declaration says that stopping is emulated, one batch runs before anybody looks.

        Returns:
            How often on_epoch_end, on_train_batch_end and on_test_batch_end came.
        """
        nothing, no_batch, one_batch = (0, 0, 0), (1, 0, 0), (1, 1, TEST_BATCHES)
        early = {"on_train_begin": nothing, "on_epoch_begin": no_batch}
        if hook in early:
            is_late = self.declaration.abilities["stop"].level == EMULATED
            return self.seen_of(one_batch if is_late else early[hook])
        is_within_epoch = hook in ("on_train_batch_begin", "on_train_batch_end")
        return self.seen_of(one_batch if is_within_epoch else (1, BATCHES, TEST_BATCHES))

    def seen_of(self, counts):
        """Return counts of epochs, train batches and test batches with 0 where the host has no such hook."""
        hooks = ("on_epoch_end", "on_train_batch_end", "on_test_batch_end")
        return tuple(count * self.gives(hook) for hook, count in zip(hooks, counts, strict=True))

    def declare(self, monkeypatch, ability, support):
        """Have the host say something else of an ability, for one test."""
        monkeypatch.setitem(self.declaration.abilities, ability, support)

    # What is trained. A subject is whatever the row likes: the model with all that belongs to it.

    def make(self, number=0):
        """Return a classifier that draws random numbers in training, the same each time; a number makes another."""
        raise NotImplementedError

    def make_line(self):
        """Return a linear model with squared error, logged as "loss" alone, that does not move."""
        raise NotImplementedError

    def line(self, subject):
        """Return the weights of a linear model, of shape (4,), and its offset."""
        raise NotImplementedError

    def model_of(self, subject):
        """Return what callbacks see as `self.model`."""
        raise NotImplementedError

    def state_of(self, subject):
        """Return all that a training changes, as a list of arrays."""
        raise NotImplementedError

    def state_of_running(self, callback, subject):
        """Return the same as `state_of`, within a hook."""
        return self.state_of(subject)

    def trained_of(self, subject):
        """Return the weights that an optimizer moves, as a list of arrays."""
        raise NotImplementedError

    def as_array(self, weight):
        """Return a weight, as `run.weights()` has it, as an array."""
        return np.asarray(weight)

    def use(self, model):
        """Call the model as a callback would, to look at what it makes of `data.X`; return an array of two axes."""
        raise NotImplementedError

    def draw(self):
        """Draw three numbers from the random generator of the framework."""
        return np.random.random(3)

    # The host's own way.

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        """Train with the callbacks on `X` and `Y`, in their order, in batches of `BATCH_SIZE`.

        Args:
            subject: what `make` returned.
            callbacks: of the row's `base`.
            epochs: how many, in all.
            validation: whether to evaluate on the held-out data in each epoch.
            resume: a file of `run.save` from which to go on.
            user: called with epoch and batch, as the user's own code, in each batch; where there are no batches, in
                each epoch with 0 as the batch.
        """
        raise NotImplementedError

    def evaluate(self, subject, callbacks):
        """Evaluate on the held-out data, outside any training; return the logs."""
        raise NotImplementedError

    def predict(self, subject, callbacks):
        """Predict for the held-out data, outside any training."""
        raise NotImplementedError

    def evaluate_within(self, subject):
        """Evaluate on the held-out data from within a hook; return the logs. For the ability `silent_stages`."""
        raise NotImplementedError

    def stop_by_user(self, subject):
        """End the training as the user would who writes no callback."""
        raise NotImplementedError

    def another(self):
        """Return the same host once more, for a second training while the first is under way."""
        return type(self)()


def same(first, second):
    """Say whether two lists of arrays are the same, bit by bit."""
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
