"""A tiny PyTorch training with eight callbacks that do nothing: Onlooker and its peers.

The unit is the bare loop: a 64-64-10 MLP, batches of 32, SGD, one thread, `total += loss.item()`. Each candidate trains
the same model on the same batches, with eight callbacks that listen to both batch hooks; with Onlooker the loop's body
calls `loop.log(loss=loss)` instead. For comparison: the same loop that never reads the loss, and one that calls eight
callbacks itself, directly.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import onlooker as ol
from benchmarks._paired import Alternating
from benchmarks._results import as_ratio, keep
from benchmarks.dispatch import Listens

os.environ.setdefault("KERAS_BACKEND", "torch")
CHUNK = 50
criterion = nn.CrossEntropyLoss()
Batches = list[tuple[torch.Tensor, torch.Tensor]]


def build() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


def make_batches() -> Batches:
    torch.manual_seed(1)
    return [(torch.randn(32, 64), torch.randint(0, 10, (32,))) for _ in range(CHUNK)]


def bare(batches: Batches) -> Callable[[], float]:
    model, optimizer = build()

    def work() -> float:
        total = 0.0
        for x, y in batches:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return work


def never_read(loader: Alternating) -> None:
    model, optimizer = build()
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def by_hand(loader: Alternating) -> None:
    model, optimizer = build()
    callbacks, logs, total = [Listens() for _ in range(8)], {}, 0.0
    for batch, (x, y) in enumerate(loader):
        for callback in callbacks:
            callback.on_train_batch_begin(batch, logs)
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        for callback in callbacks:
            callback.on_train_batch_end(batch, logs)


def onlooker_loop(loader: Alternating, count: int = 8) -> None:
    model, optimizer = build()
    with ol.Loop(model, optimizer, callbacks=[Listens() for _ in range(count)]) as loop:
        for x, y in loop.train(loader):
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loop.log(loss=loss)


def onlooker_loop_alone(loader: Alternating) -> None:
    onlooker_loop(loader, 0)


def onlooker_trainer(loader: Alternating) -> None:
    model, optimizer = build()
    ol.Trainer(model, loss=criterion, optimizer=optimizer).fit(loader, callbacks=[Listens() for _ in range(8)])


def ignite(loader: Alternating) -> None:
    from ignite.engine import Engine, Events

    model, optimizer = build()

    def step(engine: Any, batch: Any) -> float:
        x, y = batch
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    engine = Engine(step)
    for _ in range(8):
        engine.add_event_handler(Events.ITERATION_STARTED, lambda engine: None)
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: None)
    engine.run(loader, max_epochs=1)


def lightning(loader: Alternating, callbacks: list[Any] | None = None) -> None:
    """With eight of Lightning's own callbacks, or with others."""
    import pytorch_lightning as lightning

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    model, optimizer = build()

    class Hears(lightning.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            pass

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            pass

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = model

        def training_step(self, batch, batch_idx):
            x, y = batch
            return criterion(self.model(x), y)

        def configure_optimizers(self):
            return optimizer

    lightning.Trainer(
        max_epochs=1,
        callbacks=[Hears() for _ in range(8)] if callbacks is None else callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    ).fit(Module(), loader)


def transformers(loader: Alternating, callbacks: list[Any] | None = None) -> None:
    """With eight of Transformers' own callbacks, or with others."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    logging.getLogger("transformers").setLevel(logging.ERROR)
    model, optimizer = build()

    class Hears(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            pass

        def on_step_end(self, args, state, control, **kwargs):
            pass

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x, labels):
            return {"loss": criterion(self.model(x), labels)}

    class Runs(Trainer):
        def get_train_dataloader(self):
            return _AsDicts(loader)

    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            directory,
            max_steps=len(loader),
            report_to=[],
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            max_grad_norm=0.0,
        )
        if callbacks is None:
            callbacks = [Hears() for _ in range(8)]
        Runs(Wrapped(), arguments, train_dataset=[0], optimizers=(optimizer, None), callbacks=callbacks).train()


class _AsDicts:
    def __init__(self, loader: Alternating) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Any:
        for x, y in self._loader:
            yield {"x": x, "labels": y}


def keras_torch(loader: Alternating) -> None:
    import keras

    class Hears(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            pass

        def on_train_batch_end(self, batch, logs=None):
            pass

    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((64,)), dense(64, activation="relu"), dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=loss)
    model.fit(iter(loader), steps_per_epoch=len(loader), verbose=0, callbacks=[Hears() for _ in range(8)])


CANDIDATES: dict[str, tuple[Callable[[Alternating], None], str]] = {
    "the bare loop, the loss never read": (never_read, ""),
    "by hand: eight direct calls at both hooks": (by_hand, ""),
    "Onlooker, Loop, 8 callbacks": (onlooker_loop, "≤ 1.05"),
    "Onlooker, Loop, nobody listens": (onlooker_loop_alone, ""),
    "Onlooker, Trainer, 8 callbacks": (onlooker_trainer, "≤ 1.15"),
    "Ignite, 8 callbacks": (ignite, ""),
    "Lightning, 8 callbacks": (lightning, ""),
    "Transformers, 8 callbacks": (transformers, ""),
    "Keras (torch), 8 callbacks": (keras_torch, ""),
}
PEERS = (ignite, lightning, transformers, keras_torch)
PACKAGES = ("torch", "pytorch-ignite", "pytorch-lightning", "transformers", "accelerate", "keras")


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    batches = make_batches()
    rows = []
    for name, (train, goal) in CANDIDATES.items():
        row = {"": name, "goal": goal}
        loader = Alternating(batches, bare(batches), CHUNK, chunks=30 if train in PEERS else 200)
        try:
            train(loader)
        except ImportError as error:
            row["× the bare loop"] = f"not installed ({error.name})"
            row["more µs a batch"] = ""
        else:
            summary = loader.ratios.summary(CHUNK)
            row["× the bare loop"] = as_ratio(summary)
            row["more µs a batch"] = f"{summary['us'] - summary['baseline_us']:.0f} on {summary['baseline_us']:.0f}"
        rows.append({key: row[key] for key in ("", "× the bare loop", "more µs a batch", "goal")})
    keep("loops", "A tiny training, 8 callbacks", __doc__.partition("\n\n")[2].strip(), rows, PACKAGES)


if __name__ == "__main__":
    main()
