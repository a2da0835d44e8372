"""The rows of `fit_sklearn`: one estimator in its two ways."""

import numpy as np
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPClassifier
from tests.contract.data import BATCH_SIZE, BATCHES, HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.sklearn import PARTIAL_FIT, WARM_START


class Network(MLPClassifier):
    """A network with code of the user's in each call."""

    user, calls, per_epoch = None, 0, BATCHES

    def partial_fit(self, X, y, **given):
        self._call_user()
        return super().partial_fit(X, y, **given)

    def fit(self, X, y, **given):
        self._call_user()
        return super().fit(X, y, **given)

    @classmethod
    def _call_user(cls):
        if cls.user is not None:
            cls.calls += 1
            cls.user(*divmod(cls.calls - 1, cls.per_epoch))


class SklearnHost(Row):
    """What the two ways have in common."""

    file_name = "run.pickle"
    way: str
    stands_alone = frozenset()

    def make(self, number=0):
        np.random.seed(3)
        network = Network((8,), learning_rate_init=self.learning_rate)  # draws from NumPy's own generator
        MLPClassifier.partial_fit(network, X, Y, classes=[0, 1])  # so that there is something to look at from the start
        np.random.seed(4 + number)
        return network

    def make_line(self):
        line = SGDRegressor(penalty=None, learning_rate="constant", eta0=1e-300)
        line.partial_fit(X, Y)
        line.coef_[:], line.intercept_[:] = [0.5, -0.25, 1.0, 0.75], 0.1
        return line

    def line(self, subject):
        return subject.coef_.copy(), subject.intercept_[0]

    def model_of(self, subject):
        return subject

    def state_of(self, subject):
        optimizer = subject._optimizer
        return [np.copy(one) for one in (*self.trained_of(subject), *optimizer.ms, *optimizer.vs, optimizer.t)]

    def trained_of(self, subject):
        return [np.copy(one) for one in (*subject.coefs_, *subject.intercepts_)]

    def use(self, model):
        return model.predict_proba(X)

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        kind = type(subject)
        if kind is Network:
            kind.user, kind.calls, kind.per_epoch = user and staticmethod(user), 0, self.steps
        return ol.fit_sklearn(
            subject,
            X,
            Y,
            epochs=epochs,
            batch_size=BATCH_SIZE,
            shuffle=False,
            validation=(HELD_OUT_X, HELD_OUT_Y) if validation else None,
            callbacks=callbacks,
            way=self.way,
            resume=resume,
        )

    def stop_by_user(self, subject):
        subject.stop_training = True


class PartialFitHost(SklearnHost):
    """Batches by `partial_fit`."""

    name = "scikit-learn (partial_fit)"
    declaration = PARTIAL_FIT
    way = "partial_fit"


class WarmStartHost(SklearnHost):
    """Epochs by `fit`."""

    name = "scikit-learn (warm_start)"
    declaration = WARM_START
    way = "warm_start"
