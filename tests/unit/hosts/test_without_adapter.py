"""Each trainer, given a callback of ours as it is, ends with a word that says which adapter it should have had."""

import catboost
import lightgbm
import lightning
import numpy as np
import pytest
import torch
import transformers
import xgboost

import onlooker as ol

X = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)


class Watch(ol.Callback):
    def on_epoch_end(self, epoch, logs):
        pass


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, index):
        return self.layer(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def in_lightning(directory):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", callbacks=[Watch()], **quiet)
    trainer.fit(Module(), [torch.tensor(X)])


def in_transformers(directory):
    arguments = transformers.TrainingArguments(str(directory), report_to=[], use_cpu=True, disable_tqdm=True)
    transformers.Trainer(torch.nn.Linear(3, 1), arguments, train_dataset=[0], callbacks=[Watch()])


def in_lightgbm(directory):
    lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 2, callbacks=[Watch()])


def in_catboost(directory):
    booster = catboost.CatBoostClassifier(iterations=2, verbose=False, allow_writing_files=False)
    booster.fit(X, Y, callbacks=[Watch()])


@pytest.mark.parametrize("run", [in_lightning, in_transformers, in_lightgbm, in_catboost], ids=lambda run: run.__name__)
def test_it_says_which_adapter(run, tmp_path):
    name = run.__name__.removeprefix("in_")
    with pytest.raises(Exception, match=rf"callbacks=\[onlooker\.for_{name}\(Watch\(\)\)\]"):
        run(tmp_path)


def test_xgboost_has_a_word_of_its_own(tmp_path):
    """It asks for the type, and nothing of ours."""
    with pytest.raises(TypeError, match="must be an instance of `TrainingCallback`"):
        xgboost.train({}, xgboost.DMatrix(X, Y), 2, callbacks=[Watch()])
