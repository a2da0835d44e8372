"""`FindNaN`: names what first stopped being finite in a training.

Owns the arguments, when it looks, and what is done after a finding. What is kept is `past`'s business, running it once
more `search`'s, and the words are `finding`'s.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from onlooker.core.callback import Callback
from onlooker.core.declaration import ABSENT
from onlooker.core.errors import AbsentError
from onlooker.core.logs import DeviceValue, fetch_together
from onlooker.core.record import Alert

from .finding import Finding
from .past import Past
from .search import Search, is_finite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.logs import Logs

_WHY = "from the first NaN on nothing is learned, and whatever it reaches is lost"
_ADVICE = "run the batch by hand: finding.data holds it, and the model is as it was right before it"


class FindNaN(Callback):
    """Finds the first operation that puts out NaN or infinities, when a loss, a gradient or a weight is not finite.

    Acts in `on_train_begin`, where it begins anew, in `on_train_batch_begin`, where it keeps the batch and, from time
    to time, a snapshot of the training, in `on_train_batch_end`, where it looks at the losses and from time to time at
    weights and optimizers, and in `on_epoch_end` and `on_train_end`, where it lets go of what it keeps. Reads the
    batch's own logged losses; those on a device are added up there and read with the next look at the weights. Writes
    no logs.

    When something is not finite it goes back to the snapshot and has the host run the kept batches once more, with your
    own code: first to find the batch in which it began, then that batch alone, watched operation by operation. No other
    callback is called meanwhile, and nothing that is logged counts. Your code runs twice there: what it keeps itself,
    such as its own count of batches (use `loop.run.batch`) or the step of a schedule, moves on twice. Afterwards the
    model is as it was right before the batch, without a NaN. No hooks are set otherwise, and a training in which all
    is finite ends bit by bit the same with it as without it.

    It costs memory: one copy of weights, buffers and optimizers' states, and copies of the last batches; `size_bytes`
    tells how much. It costs the time to copy each batch, and each `steps_back` steps one pass over weights and
    optimizers' states to look at them and one to copy them.

    A gradient that is not finite is looked for when no optimizer has used it yet; one of which a gradient scaler says
    that the step shall be skipped is no finding.

    Args:
        then: `"stop"` (default): the training ends with the batch, and the reason says what was found. `"restore"`: it
            goes on from right before the batch, which is skipped.
        steps_back: how many batches are kept at most before a new snapshot is made: so far it can go back.
        at_most: how often a training is restored before it is stopped after all.
        losses: a pattern on the names of logged values that have to be finite, or a list of them.
        limit_bytes: of the batches kept. Where that is reached earlier, the new snapshot comes earlier.

    Attributes:
        finding: the last one, or None. `print(find_nan.finding)` says all that is known.
        findings: all of this training.
        size_bytes: how much memory is taken at the moment.

    Raises:
        ValueError: an argument is out of its range.
        AttachError: `then="restore"` in a host that cannot run a batch once more.

    Records an `Alert` with the rule `"not_finite"`.

    Example:
        >>> import torch, onlooker as ol
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Linear(4, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> find_nan = ol.callbacks.FindNaN()
        >>> with ol.Loop(model, optimizer, callbacks=[find_nan]) as loop:
        ...     for x in loop.train([torch.ones(8, 4), torch.zeros(8, 4)]):
        ...         loss = (model(x) - model.bias).sum(1).sqrt().mean().nan_to_num(0.0)
        ...         optimizer.zero_grad(); loss.backward(); optimizer.step()
        ...         loop.log(loss=loss)
        >>> find_nan.finding.phase, find_nan.finding.batch, find_nan.finding.operation
        ('backward', 1, 'div, in the derivative of sqrt')
    """

    on_error = "warn"

    def __init__(
        self,
        then: str = "stop",
        *,
        steps_back: int = 50,
        at_most: int = 3,
        losses: str | list[str] | tuple[str, ...] = "*loss*",
        limit_bytes: int = 256 * 2**20,
    ) -> None:
        if then not in ("stop", "restore"):
            raise ValueError(f"then={then!r}; expected 'stop' or 'restore'")
        for name, value in (("steps_back", steps_back), ("at_most", at_most), ("limit_bytes", limit_bytes)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}; expected a whole number of at least 1")
        self.then, self.steps_back, self.at_most, self.limit_bytes = then, steps_back, at_most, limit_bytes
        self.losses = (losses,) if isinstance(losses, str) else tuple(losses)
        if then == "restore":
            self.needs = ("replay",)
        self._forget()

    def _forget(self) -> None:
        self.findings: list[Finding] = []
        self._watched: dict[str, bool] = {}
        self._reason = ""  # why nothing can be run once more
        self._is_over = False
        self._let_go()

    def _let_go(self) -> None:
        self._past: Past | None = None
        self._is_due = True
        self._has_pending_gradients = False
        self._noticed = ""
        self._sums: dict[object, DeviceValue] = {}
        self._count = 0

    def __repr__(self) -> str:
        return f"FindNaN(then={self.then!r}, {self.finding!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a training under way."""
        return {name: value for name, value in super().__getstate__().items() if name not in ("_past", "_sums")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what `__getstate__` returned."""
        self.__dict__.update(state)
        self._let_go()

    @property
    def finding(self) -> Finding | None:
        """The last finding."""
        return self.findings[-1] if self.findings else None

    @property
    def size_bytes(self) -> int:
        """How much memory is taken at the moment."""
        return 0 if self._past is None else self._past.size_bytes

    def save(self, path: Any) -> None:
        """Write the last finding, its batch, and the training as it stands to a file, to look at it elsewhere.

        Where it has stopped the training, that is the model as it was right before the batch.

        Args:
            path: of the file. In PyTorch `torch.load(path)` reads it: `"finding"`, `"data"` and `"training"`.

        Raises:
            ValueError: nothing was found.
            DataError: the batch holds something that is neither plain nor an array.
        """
        finding = self.finding
        if finding is None:
            raise ValueError("nothing was found, so there is nothing to save")
        view = self.run.view
        view.save_plain(str(path), {"finding": str(finding), "data": finding.data, "training": view.state_dict()})

    # Hooks.

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self._forget()
        support = self.run.host.abilities["replay"]
        if support.level == ABSENT:
            self._reason = f"{self.run.host.name} cannot run a batch once more: {support.reason}"
        else:
            self._reason = self.run.view.lacks("replay") or ""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keep the batch, and a snapshot where one is due."""
        if self._is_over:
            return
        run, past = self.run, self._past
        self._count += 1
        if self._reason:
            return
        if past is None:
            past = self._past = Past(run)
            self._noticed = self._look_at_weights()
            past.begin_anew(gradients=self._has_pending_gradients)
        elif self._is_due or past.batches[-1].epoch != run.epoch:
            self._noticed = self._noticed or ("" if self._is_due else self._look_at_weights())
            if not self._noticed:
                past.begin_anew(gradients=self._has_pending_gradients)
        self._is_due = False
        past.add(run.epoch or 0, batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look whether all is finite, as far as that can be told without waiting."""
        if self._is_over or logs is None:
            return
        run, past = self.run, self._past
        has_stepped = run.step > run.step_at_batch_begin
        if past is not None:
            past.batches[-1].logs, past.batches[-1].has_stepped = logs.batch, has_stepped
        self._noticed = self._noticed or self._look_at_losses(logs)
        if not self._noticed and self._is_time(batch, has_stepped):
            self._noticed = self._look_at_weights() or ("" if has_stepped else self._look_at_gradients())
            self._is_due, self._has_pending_gradients, self._count = True, not has_stepped, 0
        if self._noticed:
            self._find()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look once more: an epoch whose length nobody knew may have ended with something not finite."""
        if not self._is_over and not self.run.is_stop_requested and self._count:
            self._noticed = self._look_at_weights()
            if self._noticed and self.run.params.get("epochs") == epoch + 1:
                self._conclude(Finding(None, None, self._noticed, self.run.step), "there is no batch after it")

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let go of what is kept."""
        self._let_go()

    # Noticing.

    def _is_time(self, batch: int, has_stepped: bool) -> bool:
        """Say whether to look at the weights, which waits for a device: within an accumulation only in need."""
        past = self._past
        size_bytes = 0 if past is None else past.batches_bytes
        patience = 1 if has_stepped else 2
        if self._count >= patience * self.steps_back or size_bytes >= patience * self.limit_bytes:
            return True
        return batch + 1 == self.run.params.get("steps")

    def _look_at_losses(self, logs: Logs) -> str:
        values: Any = logs.batch
        for name, value in dict.items(values):  # as they are: nothing is fetched
            is_watched = self._watched.get(name)
            if is_watched is None:
                is_watched = self._watched[name] = any(fnmatchcase(name, pattern) for pattern in self.losses)
            if not is_watched:
                continue
            if type(value) is DeviceValue:
                self._add(name, value)
            elif not is_finite(value):
                return f"{name!r} is {value}"
        return ""

    def _add(self, name: str, value: DeviceValue) -> None:
        """Add up a value where it is: the sum is finite as long as all are."""
        total = self._sums.get(name)
        array = value.array if total is None else value.library.add(total.array, value.array, 1.0)
        self._sums[name] = DeviceValue(value.library, array)

    def _look_at_weights(self) -> str:
        """Return what is not finite, in words; waits for a device."""
        sums, self._sums = self._sums, {}
        for name, total in zip(sums, fetch_together(list(sums.values())), strict=True):
            if not is_finite(total):
                return f"{name!r} was not finite in one of the last {self._count} batches"
        return self._look_at("weights", "weights") or self._look_at("optimizer", "the optimizer's state")

    def _look_at_gradients(self) -> str:
        return self._look_at("gradients", "gradients")

    def _look_at(self, what: str, words: str) -> str:
        try:
            names = self.run.view.not_finite(what)
        except AbsentError:
            return ""
        if not names:
            return ""
        rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{words} are not finite: {', '.join(names[:3])}{rest}"

    # Finding.

    def _find(self) -> None:
        """Have the host run the batches once more, or say what there is to say without."""
        run, past = self.run, self._past
        if not self._reason and past is not None and run.outcome is None:
            run.replay = Search(run, past, self._is_watched, self._take)
            return
        finding = Finding(None, None, self._noticed, run.step)
        finding.epoch, finding.batch, finding.step = run.epoch, run.batch, run.step_at_batch_begin
        finding.data = past.batches[-1].data if past is not None else run.data
        self._conclude(finding, self._reason or "the training was being closed")

    def _is_watched(self, name: str) -> bool:
        return self._watched.get(name, False)

    def _take(self, search: Search) -> None:
        """Take what a search has found."""
        finding = Finding(search.origin, search.kept, self._noticed, self.run.step)
        finding.is_exact = search.differing is None if search.compared else None
        reason = ""
        if search.origin is None:
            count = len(search.batches)
            if search.kept is None:
                reason = f"the last {count} batches were run once more from before them, and all stayed finite"
            else:
                reason = f"batch {search.kept.batch} was run once more, and the numbers were finite in all operations"
        if search.differing is not None:
            finding.notes.append(
                f"run once more, batch {search.differing.batch} came out different: the loop's body may count batches "
                f"itself (use loop.run.batch), or compute in no fixed order"
            )
        if search.other_steps:
            finding.notes.append(
                "run once more, the optimizer stepped in other batches than the first time: let the body ask "
                "loop.run.batch whether to step, instead of counting itself"
            )
        self._conclude(finding, reason, can_restore=search.kept is not None and finding.phase != "weights")

    def _conclude(self, finding: Finding, reason: str, can_restore: bool = False) -> None:
        """Keep and tell a finding, and go on or stop."""
        if reason:
            finding.notes.append(reason)
        self.findings.append(finding)
        self._let_go()
        run = self.run
        alert = Alert(
            "not_finite",
            str(finding),
            where=finding.where,
            evidence=finding.evidence(),
            why=_WHY,
            advice=_ADVICE if finding.data is not None else "",
            epoch=finding.epoch,
            step=finding.step,
        )
        run.record(alert)
        if self.then == "restore" and can_restore and len(self.findings) <= self.at_most:
            return
        self._is_over = True
        run.stop(f"FindNaN: {finding.headline()}")
