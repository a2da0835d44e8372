"""`FindNaN`: names what first stopped being finite in a training.

Owns the arguments, when it looks, and what is done after a finding. Looking is `notice`'s business, what is kept
`past`'s, running it once more `search`'s, and the words are `finding`'s.
"""

from __future__ import annotations

from onlooker.core.callback import Callback
from onlooker.core.declaration import ABSENT

from .finding import Finding
from .notice import LOSSES, Notice, patterns
from .past import Past
from .recent import CLOSED, LATE, LEFT, Recent, first_sick
from .search import Search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.logs import Logs

SKIPPED = 40
"""So many steps in a row a gradient scaler may skip, at least, until it has found its scale."""


class FindNaN(Callback):
    """Finds the first operation that puts out NaN or infinities, when a loss, a gradient or the model is not finite.

    Acts in `on_train_begin`, where it begins anew, in `on_train_batch_begin`, where it keeps the batch and, from time
    to time, a snapshot of the training, in `on_train_batch_end`, where it looks at the losses and from time to time at
    weights, optimizers and buffers, and in `on_epoch_end` and `on_train_end`, where it lets go of what it keeps. Reads
    the batch's own logged losses; those on a device stay there and are read with the next look at the weights. Writes
    no logs.

    When something is not finite it goes back to the snapshot and has the host run the kept batches once more, with your
    own code: first to find the batch in which it began, then that batch alone, watched operation by operation. No other
    callback is called meanwhile, and nothing that is logged counts. Your code runs twice there: what it keeps itself,
    such as its own count of batches (use `loop.run.batch`) or the step of a schedule, moves on twice. Afterwards the
    model is as it was right before the batch, without a NaN; where nothing turned up the second time it is as your
    code has left it then. No hooks are set otherwise, and a training in which all is finite ends bit by bit the same
    with it as without it.

    It costs memory: one copy of weights, buffers and optimizers' states, and copies of the last batches; `size_bytes`
    tells how much. It costs the time to copy each batch, and each `steps_back` steps one pass over weights and
    optimizers' states to look at them and one to copy them.

    That a gradient scaler skips steps is no finding, unless it skips all of them. Buffers have to stay finite that were
    so when the training began, and running statistics anyway; masks need not.

    Args:
        then: `"stop"` (default): the training ends with the batch, and the reason says what was found. `"restore"`: it
            goes on from right before the batch, which is skipped.
        steps_back: how many batches are kept at most before a new snapshot is made: so far it can go back.
        at_most: how often a training is restored before it is stopped after all.
        losses: a pattern on the names of values logged in batches that have to be finite, or a list of them. One that
            matches nothing in the first epoch, or in 1000 batches, is warned of.
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
        >>> model = torch.nn.Linear(4, 1, bias=False)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> find_nan = ol.callbacks.FindNaN()
        >>> with ol.Loop(model, optimizer, callbacks=[find_nan]) as loop:
        ...     for x in loop.train([torch.ones(8, 4), torch.zeros(8, 4)]):
        ...         loss = model(x).square().log().mean()
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...         optimizer.step()
        ...         loop.log(loss=loss)
        >>> find_nan.finding.phase, find_nan.finding.batch, find_nan.finding.operation
        ('forward', 1, 'log')
    """

    on_error = "warn"

    def __init__(
        self,
        then: str = "stop",
        *,
        steps_back: int = 50,
        at_most: int = 3,
        losses: str | list[str] | tuple[str, ...] = LOSSES,
        limit_bytes: int = 256 * 2**20,
    ) -> None:
        if then not in ("stop", "restore"):
            raise ValueError(f"then={then!r}; expected 'stop' or 'restore'")
        for name, value in (("steps_back", steps_back), ("at_most", at_most), ("limit_bytes", limit_bytes)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}; expected a whole number of at least 1")
        self.then, self.steps_back, self.at_most, self.limit_bytes = then, steps_back, at_most, limit_bytes
        self.losses = patterns(losses)
        if then == "restore":
            self.needs = ("replay",)
        self._forget()

    def _forget(self) -> None:
        self.findings: list[Finding] = []
        self._reason = ""  # why nothing can be run once more
        self._is_over = False
        self._notice, self._recent = Notice(self.losses), Recent(self.limit_bytes)
        self._let_go()

    def _let_go(self) -> None:
        self._past: Past | None = None
        self._is_due = True
        self._is_waiting = False  # for somebody to use, or throw away, gradients that are not finite
        self._noticed = ""
        self._notice.let_go()
        self._recent.clear()
        self._count = 0

    def __repr__(self) -> str:
        return f"FindNaN(then={self.then!r}, {self.finding!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a training under way."""
        own = ("_past", "_notice", "_recent")
        return {name: value for name, value in super().__getstate__().items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what `__getstate__` returned."""
        self.__dict__.update(state)
        self._notice, self._recent = Notice(self.losses), Recent(self.limit_bytes)
        self._let_go()

    @property
    def finding(self) -> Finding | None:
        """The last finding."""
        return self.findings[-1] if self.findings else None

    @property
    def size_bytes(self) -> int:
        """How much memory is taken at the moment."""
        return self._recent.size_bytes if self._past is None else self._past.size_bytes

    def save(self, path: Any) -> None:
        """Write the last finding, its batch, and the training as it stands to a file, to look at it elsewhere.

        Where it has stopped the training, that is the model as it was right before the batch, if the batch was found.

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
        self._notice.begin(run)
        self._count += 1
        if self._reason:
            return
        if past is None:
            past = self._past = Past(run)
            self._noticed = self._notice.in_weights(self.run)
            past.begin_anew(gradients=False)
        elif self._is_due or not past.state.is_whole or (past.batches[-1].epoch != run.epoch and not self._is_waiting):
            if not self._is_due:  # an epoch has ended, and nobody knew that it would
                self._noticed = self._noticed or self._notice.in_weights(self.run)
            if not self._noticed:
                past.begin_anew(gradients=not past.batches[-1].has_stepped)
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
        kept = self._recent.add(run) if past is None else past.batches[-1]
        self._noticed = self._noticed or self._notice.in_losses(logs, kept)
        if not self._noticed and run.outcome == "failed":  # perhaps by what refuses to go on with NaN
            self._noticed = self._notice.in_weights(run)
        if not self._noticed and self._is_time(batch, has_stepped):
            self._noticed = self._notice.in_weights(self.run)
            if not self._noticed and not has_stepped:
                self._look_at_unused_gradients()
            else:
                self._is_waiting = False
            if not self._is_waiting:
                self._is_due, self._count = True, 0
                if not self._noticed:
                    self._recent.clear()
        if self._noticed:
            self._find()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look once more: an epoch whose length nobody knew may have ended with something not finite."""
        run = self.run
        if self._is_over or run.is_stop_requested:
            return
        if run.is_epoch_complete:
            self._notice.check_names(f"epoch {epoch}")
        if run.replay is not None:
            run.replay = None
            self._tell(LEFT)
        elif self._count:
            self._noticed = self._noticed or self._notice.in_weights(run)
            if self._noticed and (self._reason or run.params.get("epochs") == epoch + 1):
                self._tell(self._reason or LATE)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let go of what is kept."""
        self._let_go()

    def _is_time(self, batch: int, has_stepped: bool) -> bool:
        """Say whether to look at the weights, which waits for a device: within an accumulation only in need."""
        past = self._past
        size_bytes = 0 if past is None else past.batches_bytes
        patience = 1 if has_stepped else 2
        if self._count >= patience * self.steps_back or size_bytes >= patience * self.limit_bytes:
            return True
        return batch + 1 == self.run.params.get("steps")

    def _look_at_unused_gradients(self) -> None:
        """Wait while gradients are not finite, and no optimizer has used them: a gradient scaler throws them away.

        Where that does not end, nothing is learned any more.
        """
        found, past = self._notice.in_gradients(self.run), self._past
        self._is_waiting = bool(found) and (past is None or past.batches_bytes < 2 * self.limit_bytes)
        if found and self._count >= max(2 * self.steps_back, SKIPPED):
            self._noticed = found

    # Finding.

    def _find(self) -> None:
        """Have the host run the batches once more, or say what there is to say without."""
        run, past = self.run, self._past
        if not self._reason and past is not None and run.outcome is None:
            run.replay = Search(run, past, self._notice, self._take)
            return
        self._tell(self._reason or CLOSED)

    def _tell(self, note: str) -> None:
        """Say what there is to say without running anything once more."""
        batches = self._recent.batches if self._past is None else self._past.batches
        origin, kept, notes = first_sick(self.run, batches, self._notice.sick)
        self._conclude(Finding(origin, kept, self._noticed, self.run.step), [note, *notes])

    def _take(self, search: Search) -> None:
        """Take what a search has found."""
        origin, kept, notes = search.origin, search.kept, search.notes()
        if search.stray is not None:
            origin, kept, more = first_sick(self.run, search.batches, self._notice.sick)
            notes += more
        finding = Finding(origin, kept, self._noticed, self.run.step)
        finding.is_exact = search.differing is None if search.compared else None
        finding.is_restored = search.kept is not None
        self._conclude(finding, notes, can_restore=search.kept is not None and finding.phase != "weights")

    def _conclude(self, finding: Finding, notes: list[str], can_restore: bool = False) -> None:
        """Keep and tell a finding, and go on or stop."""
        finding.notes += notes
        self.findings.append(finding)
        self._let_go()
        self.run.record(finding.alert())
        if self.then == "restore" and can_restore and len(self.findings) <= self.at_most:
            return
        self._is_over = True
        self.run.stop(f"FindNaN: {finding.headline()}")
