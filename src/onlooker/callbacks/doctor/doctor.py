"""`Doctor`: asks its rules at each look, and says what they have found.

Owns when rules are asked, that a rule is silent while another explains what it sees, and what becomes of an alert. How
a look goes is `Looking`'s business, which it has in common with `Inside`.
"""

from __future__ import annotations

import sys
from collections import deque
from operator import methodcaller

from onlooker.callbacks.inside import Inside
from onlooker.callbacks.inside.choice import Choice
from onlooker.callbacks.inside.counted import CountedLooking
from onlooker.callbacks.inside.looking import available
from onlooker.callbacks.numbers_in import numbers_in
from onlooker.core.callback import Callback
from onlooker.core.gate import Gate
from onlooker.core.record import Alert, Picture, Record, Summaries
from onlooker.core.trigger import at, checked_trigger
from onlooker.core.trigger import every as every_

from .arguments import check_stream, checked_names, checked_rules
from .examination import Examination
from .report import alert_table, as_text, counts_of, failures, needs_of
from .rule import Finding, Rule
from .rules import doctor_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO

    from onlooker.core.conditions import Trigger
    from onlooker.core.logs import Logs

_MOST_LOGS = 100  # batches whose logs are kept between two looks
_NAMED = 3  # places that an alert names, besides the worst


class Doctor(Callback):
    """Watches a training for what makes networks sick, and says what it saw, where, why it matters and what to try.

    Its rules read what the model's tensors look like and what is logged. With an `Inside` in the same run they read
    what that has seen; without one, the Doctor looks by itself. A rule speaks once, and again only after what it saw
    has been well for a while. What it finds is printed, is in `alerts`, and is recorded as an `Alert` for whoever keeps
    records.

    Acts in `on_train_begin`, where it forgets the training before, `on_train_batch_begin` and `on_train_batch_end`,
    where it looks if it is time to, `on_epoch_end` and `on_train_end`. Reads from the logs all that is a number, and
    above all `loss` and `val_loss`; writes none. What is on a device, logs and what an `Inside` has seen, it waits for
    only when it looks: rules judge it along with the batch at hand, and may stop the training.

    Args:
        rules: the rules; None (default) for all of them. `ol.callbacks.doctor_rules(...)` leaves some out and changes
            others.
        every: a trigger that says when rules look. Default: at the first step, and at every tenth. An `Inside` that
            looks more rarely makes it as rare.
        stop_on: names of rules whose alert stops the training, for example `["not_finite"]`.
        quiet: whether nothing is printed. Default False.
        stream: where to print; None (default) for `sys.stdout`, as it is by then.

    Attributes:
        alerts: what was found in this training, as `Alert`s, in order.
        rules: the rules, in the order in which they are asked.

    Raises:
        ValueError: a rule is none, there are two of one name, or `stop_on` names one that is not there.
        TriggerError: `every` is no trigger, or can never pass within a batch.

    Source: the rules name theirs; the idea of alerts from a training's tensors is that of Amazon SageMaker Debugger
    (Rauschmayr and others 2021).

    Example:
        >>> import torch, onlooker as ol
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Linear(4, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=1e4)  # far too large
        >>> doctor = ol.callbacks.Doctor(quiet=True, stop_on=["not_finite"])
        >>> with ol.Loop(model, optimizer, callbacks=[doctor]) as loop:
        ...     for epoch in loop.epochs(100):
        ...         for x in loop.train([torch.randn(8, 4)]):
        ...             loss = model(x).square().mean()
        ...             optimizer.zero_grad()
        ...             loss.backward()
        ...             optimizer.step()
        ...             loop.log(loss=loss)
        >>> loop.run.outcome, doctor.alerts[-1].rule
        ('stopped', 'not_finite')
    """

    on_error = "warn"

    def __init__(
        self,
        rules: Iterable[Rule] | None = None,
        *,
        every: Trigger | None = None,
        stop_on: Iterable[str] = (),
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.rules = checked_rules(doctor_rules() if rules is None else rules)
        check_stream(stream)
        given = at(steps=1) | every_(steps=10) if every is None else every
        self.every = checked_trigger("every", given, "on_train_batch_begin")
        self.stop_on = checked_names(stop_on, [rule.name for rule in self.rules])
        self.quiet, self.stream = quiet, stream
        self._set_up()

    def _set_up(self) -> None:
        self.alerts: list[Alert] = []
        self._judged: set[str] = set()  # rules that had something to judge by
        self._is_due, self._due_after, self._ask = False, 0, self._arm
        self._looking: CountedLooking | None = None
        self._insides: list[Inside] | None = None  # before a training
        self._has_inside = False
        self._what: list[str] = []  # what is looked at, by the Doctor or by an Inside
        self._seen: dict[str, Any] = {}
        self._seen_at: dict[str, int] = {}  # by what, the step of the look
        self._pictures: list[Picture] = []
        self._logs: deque[Any] = deque(maxlen=_MOST_LOGS)

    def __repr__(self) -> str:
        return f"Doctor({len(self.rules)} rules, {self.every!r}: {len(self.alerts)} alerts)"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a training under way."""
        own = ("_ask", "_looking", "_insides", "_seen", "_seen_at", "_pictures", "_logs", "stream")
        return {name: value for name, value in super().__getstate__().items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what `__getstate__` returned."""
        self.stream = None
        self._set_up()
        self.__dict__.update(state)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the training before, and find out what there is to look at."""
        self._rest()  # of a training that it was taken out of within a batch, hooks are still there
        self._set_up()
        for rule in self.rules:
            rule.forget()
        run = self.run
        self._ask = Gate(self.every, run).wrap("on_train_batch_begin", self._arm)
        insides = [other for other in run.callbacks if isinstance(other, Inside)]
        self._insides, self._has_inside = insides, bool(insides)
        wanted = (
            what for one in insides or self.rules for what in (one.what if isinstance(one, Inside) else one.reads)
        )
        self._what = available(run, wanted)
        self._looking = CountedLooking(self._what, Choice()) if self._what and not insides else None

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Decide whether to look, and set up what that needs."""
        if not self._is_due:
            self._ask(batch, logs)
        if self._looking is not None:
            if self._is_due:
                self._looking.begin(self.run)
            else:
                self._looking.rest()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Ask the rules, if it is time to and an optimizer has stepped."""
        if logs is not None:
            self._logs.append(logs)
        if self._pictures:
            self._look_at_pictures()
        if not self._is_due:
            return
        run = self.run
        if self._looking is not None:
            ended = self._looking.end(run)
            if ended is None:
                return
            self._seen = self._looking.fetch(ended).summaries
        elif self._has_inside:
            for inside in self._insides or ():
                inside.settle()
            if not self._seen:
                return
        self._is_due = False
        step = max(self._seen_at.values(), default=run.step)
        examination = Examination(run, step, self._seen, self._logs, self._what)
        self._logs.clear()
        self._seen, self._seen_at = {}, {}
        self._consult(lambda rule: rule.examine(examination), examination.step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Ask the rules that judge whole epochs; an epoch that was cut off is none."""
        if self._pictures:
            self._look_at_pictures()
        if self.run.is_epoch_complete:
            numbers = numbers_in(logs or {})
            self._consult(lambda rule: rule.end_epoch(epoch, numbers))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let go of the model."""
        self._is_due = False
        self._rest()
        if self._pictures:
            self._look_at_pictures()

    def _rest(self) -> None:
        if self._looking is not None:
            self._looking.rest()

    def keep(self, record: Record) -> None:
        """Take what other callbacks have seen; it is judged in the Doctor's own hooks."""
        if isinstance(record, Picture):
            self._pictures.append(record)
        elif isinstance(record, Summaries) and self._is_due and self._has_inside:
            step, what = record.step or 0, record.what  # a look may come late from a device
            if step > self._due_after and step >= self._seen_at.get(what, 0):
                self._seen[what], self._seen_at[what] = record.summaries, step

    def report(self) -> Any:
        """Return a table of rich's with all alerts: `rich.print(doctor.report())`; a notebook shows it by itself.

        Below it stands which rules could not judge, and why.
        """
        return alert_table(self.alerts, self.unjudged, failures(counts_of(self._looking, self._insides)))

    @property
    def unjudged(self) -> dict[str, str]:
        """By the names of rules that have not been able to judge so far: what they need. Empty before a training."""
        has_begun = bool(self._judged) or self._insides is not None
        counts = counts_of(self._looking, self._insides)
        return needs_of(self.rules, self._judged, self._what, counts) if has_begun else {}

    def state_dict(self) -> dict[str, Any]:
        """Return what the rules remember, and the alerts, as plain data."""
        alerts = [vars(alert) | {"evidence": dict(alert.evidence)} for alert in self.alerts]
        return {"rules": {rule.name: rule.state_dict() for rule in self.rules}, "alerts": alerts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        for rule in self.rules:
            if rule.name in state["rules"]:
                rule.load_state_dict(state["rules"][rule.name])
        self.alerts = [Alert(**alert) for alert in state["alerts"]]

    def _arm(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the next step: called where the trigger lets it through."""
        self._is_due, self._due_after = True, self.run.step

    def _look_at_pictures(self) -> None:
        pictures, self._pictures = self._pictures, []
        for picture in pictures:
            self._consult(methodcaller("see", picture))

    def _consult(self, ask: Callable[[Rule], list[Finding] | None], step: int | None = None) -> None:
        """Ask every rule about a step; one that fails does not keep the others from speaking."""
        error: Exception | None = None
        for rule in self.rules:
            try:
                findings = ask(rule)
                if findings is not None:
                    self._judged.add(rule.name)
                    is_held = bool(findings) and self._is_explained(rule)
                    due = rule.spells.note(findings, rule.patience, rule.recovery, is_held)
                    if due:
                        self._speak(rule, due, step)
            except Exception as own:
                error = error or own
        if error is not None:
            raise error

    def _is_explained(self, rule: Rule) -> bool:
        return any(other.name in rule.explained_by and not other.spells.is_quiet for other in self.rules)

    def _speak(self, rule: Rule, findings: list[Finding], step: int | None) -> None:
        worst = max(findings, key=lambda finding: finding.weight)
        others = [finding.where for finding in findings if finding is not worst]
        seen = worst.seen
        if others:
            more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
            seen = f"{seen}; likewise {', '.join(others[:_NAMED])}{more}"
        alert = Alert(
            rule.name,
            seen,
            where=worst.where,
            evidence=worst.evidence,
            why=rule.why,
            advice=rule.advice,
            step=step,
        )
        self.alerts.append(alert)
        self.run.record(alert)
        if not self.quiet:
            print(as_text(alert), file=self.stream or sys.stdout, flush=True)
        if rule.name in self.stop_on:
            self.run.stop(f"Doctor: {alert}")
