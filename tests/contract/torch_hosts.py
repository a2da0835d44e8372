"""The rows of the hosts that train PyTorch modules: `Loop`, `Trainer`, and Keras' kind of callbacks in `Loop`."""

import keras
import torch
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y, batches_of
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.loop import LOOP
from onlooker.hosts.declared.trainer import TRAINER


def tensors(x, y):
    return [(torch.tensor(inputs), torch.tensor(targets)) for inputs, targets in batches_of(x, y)]


def accuracy(outputs, targets):
    return (outputs.argmax(1) == targets).float().mean()


class Subject:
    """What is trained, with all that belongs to it."""

    def __init__(self, module, optimizer, loss, metrics):
        self.module, self.optimizer, self.loss, self.metrics = module, optimizer, loss, metrics


class Epochs:
    """A loader of the user's, whose code is called before each batch is given."""

    def __init__(self, batches, user):
        self._batches, self._user, self._epoch = batches, user, -1

    def __len__(self):
        return len(self._batches)

    def __iter__(self):
        self._epoch += 1
        for index, batch in enumerate(self._batches):
            self._user(self._epoch, index)
            yield batch


class TorchHost(Row):
    """What the hosts of modules have in common."""

    def make(self, number=0):
        torch.manual_seed(3)
        module = torch.nn.Sequential(
            torch.nn.Linear(4, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(8, 2),
        )
        optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
        return Subject(module, optimizer, torch.nn.CrossEntropyLoss(), {"accuracy": accuracy})

    def make_line(self):
        torch.manual_seed(5)
        module = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
        return Subject(module, optimizer, lambda out, target: torch.nn.functional.mse_loss(out, target.float()), {})

    def line(self, subject):
        layer = subject.module[0]
        return layer.weight.detach().numpy()[0], layer.bias.detach().numpy()[0]

    def model_of(self, subject):
        return subject.module

    def state_of(self, subject):
        slots = subject.optimizer.state_dict()["state"].values()
        found = [*subject.module.state_dict().values(), *(value for slot in slots for value in slot.values())]
        return [torch.as_tensor(value).numpy().copy() for value in found]

    def use(self, model):
        return model(torch.tensor(X)).detach().numpy()

    def draw(self):
        return torch.rand(3).numpy()

    def as_array(self, weight):
        return weight.detach().numpy()

    def trained_of(self, subject):
        return [parameter.detach().numpy().copy() for parameter in subject.module.parameters()]


class LoopHost(TorchHost):
    """A hand-written loop."""

    name = "Loop"
    declaration = LOOP

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        with ol.Loop(subject.module, subject.optimizer, callbacks, resume=resume) as self.loop:
            for epoch in self.loop.epochs(epochs):
                for batch, (x, y) in enumerate(self.loop.train(tensors(X, Y))):
                    if user is not None:
                        user(epoch, batch)
                    loss = self._log(subject, x, y)
                    subject.optimizer.zero_grad()
                    loss.backward()
                    subject.optimizer.step()
                if validation:
                    self._test(subject)

    def evaluate(self, subject, callbacks):
        with ol.Loop(subject.module, subject.optimizer, callbacks) as self.loop:
            return self._test(subject)

    def predict(self, subject, callbacks):
        with ol.Loop(subject.module, subject.optimizer, callbacks) as self.loop:
            for x, _ in self.loop.predict(tensors(HELD_OUT_X, HELD_OUT_Y)):
                self.loop.outputs = subject.module(x)

    def evaluate_within(self, subject):
        return self._test(subject)

    def stop_by_user(self, subject):
        self.loop.stop("the user")

    def _test(self, subject):
        stage = self.loop.test(tensors(HELD_OUT_X, HELD_OUT_Y))
        for x, y in stage:
            self._log(subject, x, y)
        return stage.logs

    def _log(self, subject, x, y):
        outputs = subject.module(x)
        loss = subject.loss(outputs, y)
        self.loop.outputs = outputs
        self.loop.log({name: metric(outputs, y) for name, metric in subject.metrics.items()})
        self.loop.log(loss=loss)
        return loss


class TrainerHost(TorchHost):
    """The trainer."""

    name = "Trainer"
    declaration = TRAINER

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        self._trainer(subject)
        data = tensors(X, Y)
        self.trainer.fit(
            data if user is None else Epochs(data, user),
            epochs,
            validation=tensors(HELD_OUT_X, HELD_OUT_Y) if validation else None,
            callbacks=callbacks,
            resume=resume,
        )

    def evaluate(self, subject, callbacks):
        return self._trainer(subject).evaluate(tensors(HELD_OUT_X, HELD_OUT_Y), callbacks=callbacks)

    def predict(self, subject, callbacks):
        self._trainer(subject).predict(tensors(HELD_OUT_X, HELD_OUT_Y), callbacks=callbacks)

    def evaluate_within(self, subject):
        return self.trainer.evaluate(tensors(HELD_OUT_X, HELD_OUT_Y))

    def stop_by_user(self, subject):
        subject.module.stop_training = True

    def _trainer(self, subject):
        self.trainer = ol.Trainer(
            subject.module, loss=subject.loss, optimizer=subject.optimizer, metrics=subject.metrics
        )
        return self.trainer


class KerasCallbackInLoop(LoopHost):
    """Callbacks derived from `keras.callbacks.Callback`, in a hand-written loop."""

    name = "Keras' callbacks in Loop"
    base = keras.callbacks.Callback
    has_run = False
