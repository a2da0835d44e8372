"""Trainings of Lightning's in two processes, for `test_lightning_processes.py`: each writes what it saw to a file.

Started as a script, once for each process, with a folder.
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import lightning
import torch

import onlooker as ol

FOLDER = Path(sys.argv[1] if __name__ == "__main__" else "")  # only looked at when tests are gathered
HOOKS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_end", "on_epoch_end")


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def training_step(self, batch):
        return self.layer(batch).square().mean()

    def validation_step(self, batch):
        self.log("val_rank", float(self.trainer.global_rank), sync_dist=True)


class Watch(ol.Callback):
    """Asks to stop in one hook, in the second process only; that of a batch in the second batch of the second epoch."""

    def __init__(self, stops_in):
        self.stops_in, self.calls, self.last = stops_in, [], {}

    def look(self, hook):
        self.calls.append(hook)
        is_time = hook != "on_train_batch_end" or (self.run.epoch, self.run.batch) == (1, 1)
        if hook == self.stops_in and self.run.rank == 1 and is_time:
            self.run.stop("rank 1 has seen enough")

    def on_train_begin(self, logs):
        self.look("on_train_begin")

    def on_epoch_begin(self, epoch, logs):
        self.look("on_epoch_begin")

    def on_train_batch_end(self, batch, logs):
        self.look("on_train_batch_end")

    def on_test_end(self, logs):
        self.look("on_test_end")

    def on_epoch_end(self, epoch, logs):
        self.last = dict(logs)
        self.look("on_epoch_end")

    def on_train_end(self, logs):
        run = self.run
        told = {name: getattr(run, name) for name in ("rank", "world_size", "outcome", "reason", "stopped_by", "step")}
        (FOLDER / f"{self.stops_in} {run.rank}").write_text(
            json.dumps({**told, "calls": self.calls, "logs": self.last})
        )


class First(ol.Callback):
    """Runs in the first process only, and saves there."""

    only_on = "rank 0"

    def on_epoch_end(self, epoch, logs):
        (FOLDER / f"first {self.run.rank}").touch()
        self.run.save(FOLDER / "run.ckpt")


def train(stops_in):
    torch.manual_seed(0)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=3,
        callbacks=[ol.for_lightning(Watch(stops_in)), ol.for_lightning(First())],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = torch.utils.data.DataLoader(torch.randn(24, 2), batch_size=4)
    trainer.fit(Module(), loader, loader)


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    for hook in HOOKS:
        train(hook)
