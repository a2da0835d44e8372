"""Tiny trainers for these tests: a linear model with squared error on twelve examples, in batches of three."""

import random

import numpy as np
import torch
import transformers
from tests.recorder import Recorder

import onlooker as ol

X = np.random.default_rng(1).normal(size=(12, 4)).astype("float32")
Y = X.sum(axis=1)


class Line(torch.nn.Module):
    """A linear model that gives loss and logits."""

    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(3)
        self.linear = torch.nn.Linear(4, 1)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, x, labels=None):
        logits = self.linear(self.dropout(x)).squeeze(-1)
        return {"logits": logits} if labels is None else {"loss": ((logits - labels) ** 2).mean(), "logits": logits}


def examples(count=12):
    return [{"x": torch.tensor(x), "labels": torch.tensor(y)} for x, y in zip(X[:count], Y[:count], strict=True)]


class Streamed(torch.utils.data.IterableDataset):
    """Examples without a length."""

    def __init__(self, count=12):
        self.count = count

    def __iter__(self):
        return iter(examples(self.count))


class InOrder(transformers.Trainer):
    """Takes the data as they stand."""

    def _get_train_sampler(self, *given, **named):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def make_trainer(
    tmp_path, *adapters, kind=InOrder, model=None, data=None, held_out=None, native=(), metrics=None, **settings
):
    """Return a trainer of two epochs of four batches."""
    defaults = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 3,
        "per_device_eval_batch_size": 3,
        "learning_rate": 0.05,
        "lr_scheduler_type": "constant",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }
    random.seed(0)
    trainer = kind(
        Line() if model is None else model,
        transformers.TrainingArguments(str(tmp_path), **{**defaults, **settings}),
        train_dataset=examples() if data is None else data,
        eval_dataset=examples(6) if held_out is None else held_out,
        compute_metrics=metrics,
        callbacks=[*native, *adapters],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.accelerator.free_memory = lambda *given: given  # it collects garbage, which takes long
    return trainer


def recorded(tmp_path, **settings):
    """Return a trainer and a recorder in it."""
    seen = Recorder()
    return make_trainer(tmp_path, ol.for_transformers(seen), **settings), seen


def short(seen):
    """Return the hooks of a recorder as signs: `E0` and `e0` for an epoch, `b0` for a batch; no begins of batches."""
    words = {
        "on_train_begin": "[",
        "on_train_end": "]",
        "on_epoch_begin": "E",
        "on_epoch_end": "e",
        "on_train_batch_end": "b",
        "on_test_begin": "(",
        "on_test_batch_end": "t",
        "on_test_end": ")",
        "on_predict_begin": "<",
        "on_predict_batch_end": "p",
        "on_predict_end": ">",
    }
    found = ((words.get(event.hook), event.index) for event in seen.check(first_epoch_of(seen)).events)
    return " ".join(f"{word}{'' if index is None else index}" for word, index in found if word)


def first_epoch_of(seen):
    return next((event.index for event in seen.of("on_epoch_begin")), 0)
