"""The row of XGBoost: trees that are boosted by `xgboost.train`."""

import numpy as np
import xgboost
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.xgboost import XGBOOST


class Subject:
    """What is trained: parameters, and the booster once there is one.

    Callbacks see it as `seen`: `xgboost.train` of before 3.0 returns a copy.
    """

    def __init__(self, number):
        self.parameters = {
            "objective": "multi:softprob",
            "num_class": 2,
            "eval_metric": ["mlogloss", "merror"],
            "learning_rate": XGBoostHost.learning_rate,
            "max_depth": 2,
            "min_child_weight": 0,
            "nthread": 1,
            "seed": number,
        }
        self.booster = self.seen = None
        self.is_stopped = False


class Keeper(xgboost.callback.TrainingCallback):
    """A callback of XGBoost's own: gives the subject its booster, and stops as the user would."""

    def __init__(self, subject):
        super().__init__()
        self._subject = subject

    def before_training(self, model):
        self._subject.booster = self._subject.seen = model
        return model

    def before_iteration(self, model, epoch, evals_log):
        return self._subject.is_stopped


class XGBoostHost(Row):
    """XGBoost."""

    name = "XGBoost"
    declaration = XGBOOST
    file_name = "run.ubj"
    values = ("loss", "merror")
    learning_rate = 0.3
    stands_alone = frozenset()
    lacks = {  # noqa: RUF012 - nobody writes to it
        "line": "a booster of trees is no linear model",
        "draw": "XGBoost draws from a generator of its own that Python cannot reach",
        "keras_callbacks": "Keras' callbacks run in Keras, Loop and Trainer",
    }

    def make(self, number=0):
        np.random.seed(3)  # from which `draw` draws
        return Subject(number)

    def model_of(self, subject):
        return subject.seen

    def state_of(self, subject):
        return [] if subject.booster is None else [np.frombuffer(subject.booster.save_raw("ubj"), dtype="uint8")]

    def trained_of(self, subject):
        margins = subject.booster.predict(xgboost.DMatrix(X), output_margin=True)
        return [margins - margins[0]]  # what the trees tell apart, without the score from which they start

    def use(self, model):
        return model.predict(xgboost.DMatrix(X))

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        data = xgboost.DMatrix(X, label=Y)
        evaluated = [(data, "train")]
        if validation:
            evaluated.append((xgboost.DMatrix(HELD_OUT_X, label=HELD_OUT_Y), "eval"))
        rounds_done = [0]

        def metric(predicted, of):
            if of is data:
                user(rounds_done[0], 0)
                rounds_done[0] += 1
            return "users", 0.0

        done = 0
        if resume is not None:
            done = xgboost.Booster(model_file=str(resume)).num_boosted_rounds()
        subject.is_stopped = False
        subject.booster = xgboost.train(
            subject.parameters,
            data,
            epochs - done,
            evals=evaluated,
            verbose_eval=False,
            xgb_model=None if resume is None else str(resume),
            custom_metric=None if user is None else metric,
            callbacks=[Keeper(subject), ol.for_xgboost(*callbacks, resume=resume)],
        )

    def evaluate_within(self, subject):
        told = subject.booster.eval(xgboost.DMatrix(HELD_OUT_X, label=HELD_OUT_Y))
        found = dict(part.split(":") for part in told.split()[1:])
        return {"loss": float(found["eval-mlogloss"]), "merror": float(found["eval-merror"])}

    def stop_by_user(self, subject):
        subject.is_stopped = True
