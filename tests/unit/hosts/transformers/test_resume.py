"""Going on from a checkpoint of the trainer's, also in the middle of an epoch: the same hooks, logs and weights."""

import os

import pytest
import torch
import transformers
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import OnlookerWarning

from .trainers import Line, Streamed, make_trainer, short

CHECKPOINTS = {"save_strategy": "steps", "save_steps": 1, "eval_strategy": "epoch", "lr_scheduler_type": "linear"}


class Counter(ol.Callback):
    """Resets itself as a training and as an epoch begins, and has a state."""

    def on_train_begin(self, logs=None):
        self.batches = self.in_epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.in_epoch = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self.in_epoch += 1
        logs["batches"], logs["in_epoch"] = float(self.batches), float(self.in_epoch)

    def on_epoch_end(self, epoch, logs=None):
        logs["in_epoch"] = float(self.in_epoch)

    def state_dict(self):
        return {"batches": self.batches, "in_epoch": self.in_epoch}

    def load_state_dict(self, state):
        self.batches, self.in_epoch = state["batches"], state["in_epoch"]


class SlowsDown(ol.Callback):
    """Sets a rate, which no schedule may take back; not after a resume either."""

    def on_train_batch_end(self, batch, logs=None):
        if self.run.step == 3:
            self.run.learning_rate = 0.01


def train(tmp_path, resume=None, callbacks=(), **settings):
    """Train with dropout; return a recorder, the weights, the history and the trainer."""
    seen, history = Recorder(), ol.callbacks.History()
    adapter = ol.for_transformers(*callbacks, Counter(), SlowsDown(), history, seen)
    trainer = make_trainer(tmp_path, adapter, model=Line(dropout=0.3), **{**CHECKPOINTS, **settings})
    trainer.train(resume_from_checkpoint=resume)
    weights = torch.cat([one.flatten() for one in trainer.model.parameters()])
    return seen, weights, history, trainer


def checkpoint(tmp_path, step):
    return os.path.join(str(tmp_path), f"checkpoint-{step}")


def same_events(resumed, whole):
    """Compare the events of a resumed training with the last ones of the whole."""
    rest = [event for event in resumed if event.hook not in ("on_train_begin", "on_epoch_begin")]
    all_of_it = [event for event in whole if event.hook not in ("on_train_begin", "on_epoch_begin")]
    for event, same in zip(rest, all_of_it[-len(rest) :], strict=True):
        assert (event.hook, event.index) == (same.hook, same.index)
        assert event.logs == same.logs, event
        assert event.batch == same.batch, event
        assert event.run == same.run, event


@pytest.mark.parametrize(
    ("step", "hooks"),
    [
        (1, "[ E0 b1 b2 b3 ( t0 t1 ) e0 E1 b0 b1 b2 b3 ( t0 t1 ) e1 ]"),
        (3, "[ E0 b3 ( t0 t1 ) e0 E1 b0 b1 b2 b3 ( t0 t1 ) e1 ]"),
        (6, "[ E1 b2 b3 ( t0 t1 ) e1 ]"),
    ],
)
def test_in_the_middle_of_an_epoch(tmp_path, step, hooks):
    whole, weights, history, _ = train(tmp_path)
    resumed, same_weights, same_history, trainer = train(tmp_path, checkpoint(tmp_path, step))
    signs = [sign for sign in hooks.split() if sign[0] not in "[E"]
    assert [sign for sign in relaxed(resumed).split() if sign[0] not in "[E"] == signs
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)
    assert (history.epochs, history.history) == (same_history.epochs, same_history.history)
    assert (resumed.run.is_resumed, resumed.run.outcome, resumed.run.step) == (True, "completed", 8)
    assert trainer.state.global_step == 8


def test_what_is_set_as_the_training_begins_was_set_the_first_time_too(tmp_path):
    class SetsAtBegin(ol.Callback):
        def on_train_begin(self, logs=None):
            self.run.learning_rate = 0.04

    whole, weights, *_ = train(tmp_path, callbacks=[SetsAtBegin()])
    resumed, same_weights, *_ = train(tmp_path, checkpoint(tmp_path, 6), callbacks=[SetsAtBegin()])
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)


def test_a_trigger_by_steps_knows_where_the_epoch_began(tmp_path):
    found = []

    class Watch(ol.Callback):
        @ol.at(steps=2)
        def on_epoch_end(self, epoch, logs=None):
            found.append(epoch)

    train(tmp_path, callbacks=[Watch()])
    train(tmp_path, checkpoint(tmp_path, 3), callbacks=[Watch()])
    assert found == [0, 0]


def relaxed(seen):
    """Return the signs of a recorder whose first epoch begins with a later batch."""
    seen.check = lambda *given: seen  # batches are checked to count from 0
    return short(seen)


@pytest.mark.parametrize("strategy", ["epoch", "best"])
def test_at_the_end_of_an_epoch(tmp_path, strategy):
    """The epoch has ended before its checkpoint is written, so it does not come again."""
    settings = {"save_strategy": strategy, "metric_for_best_model": "loss"}
    whole, weights, history, _ = train(tmp_path, **settings)
    resumed, same_weights, same_history, _ = train(tmp_path, checkpoint(tmp_path, 4), **settings)
    assert short(resumed) == "[ E1 b0 b1 b2 b3 ( t0 t1 ) e1 ]"
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)
    assert (history.epochs, history.history) == (same_history.epochs, same_history.history)


def test_between_the_last_batch_of_an_epoch_and_its_end(tmp_path):
    """The trainer takes the epoch for done; its end still comes, without the evaluation that the trainer leaves out."""
    whole, _, history, _ = train(tmp_path)
    resumed, _, same_history, _ = train(tmp_path, checkpoint(tmp_path, 4))
    assert short(resumed) == "[ E0 e0 E1 b0 b1 b2 b3 ( t0 t1 ) e1 ]"
    first, same_first = whole.logs("on_epoch_end")[0], resumed.logs("on_epoch_end")[0]
    assert same_first == {name: value for name, value in first.items() if not name.startswith("val_")}
    assert same_history.epochs == history.epochs == [0, 1]


def test_between_the_last_batch_of_an_epoch_and_its_end_where_nothing_is_left_out(tmp_path):
    whole, weights, history, _ = train(tmp_path, eval_strategy="no")
    resumed, same_weights, same_history, _ = train(tmp_path, checkpoint(tmp_path, 4), eval_strategy="no")
    assert short(resumed) == "[ E0 e0 E1 b0 b1 b2 b3 e1 ]"
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)
    assert (history.epochs, history.history) == (same_history.epochs, same_history.history)


def test_with_accumulated_gradients(tmp_path):
    settings = {"gradient_accumulation_steps": 3, "num_train_epochs": 3}
    whole, weights, history, _ = train(tmp_path, **settings)
    resumed, same_weights, same_history, _ = train(tmp_path, checkpoint(tmp_path, 3), **settings)
    assert relaxed(resumed).startswith("[ E1 b3 ( t0 t1 ) e1 E2 b0")
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)
    assert history.history == same_history.history


def test_without_skipping_data_the_epoch_begins_anew(tmp_path):
    train(tmp_path)
    resumed, *_ = train(tmp_path, checkpoint(tmp_path, 3), ignore_data_skip=True)
    assert relaxed(resumed).startswith("[ E0 b0 b1 b2 b3 ( t0 t1 ) e0 E1")
    assert resumed.logs("on_train_batch_end")[0]["in_epoch"] == 1.0


def test_data_without_a_length(tmp_path):
    settings = {"data": Streamed(), "max_steps": 4, "eval_strategy": "no"}
    whole, weights, *_ = train(tmp_path, **settings)
    resumed, same_weights, *_ = train(tmp_path, checkpoint(tmp_path, 2), **settings)
    assert relaxed(resumed) == "[ E0 b2 b3 e0 ]"
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)


def test_the_last_checkpoint_by_true(tmp_path):
    train(tmp_path)
    resumed, *_ = train(tmp_path, True)
    assert relaxed(resumed) == "[ E1 e1 ]"


class Named(ol.Callback):
    def __init__(self, name):
        self.name, self.loaded = name, []

    def state_dict(self):
        return {"name": self.name}

    def load_state_dict(self, state):
        self.loaded.append(state["name"])


def test_two_adapters_and_two_of_one_class_keep_their_states_apart(tmp_path):
    def fit(names, resume=None):
        callbacks = [Named(name) for name in names]
        adapters = [ol.for_transformers(*callbacks[:2]), ol.for_transformers(*callbacks[2:])]
        settings = {"save_strategy": "epoch", "restore_callback_states_from_checkpoint": True}
        trainer = make_trainer(tmp_path, *adapters, **settings)
        trainer.train(resume_from_checkpoint=resume)
        assert [one for one in trainer.callback_handler.callbacks if one in adapters] == adapters
        return [callback.loaded for callback in callbacks]

    assert fit("abc") == [[], [], []]
    assert fit("xyz", checkpoint(tmp_path, 4)) == [["a"], ["b"], ["c"]]
    assert sorted(name for name in os.listdir(checkpoint(tmp_path, 4)) if "onlooker" in name) == [
        "onlooker_0_0.pt",
        "onlooker_1_0.pt",
    ]


def test_the_trainers_own_stateful_callbacks_come_back_beside_ours(tmp_path):
    def fit(resume=None):
        early, seen = transformers.EarlyStoppingCallback(early_stopping_patience=3), Recorder()
        trainer = make_trainer(
            tmp_path,
            ol.for_transformers(seen),
            native=[early],
            learning_rate=0.0,
            eval_strategy="epoch",
            save_strategy="epoch",
            metric_for_best_model="loss",
            load_best_model_at_end=True,
            num_train_epochs=8,
            restore_callback_states_from_checkpoint=True,
        )
        trainer.train(resume_from_checkpoint=resume)
        return seen

    whole, resumed = fit(), fit(checkpoint(tmp_path, 8))
    assert [event.index for event in whole.of("on_epoch_end")] == [0, 1, 2, 3]
    assert [event.index for event in resumed.of("on_epoch_end")] == [2, 3]
    assert resumed.run.reason == whole.run.reason == "EarlyStoppingCallback of the trainer's, at step 16"


def test_a_checkpoint_that_was_written_without_us(tmp_path):
    make_trainer(tmp_path, **CHECKPOINTS).train()
    with pytest.warns(OnlookerWarning, match="no saved state for Counter, History"):
        resumed, *_ = train(tmp_path, checkpoint(tmp_path, 6))
    assert relaxed(resumed) == "[ E1 b2 b3 ( t0 t1 ) e1 ]"
    assert resumed.run.is_resumed
    assert resumed.run.step == 8


def test_a_broken_file(tmp_path):
    train(tmp_path)
    path = os.path.join(checkpoint(tmp_path, 6), "onlooker_0_0.pt")
    with open(path, "wb") as file:
        file.write(b"no pickle")
    with pytest.warns(OnlookerWarning, match="cannot be read"):
        resumed, *_ = train(tmp_path, checkpoint(tmp_path, 6))
    assert relaxed(resumed) == "[ E1 b2 b3 ( t0 t1 ) e1 ]"


def test_a_state_that_no_file_can_hold_is_refused_when_it_is_saved(tmp_path):
    class Odd(ol.Callback):
        def state_dict(self):
            return {"thing": object()}

        def load_state_dict(self, state):
            pass

    with pytest.raises(ol.OnlookerError, match="which a checkpoint cannot hold"):
        train(tmp_path, callbacks=[Odd()])


# run.save and run.load.


def test_the_trainer_goes_on_from_a_folder_of_run_save(tmp_path):
    folder = tmp_path / "saved"

    class Saves(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.run.step == 6 and not self.run.is_resumed:
                self.run.save(folder)

    whole, weights, history, _ = train(tmp_path, save_strategy="no")
    adapter = ol.for_transformers(Counter(), SlowsDown(), ol.callbacks.History(), Recorder(), Saves())
    make_trainer(tmp_path, adapter, model=Line(dropout=0.3), **{**CHECKPOINTS, "save_strategy": "no"}).train()
    resumed, same_weights, same_history, _ = train(tmp_path, str(folder), save_strategy="no")
    same_events(resumed.events, whole.events)
    assert torch.equal(weights, same_weights)
    assert history.history == same_history.history
    assert not os.path.exists(f"{folder}.partial")


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "saved"

    class Saves(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.save(folder)
            (folder / f"mark{epoch}").touch()

    make_trainer(tmp_path, ol.for_transformers(Saves())).train()
    assert (folder / "mark1").exists()
    assert not (folder / "mark0").exists()


def test_a_file_is_not_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("a file")

    class Saves(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.save(path)

    trainer = make_trainer(tmp_path, ol.for_transformers(Saves()))
    with pytest.raises(ValueError, match=r"file is a file; run\.save writes a folder here"):
        trainer.train()
    assert path.read_text() == "a file"


def test_load_leaves_the_position_and_the_schedule(tmp_path):
    folder, found = tmp_path / "saved", []

    class GoesBack(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights = self.run.weights("linear.weight")["linear.weight"].clone()
            if self.run.step == 2:
                self.run.save(folder)
                found.append(weights)
            if self.run.step == 5:
                before = self.run.learning_rate, self.run.step, self.run.epoch
                self.run.load(folder)
                found.append(self.run.weights("linear.weight")["linear.weight"].clone())
                found.append((before[1:], (self.run.step, self.run.epoch)))

        def on_train_batch_begin(self, batch, logs=None):
            found.append(self.run.learning_rate) if self.run.step == 6 else None

    trainer = make_trainer(tmp_path, ol.for_transformers(GoesBack()), lr_scheduler_type="linear")
    trainer.train()
    assert torch.equal(found[0], found[1])
    assert found[2][0] == found[2][1]
    assert found[3] == pytest.approx(0.05 * 2 / 8)
    with pytest.raises(ValueError, match=r"is no folder of run\.save"):
        trainer.callback_handler.callbacks[-1].view.load(str(tmp_path))
