"""Trainings of Transformers' in two processes, for `test_transformers_processes.py`: each writes what it saw to a file.

Started as a script, once for each process, with a folder.
"""

import sys
import warnings
from pathlib import Path

import torch
import transformers
from tests.unit.hosts.two_processes import HOOKS, Watch

import onlooker as ol

FOLDER = Path(sys.argv[1] if __name__ == "__main__" else "")  # only looked at when tests are gathered


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x, labels=None, num_items_in_batch=None, **others):
        errors = (self.layer(x).squeeze(-1) - labels) ** 2
        loss = errors.mean() if num_items_in_batch is None else errors.sum() / num_items_in_batch
        return {"loss": loss, "logits": errors}


class InOrder(transformers.Trainer):
    def _get_train_sampler(self, *given, **named):
        return torch.utils.data.SequentialSampler(self.train_dataset)


class WatchMore(Watch):
    """Tells each batch's loss too, and has a state of its own in each process."""

    def on_train_begin(self, logs):
        self.losses = []
        super().on_train_begin(logs)

    def on_train_batch_end(self, batch, logs):
        self.losses.append(logs.batch["loss"])
        super().on_train_batch_end(batch, logs)

    def more(self):
        return {"losses": self.losses, "native": self.run.native_logs}

    def state_dict(self):
        return {"rank": self.run.rank}

    def load_state_dict(self, state):
        self.calls.append(f"state of {state['rank']}")


class First(ol.Callback):
    """Runs in the first process only, and saves there."""

    only_on = "rank 0"

    def on_epoch_end(self, epoch, logs):
        (FOLDER / f"first {self.run.rank}").touch()
        self.run.save(FOLDER / "saved")


def train(watch, *, resume=None, **settings):
    defaults = {"num_train_epochs": 3, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 2}
    defaults |= {"eval_strategy": "epoch", "save_strategy": "no", "logging_strategy": "no", "learning_rate": 0.01}
    args = transformers.TrainingArguments(
        str(FOLDER / watch.path.name), report_to=[], disable_tqdm=True, use_cpu=True, **{**defaults, **settings}
    )
    data = [{"x": torch.tensor([number / 12, 1.0]), "labels": torch.tensor(float(number % 5))} for number in range(12)]
    trainer = InOrder(
        Line(), args, train_dataset=data, eval_dataset=data[:8], callbacks=[ol.for_transformers(watch, First())]
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for hook in HOOKS:
        train(WatchMore(FOLDER / hook, hook))
    train(WatchMore(FOLDER / "accumulated", "on_train_batch_end"), gradient_accumulation_steps=3, learning_rate=0.0)
    train(WatchMore(FOLDER / "whole"), save_strategy="steps", save_steps=4)
    train(WatchMore(FOLDER / "resumed"), resume=str(FOLDER / "whole" / "checkpoint-4"))
    torch.distributed.destroy_process_group()
