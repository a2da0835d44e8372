"""`Loop` where nothing goes wrong, and its arguments where they are wrong."""

import collections
import types
import warnings

import pytest
import torch
from tests.names import without_address
from tests.recorder import Recorder
from torch import nn

import onlooker as ol
from onlooker.core.errors import AttachError, DataError, LoopError


def loop_with(*callbacks, model=None, optimizer=None, **named):
    return ol.Loop(model, optimizer, callbacks=list(callbacks), **named)


def train(loop, epochs=2, batches=(1.0, 2.0), tests=None):
    with loop:
        for _ in loop.epochs(epochs):
            for number in loop.train(batches):
                loop.log(loss=number)
            if tests is not None:
                for number in loop.test(tests):
                    loop.log(loss=number)
    return loop


BATCH = ["on_train_batch_begin", "on_train_batch_end"]
TEST_BATCH = ["on_test_batch_begin", "on_test_batch_end"]


def test_the_hooks_of_a_training_with_validation():
    recorder = Recorder()
    loop = train(loop_with(recorder), tests=[3.0])
    epoch = ["on_epoch_begin", *BATCH * 2, "on_test_begin", *TEST_BATCH, "on_test_end", "on_epoch_end"]
    assert recorder.check().hooks == ["on_train_begin", *epoch * 2, "on_train_end"]
    assert (loop.run.outcome, loop.run.reason, loop.run.epoch, loop.run.batch, loop.run.stage) == (
        "completed",
        "",
        1,
        None,
        None,
    )


def test_it_yields_what_the_loader_yields_and_gives_epochs_from_0():
    seen = []
    with loop_with() as loop:
        for epoch in loop.epochs(3):
            seen += [(epoch, item) for item in loop.train("a" for _ in range(2))]
    assert seen == [(epoch, "a") for epoch in range(3) for _ in range(2)]


class Sequence:
    """Iterable the old way, by index, with a length."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (10, 20)[index]


LOADERS = {
    "a list": lambda: [1, 2],
    "a tuple": lambda: (1, 2),
    "texts": lambda: ["a", "b"],
    "dicts": lambda: [{"x": 1}, {"x": 2}],
    "Nones": lambda: [None, None],
    "a generator": lambda: (number for number in (1, 2)),
    "an iterator": lambda: iter([1, 2]),
    "a deque": lambda: collections.deque([1, 2]),
    "by index only": Sequence,
    "a tensor": lambda: torch.arange(2),
    "a data loader": lambda: torch.utils.data.DataLoader(torch.arange(4), batch_size=2),
    "a dict's keys": lambda: {"a": 1, "b": 2},
    "zip": lambda: zip("ab", "cd", strict=True),
    "exceptions as data": lambda: [ValueError("data"), StopIteration()],
}


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("stage", ["train", "test", "predict"])
def test_a_loader_of_any_kind(make, stage):
    with loop_with(recorder := Recorder()) as loop:
        yielded = list(getattr(loop, stage)(make()))
    expected = list(make())
    assert len(yielded) == 2
    if stage != "train" or not isinstance(expected[0], Exception):
        assert [str(one) for one in yielded] == [str(one) for one in expected]
    assert [event.index for event in recorder.check().of(f"on_{stage}_batch_end")] == [0, 1]


def test_the_very_objects_are_yielded():
    items = [object(), object()]
    with loop_with() as loop:
        assert [id(item) for item in loop.train(items)] == [id(item) for item in items]


def test_a_stage_has_a_length_where_its_loader_has_one():
    with loop_with() as loop:
        assert len(loop.train([1, 2, 3])) == 3
        assert len(loop.test(Sequence())) == 2
        with pytest.raises(TypeError):
            len(loop.train(iter([1])))
        assert len(loop.epochs(4)) == 4
        with pytest.raises(TypeError, match="these epochs have no length"):
            len(loop.epochs())


def test_params_are_keras_dict():
    seen = []

    class Watch(ol.Callback):
        def on_train_begin(self, logs=None):
            seen.append(dict(self.params))

        def on_epoch_end(self, epoch, logs=None):
            seen.append(dict(self.params))

    train(loop_with(Watch()), epochs=1, batches=[1.0, 2.0, 3.0])
    assert seen == [
        {"epochs": 1, "steps": None, "verbose": 1},
        {"epochs": 1, "steps": 3, "verbose": 1},
    ]
    seen.clear()
    with loop_with(Watch()) as loop:
        for _ in loop.epochs():
            list(loop.train(iter([1.0])))
            loop.stop()
    assert seen == [{"epochs": None, "steps": None, "verbose": 1}] * 2


def test_no_epochs_are_a_training_too():
    recorder = Recorder()
    loop = train(loop_with(recorder), epochs=0)
    assert recorder.check().hooks == ["on_train_begin", "on_train_end"]
    assert loop.run.outcome == "completed"


def test_epochs_without_end_go_on_until_somebody_stops():
    with loop_with(recorder := Recorder()) as loop:
        for epoch in loop.epochs():
            list(loop.train([1.0]))
            if epoch == 3:
                loop.stop("enough")
    assert len(recorder.check().of("on_epoch_end")) == 4
    assert (loop.run.outcome, loop.run.reason) == ("stopped", "enough")


def test_an_epoch_without_batches_of_its_own():
    """A loop may put its work anywhere: an epoch that calls nothing is an epoch."""
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            loop.log(score=1.0)
    assert recorder.check().hooks == ["on_train_begin", *["on_epoch_begin", "on_epoch_end"] * 2, "on_train_end"]
    assert recorder.logs("on_epoch_end") == [{"score": 1.0}] * 2


def test_train_without_epochs_is_a_run_of_one_epoch():
    with loop_with(recorder := Recorder()) as loop:
        for number in loop.train([1.0, 2.0]):
            loop.log(loss=number)
    assert recorder.check().hooks == ["on_train_begin", "on_epoch_begin", *BATCH * 2, "on_epoch_end", "on_train_end"]
    assert recorder.logs("on_train_end") == [{"loss": 1.5}]
    assert (loop.run.outcome, loop.run.params["epochs"], loop.run.params["steps"]) == ("completed", 1, 2)


def test_several_trainings_one_after_the_other_each_begin_anew():
    recorder = Recorder()
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with loop_with(recorder, model=model, optimizer=optimizer) as loop:
        for _ in range(2):
            for _ in loop.epochs(2):
                for _ in loop.train([1, 2]):
                    optimizer.step()
        list(loop.train([1]))
    assert recorder.check().hooks.count("on_train_begin") == recorder.hooks.count("on_train_end") == 3
    steps = [event.run["step"] for event in recorder.of("on_epoch_end")]
    assert steps == [2, 4, 2, 4, 0]
    assert [event.run["outcome"] for event in recorder.of("on_train_begin")] == [None] * 3


def test_several_train_stages_in_one_epoch_count_on():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0, 2.0]):
                loop.log(loss=number)
            for number in loop.train([6.0]):
                loop.log(loss=number)
    assert [event.index for event in recorder.check().of("on_train_batch_end")] == [0, 1, 2] * 2
    assert [logs["loss"] for logs in recorder.logs("on_epoch_end")] == [3.0, 3.0]


@pytest.mark.parametrize("stage", ["test", "predict"])
@pytest.mark.parametrize("place", ["before", "after", "between trainings"])
def test_stages_that_stand_alone(stage, place):
    recorder = Recorder()

    def alone(loop):
        result = getattr(loop, stage)([1.0, 3.0])
        for number in result:
            loop.log(loss=number)
        return result

    with loop_with(recorder) as loop:
        if place != "before":
            list(loop.train([1.0]))
        result = alone(loop)
        assert result.logs == {"loss": 2.0}
        if place == "between trainings":
            list(loop.train([1.0]))
    assert [*recorder.check().last(f"on_{stage}_end").logs.items()] == [("loss", 2.0)]
    assert loop.run.outcome == (None if place == "before" else "completed")


def test_predict_outputs_are_in_the_batchs_logs():
    with loop_with(recorder := Recorder()) as loop:
        for number in loop.predict([1.0, 3.0]):
            loop.outputs = number * 2
    assert recorder.check().logs("on_predict_batch_end") == [{"outputs": 2.0}, {"outputs": 6.0}]
    assert recorder.logs("on_predict_end") == [{}]


def test_inputs_targets_and_outputs_of_the_batch_at_hand():
    seen = []

    class Watch(ol.Callback):
        def see(self, where):
            run = self.run
            seen.append((where, run.inputs, run.targets, run.outputs))

        def on_train_batch_begin(self, batch, logs=None):
            self.see("begin")

        def on_train_batch_end(self, batch, logs=None):
            self.see("end")

        def on_test_batch_end(self, batch, logs=None):
            self.see("test")

        def on_epoch_end(self, epoch, logs=None):
            self.see("epoch")

    with loop_with(Watch()) as loop:
        for _ in loop.epochs(1):
            for x, _ in loop.train([("x0", "y0"), ("x1", "y1")]):
                loop.outputs = f"out of {x}"
                assert loop.outputs == f"out of {x}"
                for _ in loop.test([("tx", "ty")]):
                    loop.outputs = "out of test"
                assert loop.outputs == f"out of {x}"
    batches = [
        [("begin", x, y, None), ("test", "tx", "ty", "out of test"), ("end", x, y, f"out of {x}")]
        for x, y in (("x0", "y0"), ("x1", "y1"))
    ]
    assert seen == [*batches[0], *batches[1], ("epoch", None, None, None)]


def test_the_last_batch_is_let_go():
    import gc
    import weakref

    class Thing:
        pass

    with loop_with() as loop:
        for thing in loop.train([Thing()]):
            loop.outputs = Thing()
            known = weakref.ref(thing), weakref.ref(loop.outputs)
        del thing
        gc.collect()
        assert known[1]() is None
    gc.collect()
    assert known[0]() is None


# Models.


def test_the_model_is_the_very_one_that_was_passed():
    seen = []

    class Watch(ol.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model)

    model = nn.Linear(1, 1)
    train(loop_with(Watch(), model=model))
    models = {"generator": model, "critic": nn.Linear(1, 1)}
    train(loop_with(Watch(), model=models))
    assert seen[0] is model
    assert seen[1] is models


def test_several_models_and_optimizers():
    models = {"g": nn.Linear(1, 1), "d": nn.Linear(1, 1)}
    optimizers = {
        name: torch.optim.SGD(model.parameters(), lr=rate)
        for (name, model), rate in zip(models.items(), (0.1, 0.2), strict=True)
    }
    with loop_with(recorder := Recorder(), model=models, optimizer=optimizers) as loop:
        for _ in loop.train([1, 2, 3]):
            for optimizer in optimizers.values():
                optimizer.step()
        assert loop.run.step == 3
        assert list(loop.run.weights()) == ["g.weight", "g.bias", "d.weight", "d.bias"]
        assert loop.run.learning_rate == {"g": 0.1, "d": 0.2}
        with pytest.raises(ValueError, match="the learning rates differ"):
            loop.run.learning_rate = 1.0
        loop.run.scale_learning_rate(10)
    assert loop.run.learning_rate == pytest.approx({"g": 1.0, "d": 2.0})
    recorder.check()


@pytest.mark.parametrize("model", [None, 3, object(), types.SimpleNamespace(), {}, {"a": 1}], ids=without_address)
def test_a_model_of_no_known_kind_trains_all_the_same(model):
    loop = train(loop_with(recorder := Recorder(), model=model))
    recorder.check()
    assert loop.run.step == 4
    with pytest.raises(ol.OnlookerError, match="Onlooker does not know this kind of model"):
        loop.run.weights()


# Callbacks.


def test_callbacks_are_called_in_their_order():
    seen = []
    callbacks = [Recorder(lambda recorder, hook, *_, name=name: seen.append((name, hook))) for name in "ab"]
    train(loop_with(*callbacks), epochs=1)
    assert [name for name, _ in seen] == ["a", "b"] * (len(seen) // 2)


@pytest.mark.parametrize("callbacks", [ol.Callback(), "abc", 3, {"a": 1}], ids=["one", "text", "number", "dict"])
def test_what_is_no_list_of_callbacks(callbacks):
    with pytest.raises(AttachError, match=r"must be a list of callbacks.*write callbacks=\[\.\.\.\]"):
        ol.Loop(None, callbacks=callbacks)


@pytest.mark.parametrize("callback", [ol.Callback, 3, None, "progress"], ids=without_address)
def test_what_is_no_callback(callback):
    with pytest.raises(AttachError, match=r"(pass an instance|must be an onlooker.Callback)"):
        ol.Loop(None, callbacks=[callback])


def test_callbacks_instead_of_an_optimizer_say_what_was_expected():
    with pytest.raises(TypeError, match=r"expected a torch.optim.Optimizer"):
        ol.Loop(nn.Linear(1, 1), [Recorder()])


@pytest.mark.parametrize("name", ["lightning", "transformers", "xgboost"])
def test_a_callback_of_another_trainer_is_refused_with_its_name(name):
    root = {"lightning": "Callback", "transformers": "TrainerCallback", "xgboost": "TrainingCallback"}[name]
    theirs = type("Theirs", (type(root, (), {"__module__": f"{name}.callbacks"}),), {})
    with pytest.raises(AttachError, match=r"Theirs is a callback of \w+ and can run there only"):
        loop_with(theirs())


def test_one_instance_in_two_live_loops():
    callback = Recorder()
    with loop_with(callback), pytest.raises(AttachError, match="already in a run that is under way"):
        loop_with(callback)
    train(loop_with(callback))


def test_one_instance_in_two_loops_of_which_one_begins_after_the_other():
    callback = Recorder()
    first, second = loop_with(callback), loop_with(callback)
    with first:
        with pytest.raises(AttachError, match="already in a run that is under way"):
            second.__enter__()
        list(first.train([1]))
        assert callback.run is first.run
    train(second, epochs=1)
    assert callback.run is second.run


# Adding during a run.


def test_a_callback_added_during_a_run_joins_with_the_next_epoch():
    early, late = Recorder(), Recorder()
    with loop_with(early) as loop:
        for epoch in loop.epochs(3):
            for _ in loop.train([1]):
                if epoch == 0:
                    loop.add(late)
    assert late.check(first_epoch=1).hooks == [
        "on_train_begin",
        *["on_epoch_begin", *BATCH, "on_epoch_end"] * 2,
        "on_train_end",
    ]
    early.check()
    assert late.run is loop.run


def test_a_callback_added_before_the_run_is_there_from_its_beginning():
    with loop_with() as loop:
        loop.add(first := Recorder())
        list(loop.test([1]))
        loop.add(second := Recorder())
        train_again = list(loop.train([1]))
    assert train_again == [1]
    assert first.check().hooks[:2] == ["on_test_begin", "on_test_batch_begin"]
    assert second.check().hooks[:2] == ["on_train_begin", "on_epoch_begin"]


def test_a_callback_added_in_the_last_epoch_joins_the_next_training_or_none():
    with loop_with() as loop:
        for _ in loop.epochs(1):
            list(loop.train([1]))
            loop.add(late := Recorder())
        assert late.events == []
        for _ in loop.epochs(2):
            list(loop.train([1]))
    assert late.check().hooks[:2] == ["on_train_begin", "on_epoch_begin"]
    assert late.hooks.count("on_train_begin") == 1


def test_a_callback_that_adds_another():
    late = Recorder()

    def act(recorder, hook, index, logs):
        if hook == "on_epoch_begin" and index == 0:
            loop.add(late)

    loop = loop_with(Recorder(act))
    train(loop, epochs=2)
    assert late.check(first_epoch=1).hooks[0] == "on_train_begin"


def test_a_newcomer_that_tests_in_its_train_begin_does_so_silently():
    def act(recorder, hook, index, logs):
        if hook == "on_train_begin":
            for number in loop.test([1.0, 2.0]):
                loop.log(loss=number)

    early, late = Recorder(), Recorder(act)
    with loop_with(early) as loop:
        for epoch in loop.epochs(3):
            list(loop.train([1]))
            if epoch == 0:
                loop.add(late)
    assert len(early.check().of("on_epoch_end")) == 3
    assert "on_test_begin" not in early.hooks
    assert late.check(first_epoch=1).hooks[:2] == ["on_train_begin", "on_epoch_begin"]


class Misspelled(ol.Callback):
    def on_epoch_ends(self, epoch, logs=None): ...


class WrongArguments(ol.Callback):
    def on_epoch_end(self): ...


class NeedsMagic(ol.Callback):
    needs = ("magic",)


REFUSED = {
    "a class": (lambda there: ol.Callback, "pass an instance"),
    "a number": (lambda there: 3, "must be an onlooker.Callback"),
    "one that is there": (lambda there: there, "was passed twice"),
    "a misspelled hook": (lambda there: Misspelled(), "did you mean on_epoch_end"),
    "wrong arguments": (lambda there: WrongArguments(), "which is too few"),
    "an unknown need": (lambda there: NeedsMagic(), "which is no ability"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_added_is_refused_at_once_and_the_training_goes_on(make, words):
    """Not an epoch later, where it would end a training that had nothing to do with it."""
    there = Recorder()
    with loop_with(there) as loop:
        for epoch in loop.epochs(2):
            for _ in loop.train([1]):
                if epoch == 0:
                    with pytest.raises(AttachError, match=words):
                        loop.add(make(there))
    assert loop.run.outcome == "completed"


def test_a_callback_that_is_in_another_live_run_is_refused_at_once():
    busy = Recorder()
    with loop_with(busy), loop_with() as loop:
        for _ in loop.epochs(1):
            with pytest.raises(AttachError, match="already in a run that is under way"):
                loop.add(busy)


def test_what_was_added_already_is_refused_also_while_it_waits():
    late = Recorder()
    with loop_with() as loop:
        for epoch in loop.epochs(2):
            list(loop.train([1]))
            if epoch == 0:
                loop.add(late)
                with pytest.raises(AttachError, match="was passed twice"):
                    loop.add(late)
    assert late.check(first_epoch=1).hooks.count("on_train_begin") == 1


# Outside `with`.


@pytest.mark.parametrize(
    "use",
    [
        lambda loop: loop.epochs(1),
        lambda loop: loop.train([1]),
        lambda loop: loop.test([1]),
        lambda loop: loop.predict([1]),
        lambda loop: loop.log(loss=1.0),
    ],
    ids=["epochs", "train", "test", "predict", "log"],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_outside_with_says_so(use, when):
    loop = loop_with()
    if when == "after":
        train(loop)
    with pytest.raises(
        ol.OnlookerError, match=r"(Loop is a context manager; write: with onlooker.Loop|nothing to log to)"
    ):
        use(loop)


def test_a_loop_is_used_once():
    loop = train(loop_with())
    with pytest.raises(LoopError, match="this Loop was used before; make a new one"):
        loop.__enter__()


def test_with_gives_the_loop_and_swallows_nothing():
    loop = loop_with()

    def fail():
        with loop as given:
            assert given is loop
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()


# Bad values.


@pytest.mark.parametrize("count", [1.5, "3", True, [1]], ids=without_address)
def test_epochs_that_are_no_number(count):
    with loop_with() as loop, pytest.raises(TypeError, match="takes a whole number or None"):
        loop.epochs(count)


def test_negative_epochs():
    with loop_with() as loop, pytest.raises(ValueError, match=r"loop.epochs\(-1\) is negative; expected 0 or more"):
        loop.epochs(-1)


def test_epochs_from_a_library_of_numbers():
    numpy = pytest.importorskip("numpy")
    with loop_with() as loop:
        assert list(loop.epochs(numpy.int64(2))) == [0, 1]


@pytest.mark.parametrize("loader", [None, 3, "batches", b"batches", object()], ids=without_address)
@pytest.mark.parametrize("stage", ["train", "test", "predict"])
def test_a_loader_that_is_none_is_refused_at_once(loader, stage):
    with loop_with() as loop, pytest.raises(DataError, match=f"loop.{stage} takes something that yields batches, not"):
        getattr(loop, stage)(loader)


@pytest.mark.parametrize("stage", ["train", "test", "predict"])
def test_a_loader_that_yields_nothing(stage):
    recorder = Recorder()

    def run():
        with loop_with(recorder) as loop:
            for _ in loop.epochs(1):
                list(getattr(loop, stage)([]))

    with pytest.raises(DataError, match=f"loop.{stage}: the loader yielded no batch .*batch_size and drop_last"):
        run()
    assert recorder.check().last("on_train_end").run["outcome"] == "failed"


@pytest.mark.parametrize("is_one_stage", [True, False])
def test_a_generator_that_is_used_up(is_one_stage):
    generator = (number for number in (1.0, 2.0))

    def run():
        with loop_with() as loop:
            stage = loop.train(generator)
            for _ in loop.epochs(2):
                list(stage if is_one_stage else loop.train(generator))

    with pytest.raises(DataError, match=r"epoch 1\); a generator can be iterated only once: pass a loader or a list"):
        run()


@pytest.mark.parametrize("prefix", ["", None, 3])
def test_a_prefix_that_is_none(prefix):
    with loop_with() as loop, pytest.raises(ValueError, match="must be a word, as 'val' in val_loss"):
        loop.test([1], prefix=prefix)


def test_more_than_one_process_is_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    with pytest.raises(LoopError, match="4 processes train together, but Loop cannot yet agree"):
        loop_with(model=nn.Linear(1, 1)).__enter__()
    train(loop_with(model=None))


def test_a_loop_inside_a_loop_is_another_run():
    outer, inner = Recorder(), Recorder()
    with loop_with(outer) as loop:
        for _ in loop.epochs(2):
            for _ in loop.train([1]):
                train(loop_with(inner), epochs=1)
    outer.check()
    inner.check()
    assert inner.hooks.count("on_train_begin") == 2


def test_nothing_warns_in_a_training_that_is_all_right():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(loop_with(Recorder()), tests=[1.0])
