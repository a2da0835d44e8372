"""The row of `transformers.Trainer`: the module of the PyTorch rows, in a model that gives loss and logits."""

import os
import tempfile

import torch
import transformers
from tests.contract.data import BATCH_SIZE, HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.contract.torch_hosts import TorchHost

import onlooker as ol
from onlooker.hosts.declared.transformers import TRANSFORMERS


class LossAndLogits(torch.nn.Module):
    """A module as Transformers wants it."""

    def __init__(self, inner, loss):
        super().__init__()
        self.inner, self.loss = inner, loss

    def forward(self, x, labels=None):
        logits = self.inner(x)
        return {"logits": logits} if labels is None else {"loss": self.loss(logits, labels), "logits": logits}


class InOrder(transformers.Trainer):
    """Takes the data as they stand, and has a line of the user's in each step."""

    user = None
    steps = 0

    def _get_train_sampler(self, *given, **named):
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, *given, **named):
        if self.user is not None and self.model.training:
            self.user(*divmod(self.steps, 3))
            self.steps += 1
        return super().compute_loss(*given, **named)


def examples(x, y):
    return [{"x": torch.tensor(inputs), "labels": torch.tensor(target)} for inputs, target in zip(x, y, strict=True)]


class TransformersHost(TorchHost):
    """Transformers."""

    name = "Transformers"
    declaration = TRANSFORMERS
    file_name = "checkpoint"
    values = ("loss",)
    lacks = {"keras_callbacks": "Keras' callbacks run in Keras, Loop and Trainer"}  # noqa: RUF012 - nobody writes to it

    def make(self, number=0):
        return self._fitted(super().make(number))

    def make_line(self):
        return self._fitted(super().make_line())

    def _fitted(self, subject):
        subject.module = LossAndLogits(subject.module, subject.loss)
        return subject

    def line(self, subject):
        layer = subject.module.inner[0]
        return layer.weight.detach().numpy()[0], layer.bias.detach().numpy()[0]

    def use(self, model):
        return model(torch.tensor(X))["logits"].detach().numpy()

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        trainer = self._trainer(subject, callbacks, epochs=epochs, validation=validation)
        trainer.user = user
        trainer.train(resume_from_checkpoint=None if resume is None else os.fspath(resume))

    def evaluate(self, subject, callbacks):
        return self._evaluate(self._trainer(subject, callbacks))

    def predict(self, subject, callbacks):
        self._trainer(subject, callbacks).predict(examples(HELD_OUT_X, HELD_OUT_Y))

    def evaluate_within(self, subject):
        return self._evaluate(self.trainer)

    def stop_by_user(self, subject):
        self.trainer.control.should_training_stop = True

    def _evaluate(self, trainer):
        metrics = trainer.evaluate()
        return {"loss": metrics["eval_loss"]}

    def _trainer(self, subject, callbacks, epochs=2, validation=True):
        args = transformers.TrainingArguments(
            output_dir=os.path.join(tempfile.gettempdir(), "onlooker-contract"),
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE,
            lr_scheduler_type="constant",
            eval_strategy="epoch" if validation else "no",
            save_strategy="no",
            logging_strategy="epoch",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        state = torch.get_rng_state()
        self.trainer = InOrder(
            subject.module,
            args,
            train_dataset=examples(X, Y),
            eval_dataset=examples(HELD_OUT_X, HELD_OUT_Y),
            callbacks=[ol.for_transformers(*callbacks)],
            optimizers=(subject.optimizer, None),
        )
        torch.set_rng_state(state)  # the trainer has seeded anew
        self.trainer.accelerator.free_memory = lambda *given: given  # it collects garbage, which here takes a second
        self.trainer.remove_callback(transformers.PrinterCallback)
        return self.trainer
