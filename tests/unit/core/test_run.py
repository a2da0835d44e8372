"""What may be asked of a run, apart from any host."""

import pytest

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AbsentError
from onlooker.core.origin import Kept, Origin
from onlooker.core.record import Alert, Picture, Record, Scalars, Summaries
from onlooker.core.run import Run
from onlooker.core.view import ModelView, Unchanged


def test_a_run_that_has_not_begun():
    run = Run("a model")
    assert (run.model, run.params, run.host.name) == ("a model", {}, "Dispatcher")
    assert (run.epoch, run.batch, run.step, run.stage, run.batch_count) == (None, None, 0, None, None)
    assert (run.outcome, run.reason, run.stopped_by, run.is_stop_requested) == (None, "", None, False)
    assert (run.first_epoch, run.is_resumed, run.is_live, run.is_training) == (0, False, False, False)
    assert (run.data, run.outputs, run.sinks, run.callbacks, run.save_extra()) == (None, None, [], (), {})
    assert (run.step_at_epoch_begin, run.step_at_batch_begin) == (0, 0)


def test_the_first_reason_to_stop_stays():
    run = Run()
    run.stop("first")
    run.stop("second")
    assert (run.is_stop_requested, run.reason, run.stopped_by) == (True, "first", None)


def test_a_stop_without_a_reason():
    run = Run()
    run.stop()
    assert run.reason == "stopped"


def test_a_stop_while_a_training_is_closed_comes_too_late():
    run = Run()
    run.is_training = True
    run.conclude(None, is_complete=True)
    run.stop("late")
    assert (run.is_stop_requested, run.reason, run.stopped_by, run.outcome) == (False, "", None, "completed")
    run.is_training = False  # a stage that stands alone after it can be stopped
    run.stop("in time")
    assert (run.is_stop_requested, run.reason) == (True, "in time")


class Stops(Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.decide()

    def decide(self):
        self.run.stop()


def test_a_stop_names_the_callback_that_asked():
    dispatcher = Dispatcher([Stops()])
    dispatcher.on_epoch_end(0)
    assert (dispatcher.run.stopped_by, dispatcher.run.reason) == ("Stops", "stopped by Stops")


def ask(run):
    run.stop()


def test_a_stop_through_functions_of_the_users_still_names_the_callback():
    class Asks(Callback):
        def on_epoch_end(self, epoch, logs=None):
            (lambda: ask(self.run))()

    callback = Asks()
    Dispatcher([callback]).on_epoch_end(0)
    assert callback.run.stopped_by == "Asks"


def test_a_stop_from_anywhere_else_names_nobody():
    class Other:
        def go(self, run):
            run.stop()

    run = Run()
    Other().go(run)
    assert (run.stopped_by, run.reason) == (None, "stopped")


def test_a_new_training_forgets_the_last():
    run = Run()
    run.stop("over")
    run.epoch, run.batch, run.step, run.stage, run.outcome, run.is_resumed, run.first_epoch = 3, 4, 5, "t", "s", True, 6
    run.reset()
    assert (run.epoch, run.batch, run.step, run.stage, run.outcome) == (None, None, 0, None, None)
    assert (run.reason, run.stopped_by, run.is_stop_requested, run.is_resumed, run.first_epoch) == (
        "",
        None,
        False,
        False,
        0,
    )


@pytest.mark.parametrize(
    ("error", "is_stopped", "is_complete", "outcome", "reason"),
    [
        (None, False, True, "completed", ""),
        (None, True, True, "stopped", "enough"),
        (None, True, False, "stopped", "enough"),
        (None, False, False, "stopped", "the loop was left before its end"),
        (GeneratorExit(), False, False, "stopped", "the loop was left before its end"),
        (ValueError("no"), False, False, "failed", "ValueError: no"),
        (ValueError(), True, False, "failed", "ValueError"),
        (KeyboardInterrupt(), False, False, "interrupted", "KeyboardInterrupt"),
        (SystemExit(3), True, False, "interrupted", "SystemExit: 3"),
    ],
)
def test_how_a_training_ends(error, is_stopped, is_complete, outcome, reason):
    run = Run()
    if is_stopped:
        run.stop("enough")
    run.conclude(error, is_complete)
    assert (run.outcome, run.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("data", "inputs", "targets"),
    [
        ((1, 2), 1, 2),
        ([1, 2, 3], 1, 2),
        ((1,), 1, None),
        ((), (), None),
        ({"x": 1}, {"x": 1}, None),
        ("text", "text", None),
        (None, None, None),
    ],
)
def test_inputs_and_targets(data, inputs, targets):
    run = Run()
    run.data = data
    assert (run.inputs, run.targets) == (inputs, targets)


@pytest.mark.parametrize(
    ("epoch", "stage", "batch", "words"),
    [
        (None, None, None, "before the first epoch"),
        (3, "train", None, "epoch 3"),
        (3, "train", 12, "epoch 3, batch 12"),
        (3, "test", 1, "epoch 3, test, batch 1"),
        (None, "predict", 1, "predict, batch 1"),
    ],
)
def test_where_in_words(epoch, stage, batch, words):
    run = Run()
    run.epoch, run.stage, run.batch = epoch, stage, batch
    assert run.where() == words
    assert words in repr(run)


def test_records_go_to_every_sink_with_the_place_filled_in():
    run, first, second = Run(), [], []
    run.sinks += [first.append, second.append]
    run.epoch, run.step = 2, 40
    record = Scalars({"score": 1.0})
    run.record(record)
    assert first == second == [record]
    assert (record.epoch, record.step) == (2, 40)
    placed = Picture("digits", "pixels", epoch=0, step=0)
    run.record(placed)
    assert (placed.epoch, placed.step) == (0, 0)  # 0 is a place


def test_records_say_what_they_are():
    assert repr(Record(epoch=1, step=2)) == "Record(epoch=1, step=2)"
    assert repr(Scalars({"a": 1 / 3, "b": 2}, epoch=1, step=2)) == "Scalars({'a': 0.333333, 'b': 2}, epoch=1, step=2)"
    assert repr(Scalars({}, step=0)) == "Scalars({}, epoch=None, step=0)"
    picture = Picture("digits", "pixels", path="a.png")
    assert repr(picture) == "Picture('digits', path='a.png', epoch=None, step=None)"
    assert repr(Picture("digits", Pixels())) == "Picture('digits', 28×28×3 pixels, epoch=None, step=None)"
    summaries = Summaries("weights", {"a": None, "b": None}, step=2)
    assert repr(summaries) == "Summaries(weights of 'a', 'b', epoch=None, step=2)"
    assert repr(Summaries("weights", {})) == "Summaries(weights of nothing, epoch=None, step=None)"
    alert = Alert("dead_units", "of 8 units\n8 are dead", where="relu", why="long", advice="longer", step=3)
    assert repr(alert) == "Alert(dead_units in relu: 'of 8 units\\n8 are dead', epoch=None, step=3)"
    assert (picture.name, picture.pixels, picture.path) == ("digits", "pixels", "a.png")
    values = {"a": 1.0}
    scalars = Scalars(values)
    values["a"] = 2.0
    assert scalars.values == {"a": 1.0}
    assert isinstance(scalars, Record)


class Pixels:
    shape = (28, 28, 3)


def test_records_with_many_names_stay_in_one_line():
    many = {f"value_{number}": number for number in range(50)}
    for record in (Scalars(many), Summaries("weights", many)):
        assert "value_5" in repr(record)
        assert "value_6" not in repr(record)
        assert "and 44 more" in repr(record)


def test_a_kept_batch_and_an_origin_say_what_they_are():
    kept = Kept(1, 2, 5, None, None)
    assert repr(kept) == "<Kept batch 2 of epoch 1, begun at step 5: no optimizer stepped>"
    origin = Origin("forward", module="head", operation="log")
    assert repr(origin) == "Origin(forward, module='head', operation='log')"
    assert repr(Origin("unknown")) == "Origin(unknown)"


QUESTIONS = {
    "weights": lambda run: run.weights(),
    "gradients": lambda run: run.gradients(),
    "learning_rate": lambda run: run.learning_rate,
    "set_learning_rate": lambda run: setattr(run, "learning_rate", 0.1),
    "scale_learning_rate": lambda run: run.scale_learning_rate(0.1),
    "save": lambda run: run.save("path"),
    "load": lambda run: run.load("path"),
    "observing": lambda run: run.observing(),
    "state_dict": lambda run: run.view.state_dict(),
    "load_state_dict": lambda run: run.view.load_state_dict({}),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_view_that_knows_nothing_says_so(ask):
    with pytest.raises(AbsentError, match="cannot be had from a str: Onlooker does not know this kind of model"):
        ask(Run("a model"))


def test_what_a_view_answers_without_being_asked_much():
    class Model:
        pass

    model = Model()
    view = ModelView(model)
    assert view.flag_holders() == (model.__dict__,)
    assert ModelView({"a": model}).flag_holders() == ()
    assert ModelView(None).flag_holders() == ()
    assert view.count_steps(lambda: None) is None
    assert view.process_count() == 1
    assert isinstance(view.evaluating(), Unchanged)
    with view.evaluating() as nothing:
        assert nothing is None


def test_unchanged_swallows_nothing():
    with pytest.raises(ValueError, match="no"), Unchanged():
        raise ValueError("no")


def test_step_at_begin():
    run = Run()
    run.step, run.step_at_epoch_begin, run.step_at_batch_begin = 9, 4, 8
    assert (run.step_at_begin("epoch"), run.step_at_begin("train_batch"), run.step_at_begin("test_batch")) == (4, 8, 9)
