"""A training of two epochs, with a validation in each, in each foreign trainer that takes callbacks of its own kind."""

import catboost
import lightgbm
import lightning
import numpy as np
import torch
import transformers
import xgboost

import onlooker as ol

X = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)
EPOCHS = 2


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, index):
        return self.layer(batch).square().mean()

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, inputs, labels=None):
        outputs = self.layer(inputs)
        return {"loss": torch.nn.functional.cross_entropy(outputs, labels), "logits": outputs}


def in_lightning(directory, callbacks):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    trainer = lightning.Trainer(max_epochs=EPOCHS, accelerator="cpu", callbacks=callbacks, **quiet)
    loader = torch.utils.data.DataLoader(torch.tensor(X), batch_size=16)
    trainer.fit(Module(), loader, loader)


def in_transformers(directory, callbacks):
    arguments = transformers.TrainingArguments(
        str(directory),
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        num_train_epochs=EPOCHS,
        eval_strategy="epoch",
        save_strategy="no",
    )
    data = [{"inputs": torch.tensor(row), "labels": torch.tensor(label)} for row, label in zip(X, Y, strict=True)]
    trainer = transformers.Trainer(
        Classifier(), arguments, train_dataset=data, eval_dataset=data[:8], callbacks=callbacks
    )
    trainer.train()


def in_xgboost(directory, callbacks):
    data, held_out = xgboost.DMatrix(X[:20], Y[:20]), xgboost.DMatrix(X[20:], Y[20:])
    xgboost.train({}, data, EPOCHS, evals=[(held_out, "eval")], verbose_eval=False, callbacks=callbacks)


def in_lightgbm(directory, callbacks):
    data = lightgbm.Dataset(X[:20], Y[:20])
    held_out = data.create_valid(X[20:], Y[20:])
    lightgbm.train({"verbosity": -1}, data, EPOCHS, valid_sets=[held_out], callbacks=callbacks)


def in_catboost(directory, callbacks):
    booster = catboost.CatBoostClassifier(iterations=EPOCHS, verbose=False, allow_writing_files=False)
    booster.fit(X[:20], Y[:20], eval_set=(X[20:], Y[20:]), callbacks=callbacks)


TRAININGS = {
    ol.for_lightning: in_lightning,
    ol.for_transformers: in_transformers,
    ol.for_xgboost: in_xgboost,
    ol.for_lightgbm: in_lightgbm,
    ol.for_catboost: in_catboost,
}
"""By adapter, the training that it is for."""
