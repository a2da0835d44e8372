"""`Recorder`: a callback that notes all fourteen hooks, and checks that they came as the grammar says."""

from onlooker.core.callback import Callback
from onlooker.core.hooks import HOOKS, check_grammar


class Event:
    """One call of a hook.

    Attributes:
        hook: its name.
        index: the epoch or the batch; None where the hook has none.
        logs: a copy of the logs, as a plain dict.
        batch: a copy of `logs.batch`; None where the logs have no such thing.
        kept: the logs themselves.
        run: where the run stood, as a dict; None for a callback that has no run.
    """

    POSITION = ("stage", "epoch", "batch", "step", "outcome", "reason")

    def __init__(self, callback, hook, index, logs):
        self.hook, self.index, self.kept = hook, index, logs
        self.logs = self.batch = None
        if callback.reads and logs is not None:
            self.logs = dict(logs)
            own = getattr(logs, "batch", None)
            self.batch = None if own is None else dict(own)
        run = getattr(callback, "run", None)
        self.run = None if run is None else {name: getattr(run, name) for name in self.POSITION}

    def __repr__(self):
        return f"{self.hook}({'' if self.index is None else self.index})"


class Recording:
    """What a recorder does; the class of callbacks that it becomes is somebody else's choice."""

    reads = True

    def __init__(self, act=None, reads=True):
        super().__init__()
        self.events = []
        self.act = act
        self.reads = reads

    def note(self, hook, index, logs):
        self.events.append(Event(self, hook, index, logs))
        if self.act is not None:
            self.act(self, hook, index, logs)

    # As a user would write them.

    def on_train_begin(self, logs=None):
        self.note("on_train_begin", None, logs)

    def on_train_end(self, logs=None):
        self.note("on_train_end", None, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.note("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.note("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self.note("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self.note("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs=None):
        self.note("on_test_begin", None, logs)

    def on_test_end(self, logs=None):
        self.note("on_test_end", None, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.note("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self.note("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs=None):
        self.note("on_predict_begin", None, logs)

    def on_predict_end(self, logs=None):
        self.note("on_predict_end", None, logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self.note("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.note("on_predict_batch_end", batch, logs)

    # Reading what was noted.

    @property
    def hooks(self):
        """The names of the hooks, in order."""
        return [event.hook for event in self.events]

    @property
    def calls(self):
        """The hooks with their index, in order."""
        return [(event.hook, event.index) for event in self.events]

    def of(self, hook):
        """The events of one hook."""
        return [event for event in self.events if event.hook == hook]

    def logs(self, hook):
        """The logs of one hook, each time that it came."""
        return [event.logs for event in self.of(hook)]

    def last(self, hook):
        """The last event of one hook."""
        return self.of(hook)[-1]

    def check(self, first_epoch=0):
        """Check the grammar, the counting and the positions of all that was noted.

        Args:
            first_epoch: with which each training begins.
        """
        check_grammar(self.hooks)
        counts, opened = {}, []
        for event in self.events:
            scope = HOOKS[event.hook]
            assert event.kept is not None, f"{event}: logs is None"
            if event.hook == scope.begin:
                opened.append((scope.name, event.index))
                # Epochs count within a training, batches within an epoch, a test or a prediction.
                start = first_epoch if scope.name == "epoch" else 0
                if scope.index is not None:
                    assert event.index == counts.setdefault(scope.name, start), f"{event}: counted wrongly"
                    counts[scope.name] += 1
                if scope.name in ("train", "epoch", "test", "predict"):
                    inner = {"train": "epoch", "epoch": "train_batch"}.get(scope.name, f"{scope.name}_batch")
                    counts.pop(inner, None)
            else:
                assert opened.pop() == (scope.name, event.index), f"{event} closes another one"
            if event.run is not None:
                self._check_position(event, scope, opened)
        return self

    @staticmethod
    def _check_position(event, scope, opened):
        run = event.run
        assert run["stage"] == scope.stage, f"{event}: stage is {run['stage']}"
        inside = dict(opened)
        epoch = event.index if scope.name == "epoch" else inside.get("epoch")
        if epoch is not None:
            assert run["epoch"] == epoch, f"{event}: epoch is {run['epoch']}, not {epoch}"
        batch = event.index if scope.name.endswith("_batch") else None
        assert run["batch"] == batch, f"{event}: batch is {run['batch']}, not {batch}"


class Recorder(Recording, Callback):
    """A recorder for Onlooker's own hosts.

    Args:
        act: called in each hook with the recorder, the hook, its index and the logs.
        reads: whether to read the logs.
    """
