"""A training of `transformers.Trainer` as our callbacks see it: losses, rates, stops, faults, and what is put back."""

import warnings

import numpy as np
import pytest
import torch
import transformers
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import AttachError

from .trainers import InOrder, Line, X, Y, examples, make_trainer, recorded, short


def act(hook, do, at=0):
    """Return a callback that does something with itself when a hook comes for the `at`-th time."""
    left = [at]

    class Acting(ol.Callback):
        pass

    def method(self, *given, logs=None):
        left[0] -= 1
        if left[0] == -1:
            do(self)

    def indexed(self, index, logs=None):
        method(self)

    def plain(self, logs=None):
        method(self)

    is_plain = hook.split("_")[1] in ("train", "test", "predict") and "batch" not in hook
    setattr(Acting, hook, plain if is_plain else indexed)
    return Acting()


# Losses.


def losses_of(model, size=3):
    with torch.no_grad():
        batches = [(torch.tensor(X[at : at + size]), torch.tensor(Y[at : at + size])) for at in range(0, 12, size)]
        return [float(model(x, y)["loss"]) for x, y in batches]


@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_the_loss_is_that_of_the_micro_batch(tmp_path, accumulation):
    settings = {"learning_rate": 0.0, "num_train_epochs": 1, "gradient_accumulation_steps": accumulation}
    trainer, seen = recorded(tmp_path, **settings)
    trainer.train()
    expected = losses_of(trainer.model)
    assert [event.batch["loss"] for event in seen.of("on_train_batch_end")] == pytest.approx(expected, rel=1e-6)
    assert seen.last("on_epoch_end").logs["loss"] == pytest.approx(np.mean(expected), rel=1e-6)
    steps = {1: [1, 2, 3, 4], 2: [0, 1, 1, 2], 3: [0, 0, 1, 2]}[accumulation]
    assert [event.run["step"] for event in seen.of("on_train_batch_end")] == steps
    assert seen.run.step == trainer.state.global_step


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_over_the_labels_of_the_whole_update(tmp_path, accumulation):
    """As the models of Transformers compute it: `num_items_in_batch` is what the loss is a mean over."""

    class Counted(Line):
        def forward(self, x, labels=None, num_items_in_batch=None, **others):
            logits = self.linear(x).squeeze(-1)
            count = labels.ne(-100).sum() if num_items_in_batch is None else num_items_in_batch
            return {"loss": (((logits - labels) ** 2) * labels.ne(-100)).sum() / count, "logits": logits}

    data = examples()
    for number in (1, 4, 5):
        data[number]["labels"] = torch.tensor(-100.0)
    settings = {"learning_rate": 0.0, "num_train_epochs": 1, "gradient_accumulation_steps": accumulation}
    trainer, seen = recorded(tmp_path, model=Counted(), data=data, **settings)
    trainer.train()
    with torch.no_grad():
        batches = [data[at : at + 3] for at in range(0, 12, 3)]
        expected = [
            float(
                trainer.model(torch.stack([one["x"] for one in batch]), torch.stack([one["labels"] for one in batch]))[
                    "loss"
                ]
            )
            for batch in batches
        ]
    assert [event.batch["loss"] for event in seen.of("on_train_batch_end")] == pytest.approx(expected, rel=1e-5)


def classifier():
    """A model that takes the number of labels and does nothing with it."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(
        vocab_size=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=2, **sizes
    )
    data = [{"input_ids": torch.arange(number, number + 5), "labels": number % 2} for number in range(10)]
    return transformers.BertForSequenceClassification(config), data


def language_model():
    """A model whose loss is a mean over the labels of the whole update."""
    config = transformers.GPT2Config(
        vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0
    )
    data = [{"input_ids": torch.arange(number, number + 5)} for number in range(10)]
    for number, one in enumerate(data):
        one["labels"] = one["input_ids"].masked_fill(torch.arange(5) < number % 4, -100)
    model = transformers.GPT2LMHeadModel(config)
    model.loss_type = "ForCausalLM"  # unless it says so, the trainer counts one label too many in each example
    return model, data


@pytest.mark.parametrize("make", [classifier, language_model])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_model_of_transformers_own(tmp_path, accumulation, make):
    torch.manual_seed(0)
    model, data = make()
    settings = {"learning_rate": 0.0, "num_train_epochs": 1, "gradient_accumulation_steps": accumulation}
    trainer, seen = recorded(
        tmp_path, model=model, data=data, held_out=data[:4], eval_strategy="epoch", save_strategy="epoch", **settings
    )
    trainer.train()
    model.eval()
    with torch.no_grad():
        expected = [
            float(
                model(
                    input_ids=torch.stack([one["input_ids"] for one in data[at : at + 3]]),
                    labels=torch.stack([torch.as_tensor(one["labels"]) for one in data[at : at + 3]]),
                ).loss
            )
            for at in range(0, 10, 3)
        ]
    found = [event.batch["loss"] for event in seen.of("on_train_batch_end")]
    assert found == pytest.approx(expected, rel=1e-5)


def test_what_is_logged_in_a_step_is_a_value_of_the_batch(tmp_path):
    class Logs(InOrder):
        def compute_loss(self, model, inputs, **named):
            if model.training:
                self.log({"margin": float(inputs["labels"].sum()), "note": "text"})
            return super().compute_loss(model, inputs, **named)

    trainer, seen = recorded(tmp_path, kind=Logs, num_train_epochs=1)
    with pytest.warns(ol.OnlookerWarning, match="'note' was logged"):
        trainer.train()
    sums = [float(Y[at : at + 3].sum()) for at in range(0, 12, 3)]
    assert [event.batch["margin"] for event in seen.of("on_train_batch_end")] == pytest.approx(sums, rel=1e-5)
    assert set(seen.last("on_epoch_end").logs) == {"loss", "margin"}
    assert seen.run.native_logs["note"] == "text"


def test_inputs_and_targets_by_name(tmp_path):
    found = []

    class Two(Line):
        def forward(self, x, weight, labels=None):
            return super().forward(x * weight[:, None], labels)

    class Watch(ol.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            found.append((set(self.run.inputs), tuple(self.run.targets.shape)))

    data = [{**one, "weight": 1.0} for one in examples()]
    make_trainer(tmp_path, ol.for_transformers(Watch()), model=Two(), data=data, num_train_epochs=1).train()
    assert found == [({"x", "weight"}, (3,))] * 4


# Gradients and rates.


def test_gradients_are_those_of_the_update_and_are_let_go(tmp_path):
    found = []

    class Watch(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            gradients = self.run.gradients()
            found.append({name: one.clone() for name, one in gradients.items()})
            assert list(self.run.gradients("*bias")) == ["linear.bias"]

        def on_epoch_end(self, epoch, logs=None):
            found.append(self.run.gradients())

    class Notes(transformers.TrainerCallback):
        kept = ()

        def on_pre_optimizer_step(self, args, state, control, model=None, **named):
            self.kept = [*self.kept, {name: one.grad.clone() for name, one in model.named_parameters()}]

    notes = Notes()
    settings = {"gradient_accumulation_steps": 2, "num_train_epochs": 1}
    make_trainer(tmp_path, ol.for_transformers(Watch()), native=[notes], **settings).train()
    assert found[-1] == {}
    for ours, theirs in zip((found[1], found[3]), notes.kept, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant_with_warmup", "reduce_lr_on_plateau"])
def test_a_rate_that_is_set_holds(tmp_path, schedule):
    found = []

    class Watch(ol.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            found.append(self.run.learning_rate)

        def on_train_batch_end(self, batch, logs=None):
            if self.run.step == 2:
                self.run.learning_rate = 0.25
            assert self.run.step < 2 or self.run.learning_rate == 0.25

    adapter = ol.for_transformers(Watch())
    settings = {"lr_scheduler_type": schedule, "logging_strategy": "steps", "logging_steps": 1}
    trainer = make_trainer(tmp_path, adapter, eval_strategy="epoch", metric_for_best_model="loss", **settings)
    trainer.train()
    assert found[2:] == [0.25] * 6
    assert [one["learning_rate"] for one in trainer.state.log_history if "loss" in one][2:] == [0.25] * 6
    trainer.train()
    assert found[8] != 0.25 or schedule == "reduce_lr_on_plateau", "not in the next training, unless nobody resets it"


def test_a_schedule_goes_on_scaled(tmp_path):
    rates = {}
    for factor in (1.0, 0.5):

        class Watch(ol.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if self.run.step == 2:
                    self.run.scale_learning_rate(factor)  # noqa: B023 - it is called in this round
                rates.setdefault(factor, []).append(self.run.learning_rate)  # noqa: B023

        make_trainer(tmp_path, ol.for_transformers(Watch()), lr_scheduler_type="linear").train()
    assert rates[0.5][1:] == pytest.approx([rate * 0.5 for rate in rates[1.0][1:]])
    assert len(set(rates[0.5])) == 8


# Stopping.


def test_a_stop_in_the_middle_of_an_update(tmp_path):
    seen = Recorder()
    stopper = act("on_train_batch_end", lambda self: self.run.stop("enough"))
    trainer = make_trainer(tmp_path, ol.for_transformers(stopper, seen), gradient_accumulation_steps=2)
    output = trainer.train()
    assert short(seen) == "[ E0 b0 e0 ]"
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", "enough", "Acting")
    assert output.global_step == trainer.state.global_step == 0


def test_early_stopping_of_the_trainer(tmp_path):
    early = transformers.EarlyStoppingCallback(early_stopping_patience=1)
    settings = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    trainer, seen = recorded(
        tmp_path, native=[early], learning_rate=0.0, num_train_epochs=5, metric_for_best_model="loss", **settings
    )
    trainer.train()
    assert len(seen.check().of("on_epoch_end")) == 2
    assert seen.run.outcome == "stopped"
    assert seen.run.reason == "EarlyStoppingCallback of the trainer's, at step 8"
    assert seen.run.stopped_by is None
    assert trainer.state.best_global_step == 4
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-4")


def test_a_stop_by_another_callback_of_the_trainers(tmp_path):
    class Stops(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **named):
            control.should_training_stop = state.global_step == 3

    trainer, seen = recorded(tmp_path, native=[Stops()])
    trainer.train()
    assert short(seen) == "[ E0 b0 b1 b2 e0 ]"
    assert seen.run.outcome == "stopped"
    assert seen.run.reason == "control.should_training_stop was set by the trainer or a callback of its own, at step 3"


def test_a_stop_in_one_adapter_is_a_stop_in_the_other(tmp_path):
    seen = Recorder()
    stopper = act("on_train_batch_end", lambda self: self.run.stop("enough"), at=5)
    make_trainer(tmp_path, ol.for_transformers(stopper), ol.for_transformers(seen)).train()
    assert short(seen) == "[ E0 b0 b1 b2 b3 e0 E1 b0 b1 e1 ]"
    assert seen.run.outcome == "stopped"


# Beside others.


def test_the_order_is_that_of_the_list(tmp_path):
    order = []

    class Ours(ol.Callback):
        def __init__(self, name):
            self.name = name

        def on_train_batch_end(self, batch, logs=None):
            order.append(self.name)

    class Theirs(transformers.TrainerCallback):
        def on_step_end(self, *given, **named):
            order.append("theirs")

    adapters = [ol.for_transformers(Ours("a"), Ours("b")), Theirs(), ol.for_transformers(Ours("c"))]
    make_trainer(tmp_path, *adapters, max_steps=1).train()
    assert order == ["a", "b", "theirs", "c"]


def test_two_adapters_hear_the_same(tmp_path):
    first, second = Recorder(), Recorder()
    adapters = [ol.for_transformers(first), ol.for_transformers(second)]
    trainer = make_trainer(tmp_path, *adapters, eval_strategy="epoch")
    trainer.train()
    trainer.evaluate()
    assert short(first) == short(second)
    assert [event.logs for event in first.events] == [event.logs for event in second.events]
    assert first.run is not second.run


def test_one_adapter_in_two_trainers_one_after_the_other(tmp_path):
    seen = Recorder()
    adapter = ol.for_transformers(seen)
    first = make_trainer(tmp_path, adapter, num_train_epochs=1)
    second = make_trainer(tmp_path, adapter, num_train_epochs=1)
    for trainer in (first, second, first):
        trainer.train()
        trainer.evaluate()
        assert short(seen) == "[ E0 b0 b1 b2 b3 e0 ] ( t0 t1 )"
        assert seen.model is trainer.model
        seen.events.clear()


def test_one_adapter_in_two_trainings_at_once_is_refused(tmp_path):
    refused = []

    def train_another(self):
        with pytest.raises(AttachError, match="make another for a second one") as caught:
            make_trainer(tmp_path, adapter).train()
        refused.append(caught.value)

    seen = Recorder()
    adapter = ol.for_transformers(act("on_epoch_begin", train_another), seen)
    make_trainer(tmp_path, adapter).train()
    assert len(refused) == 1
    assert short(seen) == "[ E0 b0 b1 b2 b3 e0 E1 b0 b1 b2 b3 e1 ]"


def test_added_later(tmp_path):
    seen = Recorder()
    trainer = make_trainer(tmp_path, num_train_epochs=1)
    trainer.add_callback(ol.for_transformers(seen))
    trainer.train()
    trainer.evaluate()
    assert short(seen) == "[ E0 b0 b1 b2 b3 e0 ] ( t0 t1 )"


def test_taken_out(tmp_path):
    seen, stays = Recorder(), Recorder()
    adapter = ol.for_transformers(seen)
    trainer = make_trainer(tmp_path, adapter, ol.for_transformers(stays), num_train_epochs=1)
    trainer.pop_callback(adapter)
    trainer.train()
    trainer.evaluate()
    assert seen.events == []
    assert short(stays) == "[ E0 b0 b1 b2 b3 e0 ] ( t0 t1 )"


WRAPPED_WHILE_IT_TRAINS = {"training_step", "_maybe_log_save_evaluate", "_save_checkpoint", "prediction_step"}


def wrapped(trainer):
    return {name for name in trainer.__dict__ if callable(getattr(type(trainer), name, None))}


def test_what_was_wrapped_is_put_back(tmp_path):
    during = []

    def look(self):
        during.append(wrapped(trainer))

    adapters = [ol.for_transformers(act("on_test_batch_end", look)), ol.for_transformers(Recorder())]
    trainer = make_trainer(tmp_path, *adapters, eval_strategy="epoch")
    before = wrapped(trainer)
    trainer.train()
    assert during == [before | WRAPPED_WHILE_IT_TRAINS]
    assert wrapped(trainer) == before == {"_inner_training_loop", "evaluation_loop"}
    with pytest.raises(ValueError, match="was empty"):
        trainer.evaluate([{}])
    assert wrapped(trainer) == before


def test_what_somebody_has_put_on_the_instance_stays(tmp_path):
    calls = []
    trainer, seen = recorded(tmp_path, num_train_epochs=1)
    original = trainer.training_step

    def mine(*given, **named):
        calls.append(len(given))
        return original(*given, **named)

    trainer.training_step = mine
    trainer.train()
    assert trainer.training_step is mine
    assert len(calls) == len(seen.of("on_train_batch_end")) == 4


def test_nobody_listens_to_batches(tmp_path):
    during = []

    class Watch(ol.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            during.append("training_step" in wrapped(trainer))

    trainer = make_trainer(tmp_path, ol.for_transformers(Watch()), max_steps=1)
    trainer.train()
    assert during == [False]


# Faults.


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["an exception", "Ctrl-C"])
@pytest.mark.parametrize("place", ["data", "model", "collator", "evaluation", "metrics", "callback", "on_train_begin"])
def test_wherever_it_is_raised_what_is_open_is_closed(tmp_path, place, error):
    calls = {}

    def fail(where, at):
        if where == place:
            calls[where] = calls.get(where, -1) + 1
            if calls[where] == at:
                raise error

    class Data(list):
        def __getitem__(self, index):
            fail("data", 8)
            return super().__getitem__(index)

    class Model(Line):
        def forward(self, x, labels=None):
            fail("model" if self.training else "evaluation", 1)
            return super().forward(x, labels)

    class Theirs(transformers.TrainerCallback):
        def on_train_begin(self, *given, **named):
            fail("on_train_begin", 0)

        def on_step_end(self, *given, **named):
            fail("callback", 2)

    def collate(items):
        fail("collator", 3)
        return transformers.default_data_collator(items)

    def metrics(prediction):
        fail("metrics", 0)
        return {}

    first, second = Recorder(), Recorder()
    adapters = [ol.for_transformers(first), Theirs(), ol.for_transformers(second)]
    trainer = make_trainer(
        tmp_path, *adapters, model=Model(), data=Data(examples()), eval_strategy="epoch", metrics=metrics
    )
    trainer.data_collator = collate
    with pytest.raises(type(error)) as caught:
        trainer.train()
    assert caught.value is error
    for seen in (first, second):
        if place == "on_train_begin" and seen is second:
            assert seen.events == []
            continue
        assert seen.check().hooks[-1] == "on_train_end"
        assert seen.run.outcome == ("failed" if isinstance(error, Exception) else "interrupted")
        assert not seen.run.is_live
    assert wrapped(trainer) == {"_inner_training_loop", "evaluation_loop"}


@pytest.mark.slow
def test_a_batch_size_that_is_found(tmp_path):
    """Each try is a run of its own: the first one has failed."""
    tries = []

    class Model(Line):
        def forward(self, x, labels=None):
            tries.append(len(x))
            if len(x) > 2:
                raise RuntimeError("CUDA out of memory.")
            return super().forward(x, labels)

    outcomes = []

    class Watch(ol.Callback):
        def on_train_end(self, logs=None):
            outcomes.append(self.run.outcome)

    trainer = make_trainer(
        tmp_path, ol.for_transformers(Watch(), Recorder()), model=Model(), auto_find_batch_size=True, max_steps=2
    )
    trainer.train()
    assert (tries, outcomes) == ([3, 2, 2], ["failed", "completed"])


def test_hyperparameter_search_is_many_trainings(tmp_path):
    seen = Recorder()
    trainer = make_trainer(tmp_path, ol.for_transformers(seen), num_train_epochs=1)
    trainer.model_init = lambda trial=None: Line()
    trainer.train()
    first = seen.model
    trainer.train()
    assert short(seen) == " ".join(["[ E0 b0 b1 b2 b3 e0 ]"] * 2)
    assert seen.model is trainer.model is not first


# Bad input.


def test_what_is_no_callback_is_refused():
    with pytest.raises(AttachError, match=r"must be an onlooker\.Callback"):
        ol.for_transformers(object())
    with pytest.raises(AttachError, match="is a class; pass an instance"):
        ol.for_transformers(Recorder)
    with pytest.raises(AttachError, match="passed twice"):
        ol.for_transformers(*[Recorder()] * 2)


def test_one_of_transformers_own_is_refused():
    with pytest.raises(AttachError, match="EarlyStoppingCallback"):
        ol.for_transformers(transformers.EarlyStoppingCallback())


def test_outside_any_trainer():
    adapter = ol.for_transformers(Recorder())
    handler = transformers.trainer_callback.CallbackHandler([adapter], None, None, None, None)
    with pytest.raises(AttachError, match=r"needs a transformers\.Trainer"):
        handler.on_train_begin(None, transformers.TrainerState(), transformers.TrainerControl())


def test_without_any_callback(tmp_path):
    trainer = make_trainer(tmp_path, ol.for_transformers(), max_steps=2, eval_strategy="epoch")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ol.OnlookerWarning)
        assert trainer.train().global_step == 2


def test_no_learning_rate_before_a_training(tmp_path):
    found = []

    def ask(self):
        with pytest.raises(ol.OnlookerError, match="the trainer makes its optimizer when a training begins") as caught:
            self.run.learning_rate  # noqa: B018
        found.append(caught.value)

    make_trainer(tmp_path, ol.for_transformers(act("on_test_begin", ask))).evaluate()
    assert len(found) == 1
