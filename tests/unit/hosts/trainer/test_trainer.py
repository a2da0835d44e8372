import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import onlooker as ol
from onlooker.core.errors import DataError, LogError, LoopError
from onlooker.core.hooks import HOOKS
from onlooker.views.torch_random import random_state

LOSS = nn.CrossEntropyLoss()


def accuracy(outputs, targets):
    return (outputs.argmax(1) == targets).float().mean()


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def make_trainer(model=None, make_optimizer=None, **settings):
    model = make_model() if model is None else model
    optimizer = (make_optimizer or (lambda p: torch.optim.Adam(p, lr=0.01)))(model.parameters())
    return ol.Trainer(model, loss=LOSS, optimizer=optimizer, metrics={"accuracy": accuracy}, **settings)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 4, generator=generator)
    return x, x[:, :3].argmax(1)


def batches_of(data, size=16):
    return [(data[0][start : start + size], data[1][start : start + size]) for start in range(0, len(data[0]), size)]


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


class Spy(ol.Callback):
    """Writes down what comes."""

    def __init__(self):
        self.calls = []
        for hook in HOOKS:
            setattr(self, hook, lambda *given, hook=hook: self.calls.append((hook, *given[:-1])))

    @property
    def hooks(self):
        return [call[0] for call in self.calls]


# Training.


def test_fit_is_the_loop_that_one_would_write(data):
    trainer = make_trainer()
    model = copy.deepcopy(trainer.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batches = batches_of(data)
    torch.manual_seed(3)
    history = trainer.fit(batches, epochs=3, validation=batches)
    torch.manual_seed(3)
    for epoch in range(3):
        losses, hits = [], []
        model.train()
        for x, y in batches:
            outputs = model(x)
            loss = LOSS(outputs, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()) * len(x))
            hits.append(float((outputs.argmax(1) == y).sum()))
        assert history.history["loss"][epoch] == pytest.approx(sum(losses) / 50)
        assert history.history["accuracy"][epoch] == pytest.approx(sum(hits) / 50)
        model.eval()
        with torch.no_grad():
            whole = model(data[0])
        assert history.history["val_loss"][epoch] == pytest.approx(LOSS(whole, data[1]).item(), rel=1e-5)
    assert_same(weights(trainer.model), weights(model))


def test_fit_returns_the_curves(data):
    trainer = make_trainer()
    assert trainer.history is None
    history = trainer.fit(data, epochs=2, validation=data)
    assert history is trainer.history
    assert history.epochs == [0, 1]
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert (history.run.outcome, history.run.host.name) == ("completed", "Trainer")
    assert history.run.params == {"epochs": 2, "steps": 2, "verbose": 1}


def test_the_history_among_the_callbacks_is_taken(data):
    mine = ol.callbacks.History()
    trainer = make_trainer()
    assert trainer.fit(data, callbacks=[mine]) is mine
    assert trainer.fit(data, callbacks=[mine]) is mine
    assert mine.epochs == [0]


def test_the_curves_of_a_training_that_was_cut_off_are_there(data):
    class Fail(ol.Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 2:
                raise KeyboardInterrupt

    trainer = make_trainer()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, epochs=5, callbacks=[Fail()])
    assert trainer.history.epochs[:2] == [0, 1]
    assert trainer.history.run.outcome == "interrupted"
    assert trainer.fit(data).epochs == [0]  # and it can be used again


def test_no_epochs(data):
    spy = Spy()
    history = make_trainer().fit(data, epochs=0, callbacks=[spy])
    assert history.epochs == []
    assert spy.hooks == ["on_train_begin", "on_train_end"]


def test_fits_go_on_from_each_other(data):
    once, twice = make_trainer(), make_trainer()
    torch.manual_seed(3)
    once.fit(batches_of(data), epochs=4)
    torch.manual_seed(3)
    twice.fit(batches_of(data), epochs=2)
    twice.fit(batches_of(data), epochs=2)
    assert_same(weights(once.model), weights(twice.model))


def test_a_callback_stops_it(data):
    class Stop(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 1:
                self.run.stop("enough")

    history = make_trainer().fit(batches_of(data), epochs=5, callbacks=[Stop()])
    assert history.epochs == [0]
    assert (history.run.outcome, history.run.reason, history.run.step) == ("stopped", "enough", 2)


def test_callbacks_see_the_batch(data):
    class Look(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            x, y = batches_of(data)[batch]
            assert torch.equal(self.run.inputs, x)
            assert torch.equal(self.run.targets, y)
            assert self.run.outputs.shape == (len(x), 3)
            assert set(self.run.gradients()) == {name for name, _ in self.model.named_parameters()}
            assert logs.batch["accuracy"] == pytest.approx(float(accuracy(self.run.outputs, y)))
            seen.append(batch)

        on_test_batch_end = on_predict_batch_end = on_train_batch_end

    seen = []
    trainer = make_trainer()
    trainer.fit(batches_of(data), callbacks=[Look()])
    assert seen == [0, 1, 2, 3]


def test_callbacks_see_the_outputs_of_what_stands_alone(data):
    class Look(ol.Callback):
        def on_test_batch_end(self, batch, logs):
            seen.append((self.run.outputs.shape, self.run.targets.shape))

        def on_predict_batch_end(self, batch, logs):
            assert logs["outputs"] is self.run.outputs
            seen.append((self.run.outputs.shape, self.run.inputs.shape))

    seen = []
    trainer = make_trainer()
    trainer.evaluate(data, callbacks=[Look()], batch_size=50)
    trainer.predict(data[0], callbacks=[Look()], batch_size=50)
    assert seen == [((50, 3), (50,)), ((50, 3), (50, 4))]


# Modes.


def test_a_module_in_evaluation_mode_is_trained_in_training_mode(data):
    trainer = make_trainer()
    trainer.model.eval()
    modes = []
    trainer.fit(data, callbacks=[ol.callbacks.Lambda(on_epoch_end=lambda *_: modes.append(trainer.model.training))])
    assert modes == [True]


def test_a_part_that_is_frozen_in_evaluation_mode_stays_so(data):
    trainer = make_trainer()
    frozen = trainer.model[1].eval()
    before = frozen.running_mean.clone()
    trainer.fit(data, epochs=2, validation=data)
    assert not frozen.training
    assert torch.equal(frozen.running_mean, before)


def test_evaluate_and_predict_leave_modes_and_randomness_as_they_were(data):
    trainer = make_trainer()
    before = weights(trainer.model)
    trainer.evaluate(batches_of(data))
    trainer.predict(batches_of(data))
    assert trainer.model.training
    assert torch.is_grad_enabled()
    assert_same(weights(trainer.model), before)


# Accumulation.


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("rows", [48, 50, 36, 28, 20, 7])
@pytest.mark.parametrize("has_length", [True, False])
def test_accumulated_batches_are_one_large_batch(data, rows, has_length):
    """Also where the last group is cut short, and where the last batch is smaller than the others."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    small = make_trainer(copy.deepcopy(model), sgd, accumulate=2)
    large = make_trainer(copy.deepcopy(model), sgd)
    part = data[0][:rows], data[1][:rows]
    batches = batches_of(part, 8)
    for _ in range(3):
        small.fit(batches if has_length else iter(batches))
        large.fit(batches_of(part, 16))
    torch.testing.assert_close(weights(small.model), weights(large.model))
    assert small.history.run.step == large.history.run.step == -(-rows // 16)


def test_steps_are_counted_and_hooks_come_for_each_batch(data):
    steps = []
    watch = ol.callbacks.Lambda(on_train_batch_end=lambda batch, logs: steps.append(watch.run.step))
    make_trainer(nn.Linear(4, 3), accumulate=3).fit(batches_of(data, 7), callbacks=[watch], epochs=2)  # 8 batches
    assert steps == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6]


def test_the_loss_is_logged_undivided(data):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    histories = [
        make_trainer(copy.deepcopy(model), lambda p: torch.optim.SGD(p, lr=0.0), accumulate=n).fit(batches_of(data))
        for n in (1, 4)
    ]
    assert histories[0].history == histories[1].history


def test_a_group_that_a_stop_cuts_off_is_dropped(data):
    class Stop(ol.Callback):
        @ol.at(batches=2)
        def on_train_batch_end(self, batch, logs):
            self.run.stop()

    torch.manual_seed(0)
    stopped, whole = make_trainer(nn.Linear(4, 3), sgd, accumulate=2), None
    whole = make_trainer(copy.deepcopy(stopped.model), sgd, accumulate=2)
    stopped.fit(batches_of(data, 8), callbacks=[Stop()])
    whole.fit(batches_of(data, 8)[:2])
    assert_same(weights(stopped.model), weights(whole.model))
    # And leaves nothing behind for the next training.
    stopped.fit(batches_of(data, 8)[2:4])
    whole.fit(batches_of(data, 8)[2:4])
    assert_same(weights(stopped.model), weights(whole.model))


@pytest.mark.parametrize("autocast", [None, torch.float16])
def test_gradients_can_be_looked_at_after_the_step(data, autocast):
    """As it used them: unscaled and clipped."""
    norms = []
    watch = ol.callbacks.Lambda(
        on_train_batch_end=lambda batch, logs: norms.append(
            float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in watch.run.gradients().values()])))
        )
    )
    make_trainer(clip_norm=0.01, autocast=autocast).fit(batches_of(data), callbacks=[watch])
    assert norms == pytest.approx([0.01] * 4, rel=1e-3)


# Clipping, precision, devices.


def test_clip_value(data):
    largest = []
    watch = ol.callbacks.Lambda(
        on_train_batch_end=lambda batch, logs: largest.append(
            max(float(gradient.abs().max()) for gradient in watch.run.gradients().values())
        )
    )
    make_trainer(clip_value=0.001).fit(batches_of(data), callbacks=[watch])
    assert largest == pytest.approx([0.001] * 4)


def test_bfloat16(data):
    dtypes = []

    def loss(outputs, targets):
        dtypes.append(outputs.dtype)
        return LOSS(outputs, targets)

    model = make_model()
    trainer = ol.Trainer(
        model, loss=loss, optimizer=torch.optim.Adam(model.parameters(), lr=0.01), autocast=torch.bfloat16
    )
    history = trainer.fit(data, epochs=5, validation=data)
    assert set(dtypes) == {torch.bfloat16}
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert trainer.predict(data).dtype is torch.bfloat16
    assert all(parameter.dtype is torch.float32 for parameter in model.parameters())


def test_float16_scales_the_loss(data):
    """A loss so small that its gradients are nothing in float16 trains all the same, as in full precision."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)

    def small_loss(outputs, targets):
        return LOSS(outputs, targets) * 1e-6

    trained = []
    for autocast in (torch.float16, None):
        copied = copy.deepcopy(model)
        optimizer = torch.optim.SGD(copied.parameters(), lr=1e5)
        trainer = ol.Trainer(copied, loss=small_loss, optimizer=optimizer, autocast=autocast, accumulate=2)
        trainer.fit(batches_of(data), epochs=3)
        trained.append(weights(copied))
    torch.testing.assert_close(*trained, rtol=0.02, atol=0.002)
    assert not torch.equal(trained[0]["weight"], weights(model)["weight"])


def test_a_step_that_the_scaler_skips_is_not_counted(data):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    trainer = ol.Trainer(
        model,
        loss=lambda outputs, targets: LOSS(outputs, targets) * (float("inf") if flag.pop() else 1.0),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        autocast=torch.float16,
    )
    flag = [False, True, False, True]
    trainer.fit(batches_of(data))
    assert trainer.history.run.step == 2
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_model_goes_to_the_device_and_batches_follow(data):
    trainer = make_trainer(device="meta")  # a device on which every machine can compute nothing
    assert {parameter.device.type for parameter in trainer.model.parameters()} == {"meta"}
    seen = []
    trainer.loss = lambda outputs, targets: seen.append((outputs.device.type, targets.device.type)) or 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.fit(data)
    assert seen == [("meta", "meta")]


def test_a_model_without_parameters_can_predict(data):
    assert torch.equal(ol.Trainer(nn.Flatten()).predict(data[0]), data[0])


# The same again.


@pytest.mark.parametrize("loader", [False, True])
def test_the_same_seed_gives_the_same_weights(data, loader):
    def run(seed, disturb):
        trainer = make_trainer(seed=seed)
        torch.rand(disturb)
        given = DataLoader(TensorDataset(*data), 8, shuffle=True) if loader else data
        trainer.fit(given, epochs=3, validation=data, batch_size=8)
        return weights(trainer.model)

    assert_same(run(7, 1), run(7, 2))
    assert not torch.equal(run(7, 1)["0.weight"], run(8, 1)["0.weight"])


@pytest.mark.parametrize("settings", [{}, {"autocast": torch.float16}, {"accumulate": 3}])
def test_a_resumed_training_goes_on_as_if_it_had_never_stopped(data, tmp_path, settings):
    save = ol.callbacks.Lambda(
        on_epoch_end=lambda epoch, logs: save.run.save(tmp_path / "run.pt"), when=ol.at(epochs=1)
    )
    whole = make_trainer(seed=7, **settings)
    whole_history = whole.fit(data, epochs=5, validation=data, callbacks=[save], batch_size=8)
    resumed = make_trainer(seed=9, **settings)
    history = resumed.fit(data, epochs=5, validation=data, batch_size=8, resume=tmp_path / "run.pt")
    assert_same(weights(resumed.model), weights(whole.model))
    assert history.epochs == [0, 1, 2, 3, 4]
    assert history.history == whole_history.history
    assert history.run.step == whole_history.run.step


def test_a_resumed_training_has_the_scale_of_the_loss(data, tmp_path):
    flag = [False] * 4 + [True] * 4  # popped from the end: the first epoch overflows in every batch

    def loss(outputs, targets):
        return LOSS(outputs, targets) * (float("inf") if flag and flag.pop() else 1.0)

    def make():
        model = nn.Linear(4, 3)
        return ol.Trainer(
            model, loss=loss, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), autocast=torch.float16
        )

    def scale(history):
        (keeper,) = [one for one in history.run.callbacks if type(one).__name__ == "ScalerState"]
        return keeper.state_dict()["scale"]

    save = ol.callbacks.Lambda(on_epoch_end=lambda epoch, logs: save.run.save(tmp_path / "run.pt"))
    before = scale(make().fit(batches_of(data), callbacks=[save]))
    assert scale(make().fit(batches_of(data), epochs=2, resume=tmp_path / "run.pt")) == before < 65536


# Evaluating and predicting.


def test_evaluate_returns_the_means(data):
    trainer = make_trainer()
    logs = trainer.evaluate(batches_of(data))
    trainer.model.eval()
    outputs = trainer.model(data[0])
    assert type(logs) is ol.Logs
    assert logs == {
        "accuracy": pytest.approx(float(accuracy(outputs, data[1]))),
        "loss": pytest.approx(LOSS(outputs, data[1]).item()),
    }
    assert trainer.evaluate(data, batch_size=7) == pytest.approx(dict(logs))


def test_evaluate_and_predict_call_hooks(data):
    spy = Spy()
    trainer = make_trainer()
    trainer.evaluate(data, callbacks=[spy])
    trainer.predict(data, callbacks=[spy])
    test, predict = (
        [("begin",), ("batch_begin", 0), ("batch_end", 0), ("batch_begin", 1), ("batch_end", 1), ("end",)]
        for _ in range(2)
    )
    expected = [(f"on_test_{hook}", *index) for hook, *index in test]
    assert spy.calls == expected + [(f"on_predict_{hook}", *index) for hook, *index in predict]


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_batch_end", "on_test_batch_end"])
def test_a_callback_evaluates_and_predicts_silently(data, hook):
    """No hooks are called, and the training ends with the same weights and random states as without."""

    def run(callback, spy):
        trainer = make_trainer(seed=7)
        if callback:
            setattr(callback, hook, lambda *given: results.append((trainer.evaluate(data), trainer.predict(loader))))
        trainer.fit(data, epochs=2, validation=data, callbacks=[spy, *([callback] if callback else [])])
        return weights(trainer.model), random_state(), trainer.history.history

    results, loader = [], DataLoader(TensorDataset(*data), 8)  # which draws a random number
    with_spy, without_spy = Spy(), Spy()
    with_weights, with_random, with_history = run(ol.Callback(), with_spy)
    without_weights, without_random, without_history = run(None, without_spy)
    assert results
    assert all(set(logs) == {"accuracy", "loss"} and outputs.shape == (50, 3) for logs, outputs in results)
    assert with_spy.calls == without_spy.calls
    assert_same(with_weights, without_weights)
    assert torch.equal(with_random["torch"], without_random["torch"])
    assert with_history == without_history


def test_what_a_callback_evaluates_is_right(data):
    class Check(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            assert trainer.evaluate(data, batch_size=32) == pytest.approx(
                {"loss": logs["val_loss"], "accuracy": logs["val_accuracy"]}
            )
            checked.append(epoch)

    checked = []
    trainer = make_trainer()
    trainer.fit(data, epochs=2, validation=data, callbacks=[Check()])
    assert checked == [0, 1]


def test_a_callback_cannot_fit(data):
    trainer = make_trainer()
    with pytest.raises(LoopError, match="a callback cannot call fit from within a hook"):
        trainer.fit(data, callbacks=[ol.callbacks.Lambda(on_epoch_end=lambda epoch, logs: trainer.fit(data))])
    assert trainer.fit(data).epochs == [0]


def test_predict_joins_the_outputs(data):
    trainer = make_trainer()
    trainer.model.eval()
    expected = trainer.model(data[0])
    for given in (data, data[0], (data[0],), batches_of(data), [x for x, _ in batches_of(data)], TensorDataset(*data)):
        outputs = trainer.predict(given)
        torch.testing.assert_close(outputs, expected)
        assert not outputs.requires_grad


def test_predict_joins_within_structures(data):
    class Two(nn.Module):
        def forward(self, x):
            return {"sum": x.sum(1), "parts": (x, x.mean())}

    outputs = ol.Trainer(Two()).predict(data[0], batch_size=16)
    assert torch.equal(outputs["sum"], data[0].sum(1))
    assert outputs["parts"][0].shape == (50, 4)
    assert outputs["parts"][1].shape == (4,)


def test_outputs_that_cannot_be_joined_come_as_they_are():
    batches = [torch.zeros(2, 3), torch.zeros(2, 4)]
    outputs = ol.Trainer(nn.Identity()).predict(batches)
    assert [output.shape for output in outputs] == [(2, 3), (2, 4)]


def test_a_prediction_that_is_stopped_before_it_begins_gives_nothing(data):
    stop = ol.callbacks.Lambda(on_predict_begin=lambda logs: stop.run.stop())
    assert make_trainer().predict(data, callbacks=[stop]) == []


# Data.


def test_a_model_with_several_inputs(data):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, left, right):
            return (left + right) * self.scale

    model = Sum()
    trainer = ol.Trainer(model, loss=nn.MSELoss(), optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    x = data[0]
    for inputs in ((x, x), {"left": x, "right": x}):
        assert trainer.evaluate([(inputs, 2 * x * model.scale)])["loss"] == 0.0
        trainer.fit([(inputs, 3 * x)])
    assert model.scale > 1


def test_batches_that_are_no_pair_are_split_as_said(data):
    model = make_model()
    batches = [{"image": x, "label": y} for x, y in batches_of(data)]
    trainer = ol.Trainer(
        model,
        loss=LOSS,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        split=lambda batch: (batch["image"], batch["label"]),
    )
    trainer.fit(batches, validation=batches)
    assert set(trainer.evaluate(batches)) == {"loss"}
    assert trainer.predict(batches).shape == (50, 3)
    assert trainer.predict(data[0]).shape == (50, 3)


@dataclasses.dataclass
class Fields:
    image: torch.Tensor
    label: torch.Tensor


class OfFields(nn.Module):
    """Takes a batch as a whole."""

    def __init__(self):
        super().__init__()
        self.inner = make_model()

    def forward(self, batch):
        return self.inner(batch.image)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_batches_that_are_dataclasses_weigh_what_they_hold(data, accumulate):
    results = []
    for is_pair in (True, False):
        torch.manual_seed(0)
        model = make_model() if is_pair else OfFields()
        trainer = ol.Trainer(
            model,
            loss=LOSS if is_pair else lambda outputs, batch: LOSS(outputs, batch.label),
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            accumulate=accumulate,
            split=None if is_pair else lambda batch: (batch, batch),
        )
        pairs = [(x, y) for x, y in zip(*(part.split([30, 15, 5]) for part in data), strict=True)]
        batches = pairs if is_pair else [Fields(x, y) for x, y in pairs]
        history = trainer.fit(batches, validation=batches, epochs=2)
        results.append((history.history, [one.tolist() for one in model.parameters()]))
    assert results[0] == results[1]


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_tensor_is_not_taken_apart_into_inputs_and_targets(data, method):
    trainer = make_trainer(split=lambda batch: batch[0])
    with pytest.raises(DataError, match="split must return a pair"):
        getattr(trainer, method)(data, batch_size=2)


def test_a_loader_of_unknown_length(data):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(*data, strict=True))

    for settings in ({}, {"accumulate": 3}):
        history = make_trainer(**settings).fit(DataLoader(Stream(), 8), epochs=2, validation=Stream())
        assert history.epochs == [0, 1]
        assert history.run.params["steps"] is None


# What is refused.


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": lambda x: x}, TypeError, "Trainer trains a torch.nn.Module, not function"),
        ({"model": nn.Linear}, TypeError, "Trainer trains a torch.nn.Module, not type"),
        ({"loss": "mse"}, TypeError, "loss='mse' must be a function of the outputs and the targets"),
        ({"optimizer": torch.optim.Adam}, TypeError, "optimizer=<class 'torch.optim.adam.Adam'> must be one"),
        ({"metrics": [accuracy]}, TypeError, "must be a dict of functions by name"),
        ({"metrics": {"accuracy": 0.5}}, TypeError, "metrics['accuracy']=0.5 must be a function"),
        ({"metrics": {"loss": accuracy}}, ValueError, "metrics may not be named 'loss'"),
        ({"accumulate": 0}, ValueError, "accumulate=0 must be a whole number of at least 1"),
        ({"accumulate": 1.5}, ValueError, "accumulate=1.5 must be"),
        ({"accumulate": True}, ValueError, "accumulate=True must be"),
        ({"clip_norm": 0}, ValueError, "clip_norm=0 must be a positive number, or None"),
        ({"clip_value": -1.0}, ValueError, "clip_value=-1.0 must be a positive number, or None"),
    ],
)
def test_bad_arguments(settings, error, message):
    model = make_model()
    good = {"model": model, "loss": LOSS, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    with pytest.raises(error) as caught:
        ol.Trainer(**{**good, **settings})
    assert message in str(caught.value)


def test_without_a_loss_or_an_optimizer(data):
    model = make_model()
    with pytest.raises(ValueError, match="fit needs a loss"):
        ol.Trainer(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)).fit(data)
    with pytest.raises(ValueError, match="evaluate needs a loss"):
        ol.Trainer(model).evaluate(data)
    with pytest.raises(ValueError, match="fit needs an optimizer"):
        ol.Trainer(model, loss=LOSS).fit(data)


@pytest.mark.parametrize("epochs", [-1, "3", 1.5])
def test_bad_epochs(data, epochs):
    with pytest.raises((ValueError, TypeError)) as caught:
        make_trainer().fit(data, epochs=epochs)
    assert repr(epochs) in str(caught.value)


def test_negative_epochs_are_named_as_they_were_given(data):
    with pytest.raises(ValueError, match=r"fit\(epochs=-1\) is negative; expected 0 or more"):
        make_trainer().fit(data, epochs=-1)


def test_without_data():
    for method in ("fit", "evaluate", "predict"):
        with pytest.raises(DataError, match=r"there is no data in None; pass a torch\.utils"):
            getattr(make_trainer(), method)(None)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "the loader yielded no batch; check the data set's size against batch_size and drop_last"),
        (iter([]), "the loader yielded no batch; a generator can be iterated only once"),
        ([torch.zeros(3, 4)], "the loader yielded a Tensor"),
        ([(1, 2, 3)], "the loader yielded a tuple of 3"),
        ([{"image": 1, "label": 2}], "the loader yielded a dict with image, label; say how to split it"),
    ],
)
def test_bad_batches(batches, message):
    for method in ("fit", "evaluate"):
        with pytest.raises(DataError) as caught:
            getattr(make_trainer(), method)(batches)
        assert message in str(caught.value)


def test_a_loader_that_is_used_up_though_it_is_no_generator(data):
    class Once:
        def __init__(self):
            self.batches = iter(batches_of(data))

        def __iter__(self):
            return self.batches

    with pytest.raises(DataError, match="a generator can be iterated only once"):
        make_trainer().fit(Once(), epochs=2)


def test_a_generator_is_used_up_after_the_first_epoch(data):
    spy = Spy()
    with pytest.raises(DataError, match="a generator can be iterated only once"):
        make_trainer().fit(iter(batches_of(data)), epochs=2, callbacks=[spy])
    assert spy.hooks[-2:] == ["on_epoch_end", "on_train_end"]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            nn.CrossEntropyLoss(reduction="none"),
            "the loss function returned a tensor of shape (32,); expected a tensor",
        ),
        (lambda outputs, targets: 0.5, "the loss function returned 0.5; expected a tensor with one element"),
        (lambda outputs, targets: None, "the loss function returned None"),
    ],
)
def test_bad_losses(data, loss, message):
    trainer = make_trainer()
    trainer.loss = loss
    for method in ("fit", "evaluate"):
        with pytest.raises(DataError) as caught:
            getattr(trainer, method)(data)
        assert message in str(caught.value)


def test_a_loss_of_one_element_will_do(data):
    trainer = make_trainer()
    trainer.loss = lambda outputs, targets: LOSS(outputs, targets).reshape(1)
    assert trainer.fit(data).epochs == [0]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda outputs, targets: outputs, "'accuracy' was logged as an array of shape (32, 3)"),
        (lambda outputs, targets: None, "'accuracy'"),
        (lambda outputs, targets: "high", "'accuracy'"),
    ],
)
def test_a_metric_that_is_no_number(data, metric, message):
    trainer = make_trainer()
    trainer.metrics["accuracy"] = metric
    with pytest.raises(LogError) as caught:
        trainer.fit(data)
    assert message in str(caught.value)


def test_metrics_may_return_python_numbers_and_numpy(data):
    trainer = make_trainer()
    trainer.metrics = {"python": lambda outputs, targets: 0.5, "array": lambda outputs, targets: np.float32(0.25)}
    logs = trainer.evaluate(data)
    assert (logs["python"], logs["array"]) == (0.5, 0.25)
    assert list(logs) == ["array", "loss", "python"]  # as in Keras
