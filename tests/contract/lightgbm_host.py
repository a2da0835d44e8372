"""The row of LightGBM: trees that are boosted by `lightgbm.train`."""

import lightgbm
import numpy as np
from lightgbm.callback import EarlyStopException
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.lightgbm import LIGHTGBM


class Subject:
    """What is trained: parameters, and the booster once there is one."""

    def __init__(self, number):
        self.params = {
            "objective": "multiclass",
            "num_class": 2,
            "metric": ["multi_logloss", "multi_error"],
            "learning_rate": LightGBMHost.learning_rate,
            "boost_from_average": False,
            "num_leaves": 4,
            "min_data_in_leaf": 2,
            "min_data_in_bin": 1,
            "num_threads": 1,
            "seed": number,
            "verbosity": -1,
        }
        self.booster = None


def keeper(subject):
    """Return a callback of LightGBM's own kind that gives the subject its booster."""

    def keep(env):
        subject.booster = env.model

    keep.before_iteration = True
    return keep


class LightGBMHost(Row):
    """LightGBM."""

    name = "LightGBM"
    declaration = LIGHTGBM
    file_name = "run.txt"
    values = ("loss", "multi_error")
    learning_rate = 0.3
    resting_rate = 1e-300  # it refuses 0
    stands_alone = frozenset()
    lacks = {  # noqa: RUF012 - nobody writes to it
        "line": "a booster of trees is no linear model",
        "draw": "LightGBM draws from generators of its own that Python cannot reach",
        "keras_callbacks": "Keras' callbacks run in Keras, Loop and Trainer",
        "no_epoch": "LightGBM refuses to train no round at all",
    }

    def make(self, number=0):
        np.random.seed(number)  # from which `draw` draws
        return Subject(number)

    def model_of(self, subject):
        return subject.booster

    def state_of(self, subject):
        text = "" if subject.booster is None else subject.booster.model_to_string(num_iteration=-1)
        return [np.frombuffer(text.partition("end of trees")[0].encode(), dtype="uint8")]

    def trained_of(self, subject):
        return [subject.booster.predict(X, raw_score=True)]

    def use(self, model):
        return model.predict(X)

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        def run_user(env):
            user(env.iteration, 0)

        done = 0 if resume is None else lightgbm.Booster(model_file=resume).current_iteration()
        data = lightgbm.Dataset(X, Y)
        others = [data.create_valid(HELD_OUT_X, HELD_OUT_Y)] if validation else []
        subject.booster = lightgbm.train(
            subject.params,
            data,
            epochs - done,
            valid_sets=[data, *others],
            valid_names=["train", "eval"][: 1 + validation],
            init_model=resume,
            callbacks=[
                keeper(subject),
                ol.for_lightgbm(*callbacks, resume=resume),
                *([] if user is None else [run_user]),
            ],
        )

    def evaluate_within(self, subject):
        names = {"multi_logloss": "loss", "multi_error": "multi_error"}
        return {names[metric]: float(value) for _, metric, value, _ in subject.booster.eval_valid()}

    def stop_by_user(self, subject):
        raise EarlyStopException(subject.booster.current_iteration() - 1, [])
