"""Where evaluations stand in `transformers.Trainer`, and what their logs are."""

import numpy as np
import pytest
import torch
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import OnlookerWarning

from .trainers import Line, Streamed, examples, make_trainer, recorded, short


def absolute(prediction):
    return {"absolute": float(np.abs(prediction.predictions - prediction.label_ids).mean())}


def test_an_evaluation_by_epoch_stands_within_the_epoch(tmp_path):
    trainer, seen = recorded(tmp_path, eval_strategy="epoch")
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 ( t0 t1 ) e0 E1 b0 b1 b2 b3 ( t0 t1 ) e1 ]"


def test_an_evaluation_by_steps_stands_between_the_batches(tmp_path):
    trainer, seen = recorded(tmp_path, eval_strategy="steps", eval_steps=3)
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 ( t0 t1 ) b3 e0 E1 b0 b1 ( t0 t1 ) b2 b3 ( t0 t1 ) e1 ]"
    assert [set(logs) for logs in seen.logs("on_epoch_end")] == [{"loss", "val_loss"}] * 2


def test_an_evaluation_on_start_is_in_the_first_epoch(tmp_path):
    trainer, seen = recorded(tmp_path, eval_strategy="epoch", eval_on_start=True, num_train_epochs=1)
    trainer.train()
    assert short(seen) == "[ E0 ( t0 t1 ) b0 b1 b2 b3 ( t0 t1 ) e0 ]"
    assert seen.last("on_epoch_end").logs["val_loss"] == seen.last("on_test_end").logs["loss"]


def test_an_epoch_without_an_evaluation_ends_before_the_next_begins(tmp_path):
    trainer, seen = recorded(tmp_path, eval_strategy="epoch", eval_delay=2)
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 e0 E1 b0 b1 b2 b3 ( t0 t1 ) e1 ]"


def test_max_steps_ends_within_an_epoch(tmp_path):
    trainer, seen = recorded(tmp_path, max_steps=6, eval_strategy="epoch")
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 ( t0 t1 ) e0 E1 b0 b1 ( t0 t1 ) e1 ]"
    assert seen.run.params == {"epochs": 2, "steps": 4, "verbose": 0}
    assert seen.run.outcome == "completed"


def test_data_without_a_length(tmp_path):
    trainer, seen = recorded(tmp_path, data=Streamed(), max_steps=6, held_out=Streamed(6), eval_strategy="epoch")
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 ( t0 t1 ) e0 E1 b0 b1 ( t0 t1 ) e1 ]"
    assert seen.run.params == {"epochs": None, "steps": None, "verbose": 0}
    assert seen.run.outcome == "completed"


def test_each_set_of_a_dict_is_a_stage_with_its_prefix(tmp_path):
    sets = {"near": examples(6), "far": examples(3)}
    trainer, seen = recorded(tmp_path, held_out=sets, eval_strategy="epoch", num_train_epochs=1, metrics=absolute)
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 ( t0 t1 ) ( t0 ) e0 ]"
    last = seen.last("on_epoch_end").logs
    assert set(last) == {"loss", "val_near_loss", "val_near_absolute", "val_far_loss", "val_far_absolute"}
    assert [last[f"val_{name}_absolute"] for name in sets] == [logs["absolute"] for logs in seen.logs("on_test_end")]
    native = trainer.state.log_history[-2]
    assert last["val_far_loss"] == pytest.approx(native["eval_far_loss"], rel=1e-6)


def test_metrics_are_in_the_logs_at_the_tests_end(tmp_path):
    trainer, seen = recorded(tmp_path, eval_strategy="epoch", metrics=absolute)
    trainer.train()
    history = [logs for logs in trainer.state.log_history if "eval_absolute" in logs]
    assert [logs["val_absolute"] for logs in seen.logs("on_epoch_end")] == [one["eval_absolute"] for one in history]
    assert [set(logs) for logs in seen.logs("on_test_batch_end")] == [{"loss"}] * 4


def test_a_metric_that_is_no_number_is_left_out_with_one_warning(tmp_path):
    def odd(prediction):
        return {"table": [[1, 2]], "word": "good", "one": np.array([2.0]), "many": np.arange(3)}

    trainer, seen = recorded(tmp_path, eval_strategy="epoch", metrics=odd)
    with pytest.warns(OnlookerWarning, match="is no number") as caught:
        trainer.train()
    ours = [str(one.message) for one in caught if issubclass(one.category, OnlookerWarning)]
    assert sorted(text.split("'")[1] for text in ours) == ["many", "table", "word"]
    assert seen.last("on_test_end").logs == {"loss": seen.last("on_test_end").logs["loss"], "one": 2.0}
    assert seen.run.native_logs["eval_word"] == "good"


def test_native_logs_are_the_trainers_own(tmp_path):
    found = []

    class Watch(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found.append(dict(self.run.native_logs))

        def on_train_batch_end(self, batch, logs=None):
            found.append(self.run.native_logs.get("loss"))

    settings = {"logging_strategy": "steps", "logging_steps": 1, "eval_strategy": "epoch", "num_train_epochs": 1}
    trainer = make_trainer(tmp_path, ol.for_transformers(Watch()), **settings)
    trainer.train()
    losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    assert found[:4] == [None, *losses[:3]]
    assert set(found[4]) >= {"loss", "grad_norm", "learning_rate", "epoch", "eval_loss", "eval_runtime"}
    assert found[4]["loss"] == losses[-1]


def test_at_a_tests_end_its_metrics_are_in_the_native_logs(tmp_path):
    found = []

    class Watch(ol.Callback):
        def on_test_end(self, logs=None):
            found.append(self.run.native_logs["eval_absolute"] == logs["absolute"])

    make_trainer(tmp_path, ol.for_transformers(Watch()), eval_strategy="epoch", metrics=absolute).train()
    assert found == [True, True]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["an exception", "Ctrl-C"])
def test_an_evaluation_alone_that_fails_is_closed_at_once(tmp_path, error):
    class Broken(Line):
        def forward(self, x, labels=None):
            raise error

    trainer, seen = recorded(tmp_path, model=Broken())
    with pytest.raises(type(error)):
        trainer.evaluate()
    assert seen.check().hooks == ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    assert not seen.run.is_live


def test_nan_is_hidden_from_the_trainers_logs_and_not_from_ours(tmp_path):
    class Broken(Line):
        def forward(self, x, labels=None):
            outputs = super().forward(x, labels)
            return outputs | {"loss": outputs["loss"] * float("nan")}

    trainer, seen = recorded(tmp_path, model=Broken(), logging_strategy="epoch", num_train_epochs=1)
    with pytest.warns(OnlookerWarning, match="'loss' is NaN"):
        trainer.train()
    assert np.isnan(seen.last("on_epoch_end").logs["loss"])
    assert seen.run.native_logs["loss"] == 0.0


def test_evaluate_and_predict_alone(tmp_path):
    trainer, seen = recorded(tmp_path, metrics=absolute)
    metrics = trainer.evaluate()
    prediction = trainer.predict(examples(7))
    assert short(seen) == "( t0 t1 ) < p0 p1 p2 >"
    assert seen.last("on_test_end").logs == {
        "loss": pytest.approx(metrics["eval_loss"], rel=1e-6),
        "absolute": metrics["eval_absolute"],
    }
    outputs = [event.logs["outputs"] for event in seen.of("on_predict_batch_end")]
    assert np.array_equal(torch.cat(outputs).numpy(), prediction.predictions)
    assert seen.last("on_predict_end").logs == {}
    assert (seen.run.is_live, seen.run.batch_count, seen.run.params["steps"]) == (False, 3, 3)


def test_an_evaluation_under_another_prefix(tmp_path):
    trainer, seen = recorded(tmp_path, metrics=absolute)
    trainer.evaluate(metric_key_prefix="holdout")
    assert set(seen.last("on_test_end").logs) == {"loss", "absolute"}


def test_outputs_in_training_and_evaluation_for_those_who_need_them(tmp_path):
    found = []

    class Watch(ol.Callback):
        needs = ("outputs",)

        def on_train_batch_end(self, batch, logs=None):
            found.append(("train", tuple(self.run.outputs.shape), self.run.outputs.requires_grad))

        def on_test_batch_end(self, batch, logs=None):
            found.append(("test", tuple(self.run.outputs.shape), self.run.outputs.requires_grad))

    trainer = make_trainer(tmp_path, ol.for_transformers(Watch()), eval_strategy="epoch", num_train_epochs=1)
    trainer.train()
    assert found == [("train", (3,), False)] * 4 + [("test", (3,), False)] * 2
    assert not trainer.model._forward_hooks


def test_a_stage_that_another_callback_starts_is_no_silent_one(tmp_path):
    """It is silent only where one of ours starts it, and then for all adapters of the trainer."""
    import transformers

    class Evaluates(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **named):
            if state.global_step == 2:
                trainer.evaluate()

    class Ours(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            trainer.evaluate()

    first, second = Recorder(), Recorder()
    settings = {"eval_strategy": "no", "num_train_epochs": 1}
    trainer = make_trainer(tmp_path, ol.for_transformers(first), native=[Evaluates()], **settings)
    trainer.train()
    # The trainer's own callback stands before ours: its evaluation is within the batch.
    assert short(first) == "[ E0 b0 ( t0 t1 ) b1 b2 b3 e0 ]"
    assert [event.run["step"] for event in first.of("on_train_batch_end")] == [1, 2, 3, 4]
    first.events.clear()
    adapters = [ol.for_transformers(Ours(), first), ol.for_transformers(second)]
    trainer = make_trainer(tmp_path, *adapters, **settings)
    trainer.train()
    assert short(first) == short(second) == "[ E0 b0 b1 b2 b3 e0 ]"


def test_an_evaluation_from_a_hook_takes_back_nothing_that_the_trainer_has_planned(tmp_path):
    class Ours(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            trainer.evaluate()

    seen = Recorder()
    trainer = make_trainer(tmp_path, ol.for_transformers(Ours(), seen), eval_strategy="steps", eval_steps=2)
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 ( t0 t1 ) b2 b3 ( t0 t1 ) e0 E1 b0 b1 ( t0 t1 ) b2 b3 ( t0 t1 ) e1 ]"


def test_an_evaluation_after_the_last_epoch_stands_alone(tmp_path):
    import transformers

    class Evaluates(transformers.TrainerCallback):
        def on_train_end(self, args, state, control, **named):
            trainer.evaluate()

    trainer, seen = recorded(tmp_path, native=[Evaluates()], num_train_epochs=1)
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 e0 ] ( t0 t1 )"


def test_an_evaluation_that_fails_and_whose_error_is_swallowed(tmp_path):
    import contextlib

    import transformers

    class Evaluates(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **named):
            with contextlib.suppress(KeyError):
                trainer.evaluate([{"labels": 1.0}, {}])

    trainer, seen = recorded(tmp_path, native=[Evaluates()], num_train_epochs=1)
    trainer.train()
    assert seen.check().run.outcome == "completed"
    assert len(seen.of("on_train_batch_end")) == 4
