"""What Lightning's host does that no other has: both packages, Lightning's own callbacks and checkpoints, its names."""

import copy
import pickle
import subprocess
import sys
import textwrap
import warnings

import lightning
import numpy as np
import pytest
import pytorch_lightning
import torch
import torchmetrics
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, OnExceptionCheckpoint
from lightning.pytorch.tuner import Tuner
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.contract.lightning_host import Batches, Classifier, quiet_trainer, run_quietly
from tests.contract.row import same
from tests.contract.shapes import FIT_HOOKS
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import AbsentError, AttachError

HELD_OUT = Batches(HELD_OUT_X, HELD_OUT_Y)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def fit(module, *callbacks, validation=HELD_OUT, ckpt_path=None, **settings):
    """Train for two epochs, if nothing else is said; return the trainer."""
    trainer = quiet_trainer(callbacks, **{"max_epochs": 2, **settings})
    run_quietly(lambda: trainer.fit(module, Batches(X, Y), validation, ckpt_path=ckpt_path))
    return trainer


def in_hook(name, act):
    """Return what calls a function of the recorder and the logs in one hook, for `Recorder`."""

    def do(recorder, hook, index, logs):
        if hook == name:
            act(recorder, logs)

    return do


def raising(error):
    def act(recorder, logs):
        raise error

    return act


# Two packages, and none.


@pytest.mark.parametrize("package", [lightning, pytorch_lightning], ids=lambda package: package.__name__)
def test_both_packages(package):
    class Small(package.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def training_step(self, batch):
            return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

        validation_step = training_step

    seen = Recorder()
    trainer = quiet_trainer([ol.for_lightning(seen)], package, max_epochs=1)
    assert isinstance(trainer.callbacks[0], package.Callback)
    run_quietly(lambda: trainer.fit(Small(), Batches(X, Y), HELD_OUT))
    assert seen.check().hooks[-1] == "on_train_end"
    assert set(seen.hooks) == set(FIT_HOOKS)
    assert list(seen.last("on_epoch_end").logs) == ["loss", "val_loss"]  # the test's is what its step returns


def run_without(*packages, code):
    """Run code in a fresh process in which packages cannot be imported."""
    code = textwrap.dedent(code)
    hide = f"import sys; sys.modules.update(dict.fromkeys({packages!r}))\n"
    return subprocess.run([sys.executable, "-c", hide + code], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_without_either():
    done = run_without(
        "lightning",
        "pytorch_lightning",
        code="""
        import onlooker as ol
        try:
            import onlooker.hosts.lightning
        except ModuleNotFoundError as error:
            print(error.name)
        try:
            ol.for_lightning()
        except ImportError as error:
            print(error)
        """,
    )
    assert done.stdout.splitlines() == [
        "lightning",
        "lightning is not installed; run: pip install 'onlooker[lightning]'",
    ], done.stderr


@pytest.mark.slow
def test_the_class_is_that_of_what_is_loaded():
    done = run_without(
        code="""
        import pytorch_lightning
        import onlooker as ol
        print(isinstance(ol.for_lightning(), pytorch_lightning.Callback), "lightning" in sys.modules)
        """,
    )
    assert done.stdout.split() == ["True", "False"], done.stderr


# What is refused.


def test_what_is_no_callback():
    with pytest.raises(AttachError, match="pass an instance"):
        ol.for_lightning(Recorder)
    with pytest.raises(
        AttachError, match=r"pass it beside the adapter: callbacks=\[EarlyStopping\(\.\.\.\), onlooker.for_lightning"
    ):
        ol.for_lightning(EarlyStopping("val_loss"))


@pytest.mark.parametrize("name", ["fit", "validate", "test", "predict"])
def test_the_trainer_at_work_begins_nothing_else(name):
    refused = []

    def begin(recorder, logs):
        with pytest.raises(AbsentError, match=rf"trainer\.{name}\(\) was called while this trainer is at work"):
            getattr(recorder.model.trainer, name)(recorder.model, HELD_OUT)
        refused.append(name)

    seen = Recorder(in_hook("on_epoch_end", begin))
    trainer = fit(Classifier(), ol.for_lightning(seen))
    assert refused == [name] * 2
    assert seen.check().run.outcome == "completed"
    run_quietly(lambda: trainer.validate(Classifier(), HELD_OUT, verbose=False))  # now it may


def test_something_that_is_no_number():
    class Wrong(Classifier):
        def training_step(self, batch):
            self.log("name", "a word")

    seen = Recorder()
    with pytest.raises(ValueError, match="log"):  # Lightning's own
        fit(Wrong(), ol.for_lightning(seen))
    assert (seen.check().run.outcome, seen.hooks[-1]) == ("failed", "on_train_end")


def test_a_metric_whose_batch_has_several_numbers():
    class Vague(torchmetrics.MeanMetric):
        def forward(self, *given):
            super().forward(*given)
            self._forward_cache = torch.ones(2)

    class Module(Classifier):
        def __init__(self):
            super().__init__()
            self.vague = Vague()

        def validation_step(self, batch):
            self.vague(batch[0])
            self.log("val_vague", self.vague)

    seen = Recorder()
    with pytest.warns(ol.OnlookerWarning, match="'val_vague' was logged by the trainer as .*, which is no number"):
        fit(Module(), ol.for_lightning(seen), max_epochs=1)
    assert all("vague" not in logs for logs in seen.logs("on_test_batch_end"))
    assert "val_vague" in seen.last("on_epoch_end").logs  # the stage's is one


# Beside Lightning's own callbacks.


def test_in_the_order_given():
    order = []

    class Native(Callback):
        def __init__(self, name):
            self.name = name

        def on_train_epoch_end(self, trainer, module):
            order.append(self.name)

    def ours(name):
        return Recorder(in_hook("on_epoch_end", lambda recorder, logs: order.append(name)))

    fit(Classifier(), Native("a"), ol.for_lightning(ours("b"), ours("c")), Native("d"), ol.for_lightning(ours("e")))
    assert order == list("abcde") * 2


@pytest.mark.parametrize("stops", ["by validation", "by the epoch"])
def test_lightnings_early_stopping(stops, tmp_path):
    stopping = EarlyStopping("val_loss", patience=2, min_delta=9.0, check_on_train_epoch_end=stops == "by the epoch")
    best = ModelCheckpoint(tmp_path, monitor="val_loss")
    seen = Recorder()
    fit(Classifier(), stopping, ol.for_lightning(seen), best, max_epochs=9, enable_checkpointing=True)
    assert stopping.stopped_epoch == seen.check().run.epoch == 2
    assert seen.run.outcome == "stopped"
    assert seen.run.reason.startswith("EarlyStopping: Monitored metric val_loss did not improve")
    assert seen.run.stopped_by is None
    assert best.best_model_score == min(logs["val_loss"] for logs in seen.logs("on_epoch_end"))


def test_a_stop_of_ours_leaves_lightnings_results_alone(tmp_path):
    seen = Recorder(in_hook("on_epoch_end", lambda recorder, logs: recorder.run.stop("enough")))
    best = ModelCheckpoint(tmp_path, monitor="val_loss")
    trainer = fit(Classifier(), ol.for_lightning(seen), best, max_epochs=9, enable_checkpointing=True)
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")
    assert trainer.state.finished
    assert trainer.current_epoch == 1
    assert best.best_model_score == pytest.approx(seen.last("on_epoch_end").logs["val_loss"])


def test_time_is_up():
    seen = Recorder()
    fit(Classifier(), ol.for_lightning(seen), max_epochs=9, max_time={"seconds": 0.0001})
    assert (seen.check().run.outcome, seen.run.reason) == ("stopped", "Timer: the time is up")


@pytest.mark.parametrize("limit", [{"min_epochs": 3}, {"min_steps": 8}])
def test_a_stop_is_put_off_by_a_minimum(limit):
    seen = Recorder(in_hook("on_train_batch_end", lambda recorder, logs: recorder.run.stop("enough")))
    fit(Classifier(), ol.for_lightning(seen), max_epochs=9, **limit)
    assert len(seen.check().of("on_epoch_end")) == 3
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")


def test_max_steps_ends_within_an_epoch():
    seen = Recorder()
    fit(Classifier(), ol.for_lightning(seen), max_epochs=-1, max_steps=4)
    assert seen.params == {"epochs": None, "steps": 3, "verbose": 0}
    assert [event.index for event in seen.check().of("on_train_batch_end")] == [0, 1, 2, 0]
    assert (seen.run.outcome, seen.run.step) == ("completed", 4)
    assert "val_loss" not in seen.last("on_epoch_end").logs


def test_a_batch_that_the_module_leaves_out():
    class Choosy(Classifier):
        def on_train_batch_start(self, batch, batch_idx):
            return -1 if batch_idx == 1 else None

    seen = Recorder()
    fit(Choosy(), ol.for_lightning(seen))
    assert [event.index for event in seen.check().of("on_train_batch_end")] == [0, 1] * 2
    assert seen.run.step == 2
    assert [set(event.batch) for event in seen.of("on_train_batch_end")] == [{"accuracy", "loss"}, set()] * 2
    assert seen.logs("on_epoch_end")[0]["accuracy"] == seen.of("on_train_batch_end")[0].batch["accuracy"]


def test_a_step_that_fetches_its_batches_itself():
    class Fetching(Classifier):
        def training_step(self, dataloader_iter):
            batch, _, _ = next(dataloader_iter)
            return self.measure(batch)[0]

    sizes = []
    seen = Recorder(in_hook("on_train_batch_end", lambda recorder, logs: sizes.append(len(recorder.run.inputs))))
    fit(Fetching(), ol.for_lightning(seen), validation=None)
    assert [event.index for event in seen.check().of("on_train_batch_end")] == [0, 1, 2] * 2
    assert sizes == [8, 8, 4] * 2


def test_without_any_extras():
    seen = Recorder()
    trainer = lightning.Trainer(accelerator="cpu", callbacks=ol.for_lightning(seen), max_epochs=1, barebones=True)
    run_quietly(lambda: trainer.fit(Classifier(), Batches(X, Y)))
    assert list(seen.check().last("on_epoch_end").logs) == ["loss"]  # nothing can be logged there


def test_a_learning_rate_finder_is_no_training_of_ours(tmp_path):
    class Tuned(Classifier):
        lr = 0.01

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    seen = Recorder()
    trainer = quiet_trainer([ol.for_lightning(seen)], max_epochs=1, default_root_dir=tmp_path)
    module = Tuned()

    def tune():
        Tuner(trainer).lr_find(module, Batches(X, Y), HELD_OUT, num_training=3, min_lr=1e-3, max_lr=1e-1)
        assert seen.events == []
        trainer.fit(module, Batches(X, Y), HELD_OUT)

    run_quietly(tune)
    assert len(seen.check().of("on_epoch_end")) == 1


# What goes wrong.


def test_an_error_in_the_module():
    class Broken(Classifier):
        def validation_step(self, batch):
            raise ValueError("no")

    first, second = Recorder(), Recorder()
    with pytest.raises(ValueError, match="no"):
        fit(Broken(), ol.for_lightning(first), ol.for_lightning(second), num_sanity_val_steps=0)
    for seen in (first, second):
        assert seen.check().hooks[-4:] == ["on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end"]
        assert (seen.run.outcome, seen.run.reason) == ("failed", "ValueError: no")


def test_an_error_in_the_trial_run_comes_before_the_training():
    class Broken(Classifier):
        def validation_step(self, batch):
            raise ValueError("no")

    seen = Recorder()
    with pytest.raises(ValueError, match="no"):
        fit(Broken(), ol.for_lightning(seen))
    assert seen.events == []


def test_ctrl_c_becomes_lightnings_exit():
    class Interrupted(Classifier):
        def training_step(self, batch):
            raise KeyboardInterrupt

    seen = Recorder()
    with pytest.raises(KeyboardInterrupt) as caught:  # from within Lightning's SystemExit
        fit(Interrupted(), ol.for_lightning(seen))
    assert isinstance(caught.value, KeyboardInterrupt)
    assert (seen.check().run.outcome, seen.hooks[-1]) == ("interrupted", "on_train_end")


def test_an_error_in_one_adapter_closes_the_other():
    seen = Recorder()
    culprit = Recorder(in_hook("on_train_batch_end", raising(ValueError("no"))))
    with pytest.raises(ValueError, match="no"):
        fit(Classifier(), ol.for_lightning(culprit), ol.for_lightning(seen))
    assert seen.check().hooks[-1] == "on_train_end"
    assert seen.run.outcome == "failed"


@pytest.mark.parametrize("hook", [None, "on_train_begin", "on_test_batch_end", "on_epoch_end", "on_train_end"])
def test_no_trace_is_left(hook):
    culprit = Recorder(in_hook(hook, raising(ValueError("no"))))
    culprit.needs = ("outputs",)
    trainer = quiet_trainer([ol.for_lightning(culprit), ol.for_lightning(Recorder())], max_epochs=1)
    module = Classifier()
    before = set(vars(trainer))
    if hook is None:
        run_quietly(lambda: trainer.fit(module, Batches(X, Y), HELD_OUT))
    else:
        with pytest.raises(ValueError, match="no"):
            run_quietly(lambda: trainer.fit(module, Batches(X, Y), HELD_OUT))
    assert set(vars(trainer)) <= before | {"_last_val_time"}
    for results in (trainer.fit_loop.epoch_loop._results, trainer.fit_loop.epoch_loop.val_loop._results):
        assert "log" not in vars(results)
    assert not module._forward_hooks


# Logs.


class Names(Classifier):
    """Logs in all the ways that there are."""

    def __init__(self):
        super().__init__()
        self.f1 = torchmetrics.F1Score(task="multiclass", num_classes=2, average="macro")
        self.losses = []

    def training_step(self, batch):
        loss, accuracy, _ = self.measure(batch)
        self.losses.append(loss.item())
        self.log("train_acc", accuracy, on_step=True, on_epoch=True)
        self.log("largest", loss, on_step=False, on_epoch=True, reduce_fx="max")
        self.log("stepwise", loss)  # of which Lightning itself makes no mean
        return loss

    def validation_step(self, batch):
        loss, accuracy, outputs = self.measure(batch)
        self.f1(outputs.argmax(1), batch[1])
        self.log_dict({"val_loss": loss, "val_acc": accuracy, "val/f1": self.f1})
        self.log("weighed", accuracy, batch_size=1)

    def on_validation_epoch_end(self):
        self.log("val_end", 3.0)


def test_names_and_values():
    seen, module = Recorder(), Names()
    trainer = fit(module, ol.for_lightning(seen), num_sanity_val_steps=0)
    train, test = ["train_acc", "largest", "stepwise", "loss"], ["loss", "acc", "f1", "weighed"]
    assert [list(logs) for logs in seen.logs("on_train_batch_end")] == [train] * 6
    assert [list(logs) for logs in seen.logs("on_test_batch_end")] == [test] * 4
    assert [list(logs) for logs in seen.logs("on_test_end")] == [[*test, "end"]] * 2
    assert [list(logs) for logs in seen.logs("on_epoch_end")] == [
        [*train, *(f"val_{name}" for name in [*test, "end"])]
    ] * 2
    last, own = seen.last("on_epoch_end").logs, trainer.callback_metrics
    for name, theirs in {"val_f1": "val/f1", "val_weighed": "weighed", "val_loss": "val_loss"}.items():
        assert last[name] == own[theirs].item()
    assert last["largest"] == pytest.approx(max(module.losses[3:]), rel=1e-6)
    assert last["loss"] == pytest.approx(np.average(module.losses[3:], weights=[8, 8, 4]), rel=1e-6)
    assert last["stepwise"] == last["loss"]
    first, second = (event.batch["weighed"] for event in seen.of("on_test_batch_end")[:2])
    assert seen.logs("on_test_batch_end")[1]["weighed"] == (first + second) / 2
    assert seen.logs("on_test_end")[0]["weighed"] == pytest.approx((first + second) / 2)
    assert {"train_acc", "train_acc_step", "train_acc_epoch", "val/f1", "weighed"} <= set(seen.run.native_logs)
    assert type(seen.run.native_logs) is dict


def test_native_logs_are_there_before_the_hook():
    found = []
    hook = in_hook("on_train_batch_end", lambda recorder, logs: found.append(recorder.run.native_logs["train_acc"]))
    seen = Recorder(hook)
    fit(Names(), ol.for_lightning(seen))
    assert [value.item() for value in found] == [event.batch["train_acc"] for event in seen.of("on_train_batch_end")]


def test_nothing_is_logged():
    class Silent(Classifier):
        def training_step(self, batch):
            return self.measure(batch)[0]

        def validation_step(self, batch):
            return self.measure(batch)[0]

    seen = Recorder()
    fit(Silent(), ol.for_lightning(seen))
    assert [list(logs) for logs in seen.logs("on_epoch_end")] == [["loss", "val_loss"]] * 2
    assert [list(logs) for logs in seen.logs("on_test_batch_end")] == [["loss"]] * 4


def test_values_of_an_epoch_do_not_show_in_the_next():
    class Odd(Classifier):
        def training_step(self, batch):
            if self.current_epoch == 0:
                self.log("odd", 1.0, on_step=True, on_epoch=True)
            return self.measure(batch)[0]

    seen = Recorder()
    fit(Odd(), ol.for_lightning(seen), max_epochs=4, check_val_every_n_epoch=2)
    evaluated = ["val_accuracy", "val_loss"]
    assert [list(logs) for logs in seen.logs("on_epoch_end")] == [
        ["odd", "loss"],
        ["loss", *evaluated],
        ["loss"],
        ["loss", *evaluated],
    ]


def test_several_validations_in_an_epoch():
    seen = Recorder()
    fit(Classifier(), ol.for_lightning(seen), max_epochs=1, val_check_interval=1)
    assert len(seen.check().of("on_test_end")) == 3
    assert [hook for hook in seen.hooks if hook.endswith("_end")][:4] == [
        "on_train_batch_end",
        "on_test_batch_end",
        "on_test_batch_end",
        "on_test_end",
    ]
    losses = [logs["loss"] for logs in seen.logs("on_test_end")]
    assert len(set(losses)) == 3
    assert seen.last("on_epoch_end").logs["val_loss"] == losses[-1]


def test_several_loaders():
    class Several(Classifier):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            return super().validation_step(batch)

    seen = Recorder(in_hook("on_test_begin", lambda recorder, logs: counts.append(recorder.run.batch_count)))
    counts = []
    fit(Several(), ol.for_lightning(seen), validation=[HELD_OUT, Batches(X, Y)])
    assert counts == [5, 5]
    assert [event.index for event in seen.check().of("on_test_batch_end")] == [0, 1, 2, 3, 4] * 2
    names = [f"val_{name}{loader}" for loader in ("", "/dataloader_idx_1") for name in ("accuracy", "loss")]
    assert list(seen.last("on_epoch_end").logs)[2:] == names
    assert "val_loss/dataloader_idx_0" in seen.run.native_logs


def test_the_trial_run_shows_nowhere():
    class Noisy(Classifier):
        def validation_step(self, batch):
            self.log("val_trial" if self.trainer.sanity_checking else "val_loss", 1.0)

    seen = Recorder()
    fit(Noisy(), ol.for_lightning(seen))
    assert list(seen.check().last("on_epoch_end").logs) == ["accuracy", "loss", "val_loss"]
    assert "val_trial" not in seen.run.native_logs


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_a_stage_that_stands_alone(stage):
    class Tested(Classifier):
        def test_step(self, batch):
            self.log("test_loss", self.measure(batch)[0])

    seen = Recorder()
    trainer = quiet_trainer([ol.for_lightning(seen)])
    [returned] = run_quietly(lambda: getattr(trainer, stage)(Tested(), HELD_OUT, verbose=False))
    assert seen.check().hooks[0] == "on_test_begin"
    assert seen.last("on_test_end").logs["loss"] == returned["val_loss" if stage == "validate" else "test_loss"]


@pytest.mark.parametrize("stage", ["validate", "predict"])
def test_a_stop_where_the_loader_has_no_length(stage):
    class Endless:
        def __iter__(self):
            while True:
                yield from HELD_OUT

    hook = "on_test_batch_end" if stage == "validate" else "on_predict_batch_end"
    seen = Recorder(in_hook(hook, lambda recorder, logs: recorder.run.stop("enough")))
    trainer = quiet_trainer([ol.for_lightning(seen)])
    run_quietly(lambda: getattr(trainer, stage)(Classifier(), Endless()))
    assert len(seen.check().of(hook)) == 1
    assert seen.run.batch_count is None


def test_predictions():
    seen = Recorder()
    trainer = quiet_trainer([ol.for_lightning(seen)])
    returned = run_quietly(lambda: trainer.predict(Classifier(), HELD_OUT))
    for event, predicted in zip(seen.check().of("on_predict_batch_end"), returned, strict=True):
        assert torch.equal(event.logs["outputs"], predicted)


# Optimization.


def test_accumulation():
    def losses(parts):
        torch.manual_seed(3)
        seen, module = Recorder(), Names()
        fit(module, ol.for_lightning(seen), accumulate_grad_batches=parts)
        found = [event.batch["loss"] for event in seen.of("on_train_batch_end")]
        assert found == pytest.approx(module.losses, rel=1e-6)
        return seen

    seen = losses(2)
    assert [event.run["step"] for event in seen.of("on_train_batch_begin")] == [0, 0, 1, 2, 2, 3]
    assert [event.run["step"] for event in seen.of("on_train_batch_end")] == [0, 1, 2, 2, 3, 4]
    losses(1)


class Manual(Classifier):
    """Two optimizers, and nothing that is returned."""

    def __init__(self, returns=None):
        super().__init__()
        self.automatic_optimization, self.returns = False, returns

    def configure_optimizers(self):
        return [torch.optim.SGD(self.net[at].parameters(), lr=rate) for at, rate in ((0, 0.1), (4, 0.01))]

    def training_step(self, batch):
        loss = self.measure(batch)[0]
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        self.log("mine", loss)
        return self.returns


def test_manual_optimization():
    seen = Recorder()
    fit(Manual(), ol.for_lightning(seen))
    assert list(seen.check().last("on_epoch_end").logs) == ["mine", "val_accuracy", "val_loss"]
    assert [event.run["step"] for event in seen.of("on_train_batch_end")] == [1, 2, 3, 4, 5, 6]  # not two each
    fit(Manual({"loss": torch.tensor(7.0)}), ol.for_lightning(seen))
    assert seen.last("on_epoch_end").logs["loss"] == 7.0


def test_several_learning_rates():
    def act(recorder, logs):
        found.append(recorder.run.learning_rate)
        with pytest.raises(ValueError, match="the learning rates differ"):
            recorder.run.learning_rate = 0.5
        recorder.run.scale_learning_rate(2.0)

    found = []
    fit(Manual(), ol.for_lightning(Recorder(in_hook("on_epoch_end", act))))
    assert found == [
        {"optimizer_0": 0.1, "optimizer_1": 0.01},
        {"optimizer_0": 0.2, "optimizer_1": 0.02},
    ]


def test_a_scheduler_and_the_learning_rate():
    class Scheduled(Classifier):
        def configure_optimizers(self):
            return [self.optimizer], [torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.5)]

    rates = []
    seen = Recorder(in_hook("on_epoch_begin", lambda recorder, logs: rates.append(recorder.run.learning_rate)))
    fit(Scheduled(), ol.for_lightning(seen), max_epochs=3)
    assert rates == pytest.approx([0.05, 0.025, 0.0125])


def test_gradients_are_those_of_the_update():
    norms = {"on_train_batch_end": [], "on_test_begin": []}

    def act(recorder, hook, index, logs):
        if hook in norms:
            norms[hook].append([gradient.norm() for gradient in recorder.run.gradients().values()])

    fit(Classifier(), ol.for_lightning(Recorder(act)), gradient_clip_val=0.01)
    assert [torch.stack(one).norm().item() for one in norms["on_train_batch_end"]] == pytest.approx(
        [0.01] * 6, rel=1e-3
    )
    assert norms["on_test_begin"] == [[], []]


def test_outputs_of_a_step_that_does_not_return_them():
    shapes = []

    def act(recorder, hook, index, logs):
        if hook in ("on_train_batch_end", "on_test_batch_end"):
            shapes.append(None if recorder.run.outputs is None else tuple(recorder.run.outputs.shape))

    seen = Recorder(act)
    fit(Names(), ol.for_lightning(seen), max_epochs=1)
    assert shapes == [None] * 5
    shapes.clear()
    seen = Recorder(act)
    seen.needs = ("outputs",)
    fit(Names(), ol.for_lightning(seen), max_epochs=1)
    assert shapes == [(8, 2), (8, 2), (4, 2), (8, 2), (4, 2)]


def test_outputs_are_those_of_the_batch_itself():
    class Evasive(Classifier):
        def training_step(self, batch, batch_idx):
            outputs = self(batch[0]) if batch_idx == 0 else self.net(batch[0])
            return torch.nn.functional.cross_entropy(outputs, batch[1])

    there = []

    def act(recorder, hook, index, logs):
        if hook == "on_train_batch_begin":
            recorder.model(torch.zeros(2, 4))
        if hook == "on_train_batch_end":
            there.append(recorder.run.outputs is not None)

    seen = Recorder(act)
    seen.needs = ("outputs",)
    fit(Evasive(), ol.for_lightning(seen), max_epochs=1, validation=None)
    assert there == [True, False, False]


def test_observing_keeps_metrics():
    def look(recorder, logs):
        with recorder.run.observing():
            recorder.model.f1(torch.zeros(5, dtype=torch.int64), torch.ones(5, dtype=torch.int64))

    seen, other = Recorder(in_hook("on_test_batch_end", look)), Recorder()
    torch.manual_seed(3)
    fit(Names(), ol.for_lightning(seen))
    torch.manual_seed(3)
    fit(Names(), ol.for_lightning(other))
    assert seen.logs("on_epoch_end") == other.logs("on_epoch_end")


def test_observing_keeps_metrics_that_gather():
    class Gathering(Classifier):
        def __init__(self):
            super().__init__()
            self.gathered, self.counts = torchmetrics.CatMetric(), []

        def validation_step(self, batch):
            self.gathered.update(batch[0])

        def on_validation_epoch_end(self):
            self.counts.append(len(self.gathered.compute()))
            self.gathered.reset()

    def look(recorder, logs):
        with recorder.run.observing():
            recorder.model.gathered.update(torch.zeros(5, 4))

    module = Gathering()
    fit(module, ol.for_lightning(Recorder(in_hook("on_test_batch_end", look))), num_sanity_val_steps=0)
    assert module.counts == [12] * 2


# Checkpoints.


class Counter(ol.Callback):
    """Counts batches over all epochs."""

    def on_train_begin(self, logs):
        self.batches = 0

    def on_train_batch_end(self, batch, logs):
        self.batches += 1

    def on_epoch_end(self, epoch, logs):
        logs["batches"] = self.batches

    def state_dict(self):
        return {"batches": self.batches}

    def load_state_dict(self, state):
        self.batches = state["batches"]


class Shuffled(torch.utils.data.DataLoader):
    """A loader that draws its order anew in each epoch."""

    def __init__(self):
        data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
        super().__init__(data, batch_size=8, shuffle=True)


@pytest.mark.parametrize("after", ["the epoch", "the validation"])
def test_resuming_from_lightnings_own_checkpoint(after, tmp_path):
    """With two adapters, a loader that shuffles, and dropout."""

    def train(module, ckpt_path=None):
        first, second = Counter(), Counter()
        seen = Recorder()
        saving = ModelCheckpoint(
            tmp_path, "{epoch}", save_top_k=-1, monitor="val_loss", save_on_train_epoch_end=after == "the epoch"
        )
        adapters = [ol.for_lightning(first, seen), ol.for_lightning(second)]
        trainer = quiet_trainer([*adapters, saving], max_epochs=4, enable_checkpointing=True)
        run_quietly(lambda: trainer.fit(module, Shuffled(), HELD_OUT, ckpt_path=ckpt_path))
        return seen, second, [parameter.detach().numpy().copy() for parameter in module.parameters()]

    torch.manual_seed(3)
    whole, _, weights = train(Classifier())
    torch.manual_seed(99)
    rest, second, resumed = train(Classifier(), tmp_path / "epoch=1.ckpt")
    assert same(resumed, weights)
    assert second.batches == 12
    assert rest.run.is_resumed
    first_epoch = 2 if after == "the epoch" else 1  # whose end had not come yet
    rest.check(first_epoch)
    for one, other in zip(rest.of("on_epoch_end"), whole.of("on_epoch_end")[first_epoch:], strict=True):
        assert one.logs == pytest.approx(other.logs, rel=1e-6)
        assert one.run == other.run
    assert rest.events[-1].run == whole.events[-1].run


class Remembering(Batches):
    """A loader that goes on in the middle of an epoch, as Lightning asks such loaders to."""

    def __init__(self, user=None):
        super().__init__(X, Y, user)
        self.given = 0

    def __iter__(self):
        first = self.given
        for index, batch in enumerate(super().__iter__()):
            if index >= first:
                self.given = (index + 1) % len(self)
                yield batch

    def state_dict(self):
        return {"given": self.given}

    def load_state_dict(self, state):
        self.given = state["given"]


@pytest.mark.parametrize("how", ["by run.save", "because of an error"])
def test_resuming_in_the_middle_of_an_epoch(how, tmp_path):
    def train(act=None, ckpt_path=None, user=None):
        torch.manual_seed(3)
        seen, module, counter = Recorder(act), Names(), Counter()
        saving = OnExceptionCheckpoint(tmp_path, "error")
        settings = {"max_epochs": 3, "num_sanity_val_steps": 0, "enable_checkpointing": True}
        trainer = quiet_trainer([ol.for_lightning(counter, seen), saving], **settings)
        run_quietly(lambda: trainer.fit(module, Remembering(user), HELD_OUT, ckpt_path=ckpt_path))
        return seen, [parameter.detach().numpy().copy() for parameter in module.parameters()]

    def save(recorder, hook, index, logs):
        if (recorder.run.epoch, hook, index) == (1, "on_train_batch_end", 1):
            recorder.run.save(tmp_path / "run.ckpt")
            recorder.run.stop("saved")

    def fail(epoch, batch):
        if (epoch, batch) == (1, 2):
            raise ValueError("no")

    whole, weights = train()
    if how == "by run.save":
        train(save)
    else:
        with pytest.raises(ValueError, match="no"):
            train(user=fail)
    rest, resumed = train(ckpt_path=tmp_path / ("run.ckpt" if how == "by run.save" else "error.ckpt"))
    assert same(resumed, weights)
    begin = [("on_train_begin", None), ("on_epoch_begin", 1)]
    at = whole.calls.index(("on_train_batch_begin", 2), whole.calls.index(("on_epoch_begin", 1)))
    assert rest.calls == begin + whole.calls[at:]
    largest = "largest"  # Lightning itself forgets it
    for one, other in zip(rest.events[2:], whole.events[at:], strict=True):
        drop = {largest} if one.run["epoch"] == 1 else set()
        assert {name: value for name, value in one.logs.items() if name not in drop} == pytest.approx(
            {name: value for name, value in other.logs.items() if name not in drop}, rel=1e-6
        )
        assert one.run == other.run


def test_a_checkpoint_after_a_training_that_failed_and_another(tmp_path):
    def fail(epoch, batch):
        if fails and batch == 1:
            raise ValueError("no")

    fails, counter = [True], Counter()
    trainer = quiet_trainer([ol.for_lightning(counter)], max_epochs=1)
    with pytest.raises(ValueError, match="no"):
        run_quietly(lambda: trainer.fit(Classifier(), Batches(X, Y, fail)))
    fails.clear()
    run_quietly(lambda: trainer.fit(Classifier(), Batches(X, Y, fail)))
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    kept = torch.load(tmp_path / "run.ckpt", weights_only=True)["callbacks"]["onlooker"]["run"]
    assert kept["callbacks"] == {"Counter": {"batches": counter.batches}}
    assert kept["step"] == counter.batches == 3


def test_the_step_after_an_evaluation(tmp_path):
    seen = Recorder()
    trainer = fit(Manual(), ol.for_lightning(Recorder()))
    run_quietly(lambda: trainer.validate(Manual(), HELD_OUT, verbose=False))
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    fit(Manual(), ol.for_lightning(seen), ckpt_path=tmp_path / "run.ckpt", max_epochs=3)
    assert (seen.events[0].run["step"], seen.run.step) == (6, 9)


def test_two_adapters_keep_their_states_apart(tmp_path):
    class Named(ol.Callback):
        def __init__(self, name):
            self.name = name

        def state_dict(self):
            return {"name": self.name}

        def load_state_dict(self, state):
            self.name = state["name"]

    path = tmp_path / "run.ckpt"
    trainer = fit(Classifier(), *(ol.for_lightning(Named(name)) for name in "ab"))
    trainer.save_checkpoint(path)
    names = [Named("x"), Named("y")]
    fit(Classifier(), *map(ol.for_lightning, names), ckpt_path=path, max_epochs=3)
    assert [one.name for one in names] == ["a", "b"]
    assert {"onlooker", "onlooker#2"} <= set(torch.load(path, weights_only=True)["callbacks"])


def test_adapters_that_were_each_the_first_in_another_trainer():
    adapters = [ol.for_lightning(Recorder()) for _ in range(2)]
    for one in adapters:
        fit(Classifier(), one)
    fit(Classifier(), *adapters)
    assert [one.state_key for one in adapters] == ["onlooker", "onlooker#2"]


def test_hooks_that_we_do_not_hear_are_passed_over():
    adapter = ol.for_lightning(Recorder())
    trainer = fit(Classifier(), adapter, Callback(), profiler="simple")
    names = [name.rpartition(".") for name in trainer.profiler.recorded_durations]
    timed = {hook for who, _, hook in names if "onlooker" in who}
    assert {"on_train_batch_start", "on_train_batch_end", "on_validation_batch_end"} <= timed
    assert not timed & {"on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_before_zero_grad"}
    assert "[Callback]Callback.on_before_backward" in trainer.profiler.recorded_durations, "it times others"


def test_a_checkpoint_that_is_only_evaluated_resumes_nothing(tmp_path):
    path, seen = tmp_path / "run.ckpt", Recorder()
    fit(Classifier(), ol.for_lightning(Counter())).save_checkpoint(path)
    trainer = quiet_trainer([ol.for_lightning(Counter(), seen)], max_epochs=1)
    drawn = torch.get_rng_state()
    run_quietly(lambda: trainer.validate(Classifier(), HELD_OUT, ckpt_path=path, verbose=False))
    torch.set_rng_state(drawn)
    run_quietly(lambda: trainer.fit(Classifier(), Batches(X, Y)))
    assert not seen.run.is_resumed
    assert seen.last("on_epoch_end").logs["batches"] == 3


def test_a_file_that_is_no_checkpoint(tmp_path):
    path = tmp_path / "other"
    torch.save({"state_dict": {}}, path)

    def act(recorder, logs):
        with pytest.raises(ValueError, match=r"was not written by run\.save"):
            recorder.run.load(path)
        tried.append(True)

    tried = []
    fit(Classifier(), ol.for_lightning(Recorder(in_hook("on_epoch_end", act))), max_epochs=1)
    assert tried == [True]


def test_an_adapter_can_be_copied_and_pickled():
    """Lightning does so where it spawns processes."""
    adapter = ol.for_lightning(Counter())
    for twin in (pickle.loads(pickle.dumps(adapter)), copy.deepcopy(adapter)):
        assert type(twin) is type(adapter)
        assert isinstance(twin.follower.callbacks[0], Counter)
        fit(Classifier(), twin, max_epochs=1)


def test_nobody_listens():
    module = Classifier()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ol.OnlookerWarning)
        fit(module, ol.for_lightning(), ol.for_lightning(ol.Callback()))
