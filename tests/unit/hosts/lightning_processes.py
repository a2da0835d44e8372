"""Trainings of Lightning's in two processes, for `test_lightning_processes.py`: each writes what it saw to a file.

Started as a script, once for each process, with a folder.
"""

import logging
import sys
import warnings
from pathlib import Path

import lightning
import torch
from tests.unit.hosts.two_processes import HOOKS, Watch

import onlooker as ol

FOLDER = Path(sys.argv[1] if __name__ == "__main__" else "")  # only looked at when tests are gathered


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
        callbacks=[ol.for_lightning(Watch(FOLDER / stops_in, stops_in)), ol.for_lightning(First())],
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
