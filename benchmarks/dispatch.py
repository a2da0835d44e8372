"""Both batch hooks with eight listening callbacks, and with nobody listening: Onlooker and its peers.

The unit is a loop of direct method calls, `for callback in callbacks: callback.on_train_batch_end(batch, logs)`, for
both hooks. For comparison, the same sixteen calls written out one after another, which nobody writes. The eight
callbacks are of one class, which the interpreter calls faster, with us and by hand, than eight of different classes;
these are measured against a loop over eight of different classes. Where nobody listens, eight callbacks are attached.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import onlooker as ol
from benchmarks._paired import compare
from benchmarks._results import as_ratio, keep
from onlooker.core.dispatch import Dispatcher

os.environ.setdefault("KERAS_BACKEND", "torch")
BATCHES = 200
LOGS = {"loss": 0.5}
Work = Callable[[], None]


def make_class() -> type[ol.Callback]:
    """A class of its own, as the callbacks in a training are."""

    class Listens(ol.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            pass

        def on_train_batch_end(self, batch, logs=None):
            pass

    return Listens


Listens = make_class()


class Warns(Listens):
    on_error = "warn"


def in_a_loop(callbacks: list[Any]) -> Work:
    def work() -> None:
        for batch in range(BATCHES):
            for callback in callbacks:
                callback.on_train_batch_begin(batch, LOGS)
            for callback in callbacks:
                callback.on_train_batch_end(batch, LOGS)

    return work


def written_out(callbacks: list[Any]) -> Work:
    a, b, c, d, e, f, g, h = callbacks

    def work() -> None:
        for batch in range(BATCHES):
            a.on_train_batch_begin(batch, LOGS)
            b.on_train_batch_begin(batch, LOGS)
            c.on_train_batch_begin(batch, LOGS)
            d.on_train_batch_begin(batch, LOGS)
            e.on_train_batch_begin(batch, LOGS)
            f.on_train_batch_begin(batch, LOGS)
            g.on_train_batch_begin(batch, LOGS)
            h.on_train_batch_begin(batch, LOGS)
            a.on_train_batch_end(batch, LOGS)
            b.on_train_batch_end(batch, LOGS)
            c.on_train_batch_end(batch, LOGS)
            d.on_train_batch_end(batch, LOGS)
            e.on_train_batch_end(batch, LOGS)
            f.on_train_batch_end(batch, LOGS)
            g.on_train_batch_end(batch, LOGS)
            h.on_train_batch_end(batch, LOGS)

    return work


def onlooker(callbacks: list[ol.Callback]) -> Work:
    dispatcher = Dispatcher(callbacks)

    def work() -> None:
        for batch in range(BATCHES):
            dispatcher.on_train_batch_begin(batch, LOGS)
            dispatcher.on_train_batch_end(batch, LOGS)

    return work


def keras(count: int) -> Work:
    from keras.callbacks import Callback, CallbackList

    class Hears(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            pass

        def on_train_batch_end(self, batch, logs=None):
            pass

    callbacks = CallbackList([Hears() for _ in range(count)] or [Callback() for _ in range(8)])
    callbacks.on_train_begin()

    def work() -> None:
        for batch in range(BATCHES):
            callbacks.on_train_batch_begin(batch, LOGS)
            callbacks.on_train_batch_end(batch, LOGS)

    return work


def ignite(count: int) -> Work:
    from ignite.engine import Engine, Events

    engine = Engine(lambda engine, batch: None)
    for _ in range(count):
        engine.add_event_handler(Events.ITERATION_STARTED, lambda engine: None)
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: None)

    def work() -> None:
        for _ in range(BATCHES):
            engine.fire_event(Events.ITERATION_STARTED)
            engine.fire_event(Events.ITERATION_COMPLETED)

    return work


def pluggy(count: int) -> Work:
    from pluggy import HookimplMarker, HookspecMarker, PluginManager

    implements = HookimplMarker("benchmark")

    class Specification:
        @HookspecMarker("benchmark")
        def on_train_batch_begin(self, batch, logs):
            pass

        @HookspecMarker("benchmark")
        def on_train_batch_end(self, batch, logs):
            pass

    class Plugin:
        @implements
        def on_train_batch_begin(self, batch, logs):
            pass

        @implements
        def on_train_batch_end(self, batch, logs):
            pass

    manager = PluginManager("benchmark")
    manager.add_hookspecs(Specification)
    for _ in range(count):
        manager.register(Plugin())
    hook = manager.hook

    def work() -> None:
        for batch in range(BATCHES):
            hook.on_train_batch_begin(batch=batch, logs=LOGS)
            hook.on_train_batch_end(batch=batch, logs=LOGS)

    return work


def skorch(count: int) -> Work:
    import torch
    from skorch import NeuralNet
    from skorch.callbacks import Callback

    class Hears(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **named):
            pass

        def on_batch_end(self, net, batch=None, training=None, **named):
            pass

    class Net(NeuralNet):
        def get_default_callbacks(self):
            return []

    module = torch.nn.Linear(1, 1)
    callbacks = [(f"hears_{number}", Hears()) for number in range(count)]
    net = Net(module, criterion=torch.nn.MSELoss, callbacks=callbacks).initialize()
    net.history.new_epoch()

    def work() -> None:
        for _ in range(BATCHES):
            net.notify("on_batch_begin", batch=None, training=True)
            net.notify("on_batch_end", batch=None, training=True)

    return work


def transformers(count: int) -> Work:
    from transformers import TrainerCallback, TrainerControl, TrainerState
    from transformers.trainer_callback import CallbackHandler

    class Hears(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            pass

        def on_step_end(self, args, state, control, **kwargs):
            pass

    logging.getLogger("transformers").setLevel(logging.ERROR)
    handler = CallbackHandler([Hears() for _ in range(count)], None, None, None, None)
    state, control = TrainerState(), TrainerControl()

    def work() -> None:
        for _ in range(BATCHES):
            handler.on_step_begin(None, state, control)
            handler.on_step_end(None, state, control)

    return work


def lightning(count: int) -> Work:
    import pytorch_lightning as lightning
    from pytorch_lightning.trainer.call import _call_callback_hooks

    class Hears(lightning.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            pass

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            pass

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        callbacks=[Hears() for _ in range(count)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.strategy.connect(lightning.LightningModule())

    def work() -> None:
        for batch in range(BATCHES):
            _call_callback_hooks(trainer, "on_train_batch_start", None, batch)
            _call_callback_hooks(trainer, "on_train_batch_end", None, None, batch)

    return work


PEERS = {
    "Keras CallbackList": keras,
    "Ignite": ignite,
    "pluggy": pluggy,
    "skorch": skorch,
    "Transformers": transformers,
    "Lightning": lightning,
}
GOALS = {'Onlooker, on_error="raise"': "≤ 1.5, nobody ≤ 0.4", 'Onlooker, on_error="warn"': "≤ 1.5"}
PACKAGES = ("keras", "pytorch-ignite", "pluggy", "skorch", "transformers", "pytorch-lightning", "torch")


def make_row(name: str, eight: Any, none: Any = None, out: float | None = None) -> dict[str, str]:
    """A row of the table, from summaries; a peer that is missing has words instead."""
    return {
        "": name,
        "8 listen, × a loop of direct calls": eight if isinstance(eight, str) else as_ratio(eight),
        "× the calls written out": f"{eight['cpu']['ratio'] / out:.2f}" if out and eight else "",
        "nobody listens, × 8 direct calls": f"{none['cpu']['ratio']:.2f}" if none else "",
        "goal": GOALS.get(name, ""),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    callbacks = [Listens() for _ in range(8)]
    different = [make_class()() for _ in range(8)]
    works: dict[str, Work] = {
        "written out": written_out(callbacks),
        "raise": onlooker([Listens() for _ in range(8)]),
        "warn": onlooker([Warns() for _ in range(8)]),
        "nobody": onlooker([ol.Callback() for _ in range(8)]),
    }
    missing = {}
    for name, make in PEERS.items():
        try:
            works |= {f"{name}, 8": make(8), f"{name}, 0": make(0)}
        except ImportError as error:
            missing[name] = f"not installed ({error.name})"
    found = {name: ratios.summary(BATCHES) for name, ratios in compare(in_a_loop(callbacks), works, 60).items()}
    apart = compare(in_a_loop(different), {"ours": onlooker([make_class()() for _ in range(8)])}, 60)["ours"]
    out = found["written out"]["cpu"]["ratio"]
    rows = [
        make_row('Onlooker, on_error="raise"', found["raise"], found["nobody"], out),
        make_row('Onlooker, on_error="warn"', found["warn"], None, out),
        make_row("Onlooker, eight different classes", apart.summary(BATCHES)),
        make_row("the calls written out", found["written out"], None, out),
    ]
    for name in PEERS:
        if name in missing:
            rows.append(make_row(name, missing[name]))
        else:
            rows.append(make_row(name, found[f"{name}, 8"], found[f"{name}, 0"], out))
    keep("dispatch", "Dispatch: both batch hooks", __doc__.partition("\n\n")[2].strip(), rows, PACKAGES)


if __name__ == "__main__":
    main()
