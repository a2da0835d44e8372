"""The row of Lightning's `fit`, `validate` and `predict`."""

import copy
import signal
import warnings

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y, batches_of
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.lightning import LIGHTNING


class Batches:
    """A loader that draws nothing from the random generators.

    Args:
        user: called with epoch and batch before a batch is given, as code of the user's.
        first_epoch: with which the training begins.
    """

    def __init__(self, x, y, user=None, first_epoch=0):
        self._batches = [(torch.tensor(inputs), torch.tensor(targets)) for inputs, targets in batches_of(x, y)]
        self._user, self._epoch = user, first_epoch - 1

    def __len__(self):
        return len(self._batches)

    def __iter__(self):
        self._epoch += 1
        for index, batch in enumerate(self._batches):
            if self._user is not None:
                self._user(self._epoch, index)
            yield batch


class Classifier(lightning.LightningModule):
    """A module as people write it, that also returns its outputs."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(8, 2),
        )
        self.optimizer = torch.optim.Adam(self.parameters(), lr=0.05)

    def forward(self, x):
        return self.net(x)

    def configure_optimizers(self):
        return self.optimizer

    def training_step(self, batch):
        loss, accuracy, outputs = self.measure(batch)
        self.log("accuracy", accuracy, on_epoch=True)
        return {"loss": loss, "outputs": outputs}

    def validation_step(self, batch):
        loss, accuracy, outputs = self.measure(batch)
        self.log("val_accuracy", accuracy)
        self.log("val_loss", loss)
        return {"outputs": outputs}

    def predict_step(self, batch):
        return self(batch[0])

    def measure(self, batch):
        outputs = self(batch[0])
        accuracy = (outputs.argmax(1) == batch[1]).float().mean()
        return torch.nn.functional.cross_entropy(outputs, batch[1]), accuracy, outputs


class Line(Classifier):
    """A linear model that does not move, and that logs nothing but its loss."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.0)

    def training_step(self, batch):
        return self.measure(batch)

    def validation_step(self, batch):
        self.log("val_loss", self.measure(batch))

    def measure(self, batch):
        return torch.nn.functional.mse_loss(self(batch[0]), batch[1].float())


class LightningHost(Row):
    """Lightning."""

    name = "Lightning"
    declaration = LIGHTNING
    file_name = "run.ckpt"
    lacks = {"keras_callbacks": "Keras' callbacks run in Loop and in Trainer"}  # noqa: RUF012 - nobody writes to it

    def make(self, number=0):
        torch.manual_seed(3)
        return Classifier()

    def make_line(self):
        torch.manual_seed(5)
        return Line()

    def line(self, subject):
        return subject.net[0].weight.detach().numpy()[0], subject.net[0].bias.detach().numpy()[0]

    def model_of(self, subject):
        return subject

    def state_of(self, subject):
        slots = subject.optimizer.state_dict()["state"].values()
        found = [*subject.state_dict().values(), *(value for slot in slots for value in slot.values())]
        return [torch.as_tensor(value).numpy().copy() for value in found]

    def trained_of(self, subject):
        return [parameter.detach().numpy().copy() for parameter in subject.parameters()]

    def as_array(self, weight):
        return weight.detach().numpy()

    def use(self, model):
        return model(torch.tensor(X)).detach().numpy()

    def draw(self):
        return torch.rand(3).numpy()

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        loaders = [Batches(X, Y, user)]
        if validation:
            loaders.append(Batches(HELD_OUT_X, HELD_OUT_Y))
        self.run(lambda: self.trainer.fit(subject, *loaders, ckpt_path=resume), callbacks, max_epochs=epochs)

    def evaluate(self, subject, callbacks):
        loader = Batches(HELD_OUT_X, HELD_OUT_Y)
        [logs] = self.run(lambda: self.trainer.validate(subject, loader, verbose=False), callbacks)
        return {name.removeprefix("val_"): value for name, value in logs.items()}

    def predict(self, subject, callbacks):
        self.run(lambda: self.trainer.predict(subject, Batches(HELD_OUT_X, HELD_OUT_Y)), callbacks)

    def evaluate_within(self, subject):
        return type(self)().evaluate(copy.deepcopy(subject), [])

    def stop_by_user(self, subject):
        self.trainer.should_stop = True

    def run(self, act, callbacks, **settings):
        self.trainer = quiet_trainer([ol.for_lightning(*callbacks)], **settings)
        return run_quietly(act)


def quiet_trainer(callbacks, package=lightning, **settings):
    """Return a trainer that writes nothing and says nothing."""
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return package.Trainer(callbacks=list(callbacks), accelerator="cpu", **{**quiet, **settings})


def run_quietly(act):
    """Do something with a trainer; raise the Ctrl-C that Lightning has turned into its own exit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            return act()
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
