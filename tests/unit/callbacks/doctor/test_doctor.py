"""`Doctor`: when rules are asked, and what becomes of what they find. The rules have tests of their own."""

import copy
import io
import pickle
import re

import pytest
import rich
import torch
from tests.unit.callbacks.doctor.trainings import batches, digits, mlp, seen, train
from tests.unit.hosts.fake_device import elsewhere, traffic
from torch import nn

import onlooker as ol
from onlooker.callbacks.doctor import Finding, Rule
from onlooker.callbacks.doctor.spells import Spells
from onlooker.core.record import Alert

Doctor, doctor_rules = ol.callbacks.Doctor, ol.callbacks.doctor_rules


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Looks(Rule):
    """Takes note of what it is shown, and finds something at chosen looks."""

    name = why = advice = source = "looks"
    reads = ("weights", "gradients")
    patience, recovery = 1, 2

    def __init__(self, finds=()):
        self.steps, self.epochs, self.whats, self.finds = [], [], [], finds

    def examine(self, examination):
        self.steps.append(examination.step)
        self.whats.append({what for what in ("weights", "gradients", "updates") if getattr(examination, what)})
        return [Finding("here", "found", {"number": 1.0})] if len(self.steps) in self.finds else []

    def end_epoch(self, epoch, logs):
        self.epochs.append(epoch)


def fit(doctor, *more, epochs=1, model=None, size=40):
    model = model or mlp(8)
    return train(
        model, batches(*digits(), size=size), torch.optim.SGD(model.parameters(), lr=0.1), epochs, doctor, more=more
    )


def test_it_looks_at_the_first_step_and_at_every_tenth():
    rule = Looks()
    fit(Doctor([rule]), epochs=2, size=100)
    assert rule.steps == [1, 10, 20, 30]
    assert rule.epochs == [0, 1]
    assert all(what == {"weights", "gradients"} for what in rule.whats)


@pytest.mark.parametrize("is_before", [True, False])
def test_with_inside_it_reads_what_that_has_seen(is_before):
    rule = Looks([1])
    doctor, inside = Doctor([rule], quiet=True), ol.callbacks.Inside(("weights", "updates"), every=ol.every(steps=4))
    model = mlp(8)
    doctor.on_error = "raise"
    with ol.Loop(
        model, torch.optim.SGD(model.parameters(), lr=0.1), [doctor, inside] if is_before else [inside, doctor]
    ) as loop:
        for _ in loop.epochs(1):
            for x, y in loop.train(batches(*digits(), size=70)):
                loss = nn.functional.cross_entropy(model(x), y)
                loop.run.callbacks[0].model.zero_grad()
                loss.backward()
                loop.run.view.optimizers[""].step()
    assert [alert.step for alert in doctor.alerts] == [4]  # that of the look
    assert rule.steps == [4, 12, 20]  # due at 1, 10 and 20, seen at every fourth
    assert all(what == {"weights", "updates"} for what in rule.whats)
    assert doctor._looking is None


def test_an_alert_is_kept_recorded_and_printed():
    text, records = io.StringIO(), []
    sink = ol.Callback()
    sink.keep = records.append
    doctor = fit(Doctor([Looks([2])], stream=text), sink)
    (alert,) = doctor.alerts
    assert isinstance(alert, Alert)
    assert (alert.rule, alert.where, alert.step, alert.epoch, alert.evidence) == ("looks", "here", 10, 0, {"number": 1})
    assert alert in records
    assert text.getvalue() == (
        "Doctor, epoch 0, step 10: looks in here\n  found (number 1)\n  why: looks\n  try: looks\n"
    )


def test_quiet_prints_nothing(capsys):
    doctor = fit(Doctor([Looks([1])], quiet=True))
    assert doctor.alerts
    assert capsys.readouterr().out == ""


def test_the_report_is_a_table_of_all_alerts(capsys):
    rich.print(fit(Doctor([Looks([1])], quiet=True)).report())
    shown = capsys.readouterr().out
    assert "Doctor: 1 alert" in shown
    assert "found (number" in shown
    rich.print(Doctor().report())
    assert "Doctor: no alerts" in capsys.readouterr().out


def test_it_speaks_again_only_after_it_was_well_for_a_while():
    doctor = fit(Doctor([Looks([1, 2, 3, 4, 5])], every=ol.every(steps=1), quiet=True))
    assert len(doctor.alerts) == 1
    doctor = fit(Doctor([Looks([1, 3, 7])], every=ol.every(steps=1), quiet=True))
    assert [alert.step for alert in doctor.alerts] == [1, 7]  # at 3 it was well for one look only


def test_what_is_explained_is_not_spoken_of():
    class Other(Looks):
        name, explained_by = "other", ("looks",)

    doctor = fit(Doctor([Looks([1, 2]), Other([2, 3])], every=ol.every(steps=1), quiet=True))
    assert [(alert.rule, alert.step) for alert in doctor.alerts] == [("looks", 1), ("other", 3)]


def test_several_places_are_one_alert():
    class Many(Rule):
        name = "many"
        patience = 1

        def examine(self, examination):
            return [Finding(f"layer {number}", "found", {}, weight=number == 2) for number in range(6)]

    (alert,) = fit(Doctor([Many()], quiet=True)).alerts
    assert alert.where == "layer 2"
    assert alert.seen == "found; likewise layer 0, layer 1, layer 3 and 2 more"


def test_an_illness_that_spreads_is_spoken_of_again():
    spells = Spells()

    def note(count):
        return [one.where for one in spells.note([Finding(str(n), "", {}) for n in range(count)], 1, recovery=2)]

    assert [note(count) for count in (1, 1, 1, 2, 2, 3, 9)] == [["0"], [], [], [], [], ["1", "2"], []]
    assert [len(note(count)) for count in (9, 9, 0, 0, 0, 1)] == [6, 0, 0, 0, 0, 1]


def test_it_can_stop_the_training():
    doctor = fit(Doctor([Looks([2])], quiet=True, stop_on=["looks"]), epochs=5)
    run = doctor.run
    assert (run.outcome, run.stopped_by, run.step) == ("stopped", "Doctor", 10)
    assert run.reason == "Doctor: step 10, looks in here: found (number 1)"


def test_a_rule_that_fails_does_not_keep_the_others_from_speaking():
    class Fails(Rule):
        name = "fails"

        def examine(self, examination):
            raise RuntimeError("no")

    doctor = Doctor([Fails(), Looks([1])], quiet=True)
    with pytest.raises(RuntimeError, match="no"):
        fit(doctor)
    assert seen(doctor) == [("looks", "here")]


def test_what_is_wrong_is_refused():
    with pytest.raises(ValueError, match="did you mean 'not_finite'"):
        Doctor(stop_on=["not_finit"])
    with pytest.raises(ValueError, match="two of loss_stuck"):
        Doctor([*doctor_rules(), *doctor_rules(overfitting=None)][:17] + doctor_rules()[16:17])
    with pytest.raises(ValueError, match="an open text file"):
        Doctor(stream="alerts.txt")
    with pytest.raises(ol.OnlookerError, match="no trigger"):
        Doctor(every=10)
    with pytest.raises(ol.OnlookerError):
        Doctor(every=ol.every(epochs=1) & ~ol.every(epochs=1) & ol.at(steps=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_stuk": None}, "no rule 'loss_stuk'; did you mean 'loss_stuck'"),
        ({"cats": None}, "there are not_finite, exploding_gradients"),
        ({"dead_units": {"shar": 0.5}}, "dead_units has no argument 'shar'; did you mean 'share'"),
        ({"loss_stuck": {"xyz": 3}}, "there are after_steps, share, late_share, loss, patience"),
        ({"dead_units": {"share": "x"}}, "dead_units: share='x' cannot be; expected a number from 0 to 1"),
        ({"dead_units": {"share": 7}}, "share=7 cannot be; expected a number from 0 to 1"),
        ({"saturated_units": {"share": True}}, "share=True cannot be"),
        ({"vanishing_gradients": {"ratio": float("nan")}}, "ratio=nan cannot be"),
        ({"one_class_batches": {"chance": 0}}, "a number above 0, and 1 at most"),
        ({"exploding_gradients": {"growth": 1}}, "growth=1 cannot be; expected a number above 1"),
        ({"no_gradient": {"patience": 0}}, "patience=0 cannot be; expected a whole number of at least 1"),
        ({"loss_stuck": {"after_steps": 2.5}}, "expected a whole number"),
        ({"loss_stuck": {"loss": 3}}, "loss=3 cannot be; expected a string, or a list of them"),
        ({"overfitting": {"loss": ["loss"]}}, "expected a string"),
        ({"unchanged_weights": {"ignore": 3}}, "ignore=3 cannot be; expected a string, or a list of them"),
        ({"overfitting": 3}, "overfitting=3: expected a dict of its arguments, or None"),
    ],
)
def test_what_a_rule_cannot_be_given_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        doctor_rules(**changes)


def test_what_are_no_rules_is_refused():
    rule = doctor_rules()[0]
    impatient = Looks()
    impatient.patience = 0
    for rules, message in (
        ([type(rule)], "rules has the class NotFinite; expected an instance: NotFinite()"),
        ([rule, rule], "two of not_finite"),
        (rule, "expected a list of rules"),
        ("not_finite", "expected a list of rules; doctor_rules() makes them"),
        (["not_finite"], "rules has 'not_finite'; expected instances of Rule"),
        (3, "expected a list of rules"),
        ([Rule()], "has no name"),
        ([impatient], "looks: patience=0 cannot be; expected a whole number of at least 1"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            Doctor(rules)


@pytest.mark.parametrize("rule", doctor_rules(), ids=lambda rule: rule.name)
def test_every_number_that_a_rule_takes_is_checked(rule):
    numbers = {name for name, value in vars(rule).items() if isinstance(value, int | float)}
    for name in (numbers & set(type(rule).__init__.__code__.co_varnames)) - {"self"}:
        with pytest.raises(ValueError, match=f"{rule.name}: {name}='x' cannot be"):
            type(rule)(**{name: "x"})


def test_the_report_says_which_rules_could_not_judge(capsys):
    model, (images, labels) = mlp(8), digits()
    doctor = Doctor(quiet=True)
    assert not doctor.unjudged
    with ol.Loop(model, torch.optim.SGD(model.parameters(), lr=0.1), [doctor]) as loop:
        for _ in loop.epochs(1):
            for index in loop.train(range(0, 1600, 32)):
                loss = nn.functional.cross_entropy(model(images[index : index + 32]), labels[index : index + 32])
                loop.run.view.optimizers[""].zero_grad()
                loss.backward()
                loop.run.view.optimizers[""].step()
                loop.log(loss=loss)
    assert {"input_not_normalized", "one_class_batches", "overfitting"} == doctor.unjudged.keys() - {"loss_stuck"}
    rich.print(doctor.report())
    assert "not judged: one_class_batches, which needs one array of labels" in " ".join(capsys.readouterr().out.split())
    doctor = fit(Doctor(quiet=True), ol.callbacks.Inside(("weights",)))
    assert doctor.unjudged["vanishing_gradients"] == "to look at gradients, which this run does not show"
    assert "one_class_batches" not in doctor.unjudged
    assert "mode_collapse" not in doctor.unjudged


def test_rules_can_be_changed_and_left_out():
    names = [rule.name for rule in doctor_rules()]
    assert len(set(names)) == len(names) == 21
    assert [rule.name for rule in doctor_rules(overfitting=None)] == [name for name in names if name != "overfitting"]
    (rule,) = [rule for rule in doctor_rules(overfitting={"rise": 0.5}) if rule.name == "overfitting"]
    assert rule.rise == 0.5


@pytest.mark.parametrize("rule", doctor_rules(), ids=lambda rule: rule.name)
def test_every_rule_says_what_a_reader_needs(rule):
    assert rule.why.endswith(".")
    assert rule.advice.endswith(".")
    assert any(part.strip(",;:)")[:2] in ("19", "20") for part in rule.source.split())
    assert rule.patience >= 1
    known = {other.name for other in doctor_rules()}
    assert set(rule.explained_by) <= known
    before = [other.name for other in doctor_rules()]
    assert all(before.index(name) < before.index(rule.name) for name in rule.explained_by)
    pickle.loads(pickle.dumps(rule.state_dict()))


def test_without_a_model_it_judges_by_the_logs():
    doctor = Doctor(quiet=True)
    with ol.Loop(None, callbacks=[doctor]) as loop:
        for _ in loop.epochs(2):
            for _ in loop.train(range(10)):
                loop.log(loss=float("nan"))
    assert seen(doctor) == [("not_finite", "loss")]


def test_a_resumed_training_goes_on_counting(tmp_path):
    path = tmp_path / "state"

    def half(doctor, resume, epochs):
        torch.manual_seed(0)
        model = mlp(activation=nn.Tanh)
        optimizer = torch.optim.SGD([model[3].weight], lr=0.1)
        with ol.Loop(model, optimizer, callbacks=[doctor], resume=resume) as loop:
            for _ in loop.epochs(epochs):
                for x, y in loop.train(batches(*digits(), size=80, shuffle=False)):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x), y).backward()
                    optimizer.step()
                loop.run.save(path)
        return doctor

    first = half(Doctor(quiet=True), None, 1)
    assert not first.alerts
    second = half(Doctor(quiet=True), path, 3)
    whole = half(Doctor(quiet=True), None, 3)
    assert [str(alert) for alert in second.alerts] == [str(alert) for alert in whole.alerts] != []
    third = Doctor()
    third.load_state_dict(second.state_dict())
    assert [str(alert) for alert in third.alerts] == [str(alert) for alert in second.alerts]


def test_logs_on_a_device_are_fetched_at_looks_only_and_together():
    traffic.clear()
    counts, values = [], []

    class Count(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            counts.append(len(traffic.transfers))

    class Reads(Looks):
        reads = ()

        def examine(self, examination):
            values.append(examination.values("loss"))

    with ol.Loop(None, callbacks=[Doctor([Reads()]), Count()]) as loop:
        for _ in loop.epochs(1):
            for number in loop.train(range(12)):
                loop.log(loss=elsewhere(float(number)))
    assert values == [[0.0], [float(number) for number in range(1, 10)]]
    assert counts == [1] * 9 + [2] * 3


def test_it_can_be_copied_and_used_again():
    doctor = copy.deepcopy(fit(Doctor([Looks([1])], quiet=True)))
    assert len(doctor.alerts) == 1
    fit(doctor)
    assert not doctor.alerts  # Looks has a memory that it does not declare: it goes on counting


def test_nothing_in_the_training_shows_it():
    def end(doctor):
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)
        )
        fit(doctor, model=model, epochs=2)
        assert not any(module._forward_hooks for module in model.modules())
        return [*model.state_dict().values(), torch.rand(3)]

    with_it, without = end(Doctor(every=ol.every(steps=1), quiet=True)), end(Doctor([], quiet=True))
    assert all(torch.equal(one, other) for one, other in zip(with_it, without, strict=True))
