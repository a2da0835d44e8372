"""The row of CatBoost: trees that are boosted by `CatBoostClassifier.fit`."""

import catboost
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.catboost import CATBOOST


class Subject:
    """What is trained: a model for each number of rounds, since one that has been trained takes no other."""

    def __init__(self, number):
        self._number = number
        self._models = {}
        self.model = None

    def choose(self, rounds):
        """Take the model for so many rounds."""
        if rounds not in self._models:
            self._models[rounds] = catboost.CatBoostClassifier(
                iterations=rounds,
                custom_metric=["Accuracy"],
                depth=2,
                learning_rate=0.3,
                thread_count=1,
                random_seed=self._number,
                verbose=False,
                allow_writing_files=False,
            )
        self.model = self._models[rounds]
        return self.model


class CatBoostHost(Row):
    """CatBoost."""

    name = "CatBoost"
    declaration = CATBOOST
    values = ("loss", "Accuracy")
    stands_alone = frozenset()
    lacks = {  # noqa: RUF012 - nobody writes to it
        "line": "a booster of trees is no linear model",
        "draw": "CatBoost draws from a generator of its own that Python cannot reach",
        "keras_callbacks": "Keras' callbacks run in Keras, Loop and Trainer",
        "no_epoch": "CatBoost refuses to train no round at all",
        "user": "CatBoost makes a CatBoostError of what the user's own code raises",
    }

    def make(self, number=0):
        return Subject(number)

    def model_of(self, subject):
        return subject.model

    def state_of(self, subject):
        return self.trained_of(subject)

    def trained_of(self, subject):
        return [subject.model.predict(X, prediction_type="RawFormulaVal")]

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        subject.choose(epochs).fit(
            X,
            Y,
            eval_set=[(HELD_OUT_X, HELD_OUT_Y)] if validation else None,
            use_best_model=False,
            callbacks=[ol.for_catboost(*callbacks)],
        )
