"""What an adapter adds to other people's trainers where nobody listens: the trainer alone, with ours, and a bare loop.

The unit is the same work without any trainer: the tiny MLP of the page's other trainings; for boosters a loop of
`Booster.update` and `eval_set` or what comes nearest; for estimators one of `partial_fit`; for JAX one of the compiled
step. What a trainer costs over that is its own overhead; the goal is that the adapter, with one callback attached that
overrides no hook of a batch or a round, adds at most a tenth of it. Where the loop is ours there is no other trainer's
overhead: there the share of all is the figure.
"""

from __future__ import annotations

import statistics
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import onlooker as ol
from benchmarks._paired import Alternating, compare
from benchmarks._results import keep
from benchmarks.loops import CHUNK, bare, lightning, make_batches, transformers

Callbacks = list[Any]
ROUNDS = 2000  # so that what is made once for a training, a third of a millisecond, does not count
REPEATS = 5


class Nothing(ol.Callback):
    """Overrides no hook."""


ADAPTERS: dict[str, tuple[Callable[[Any, Callbacks], None], Callable[[], Any]]] = {
    "Lightning": (lightning, lambda: ol.for_lightning(Nothing())),
    "Transformers": (transformers, lambda: ol.for_transformers(Nothing())),
}
"""Trainers that own a loop over batches: how one is run, and our adapter."""


def as_chunks(name: str) -> tuple[float, float, float]:
    """Return, in microseconds a batch: the bare loop, what the trainer adds, and what our adapter adds to that."""
    train, adapter = ADAPTERS[name]
    batches = make_batches()
    base, alone, ours = [], [], []
    for _ in range(REPEATS):
        for callbacks, found in (([], alone), ([adapter()], ours)):
            loader = Alternating(batches, bare(batches), CHUNK, chunks=20)
            train(loader, callbacks)
            summary = loader.ratios.summary(CHUNK)
            base.append(summary["baseline_us"])
            found.append(summary["cpu"]["ratio"])
    unit = statistics.median(base)
    own = (statistics.median(alone) - 1) * unit
    return unit, own, (statistics.median(ours) - statistics.median(alone)) * unit


def table(rows: int = 500) -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 10)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


Work = Callable[[], Any]


def xgboost() -> tuple[Work, Work, Work, int]:
    import xgboost as trainer_of

    x, y = table()
    data = trainer_of.DMatrix(x, y)
    settings = {"max_depth": 2, "nthread": 1, "objective": "binary:logistic", "verbosity": 0}

    def by_hand() -> None:
        booster = trainer_of.Booster(settings, [data])
        for number in range(ROUNDS):
            booster.update(data, number)
            booster.eval_set([(data, "train")], number)

    def train(callbacks: Callbacks) -> None:
        trainer_of.train(
            settings, data, ROUNDS, evals=[(data, "train")], evals_result={}, verbose_eval=False, callbacks=callbacks
        )

    return by_hand, lambda: train([]), lambda: train([ol.for_xgboost(Nothing())]), ROUNDS


def lightgbm() -> tuple[Work, Work, Work, int]:
    import lightgbm as trainer_of

    x, y = table()
    settings = {"max_depth": 2, "num_threads": 1, "objective": "binary", "verbosity": -1}

    def by_hand() -> None:
        booster = trainer_of.Booster(settings, trainer_of.Dataset(x, y))
        for _ in range(ROUNDS):
            booster.update()
            booster.eval_train()

    def train(callbacks: Callbacks) -> None:
        data = trainer_of.Dataset(x, y)
        trainer_of.train(settings, data, ROUNDS, valid_sets=[data], valid_names=["training"], callbacks=callbacks)

    return by_hand, lambda: train([]), lambda: train([ol.for_lightgbm(Nothing())]), ROUNDS


def catboost() -> tuple[Work, Work, Work, int]:
    import catboost as trainer_of

    x, y = table()
    settings = {
        "iterations": ROUNDS,
        "depth": 2,
        "thread_count": 1,
        "verbose": False,
        "allow_writing_files": False,
    }

    class Own:
        def after_iteration(self, info: Any) -> bool:
            return True

    def train(callbacks: Callbacks | None) -> None:
        trainer_of.CatBoostClassifier(**settings).fit(x, y, callbacks=callbacks)

    # It has no loop that one could write by hand: its own training without callbacks is the unit, one callback of the
    # kind that it takes is the overhead.
    return lambda: train(None), lambda: train([Own()]), lambda: train([ol.for_catboost(Nothing())]), ROUNDS


BOOSTERS: dict[str, Callable[[], tuple[Work, Work, Work, int]]] = {
    "XGBoost": xgboost,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
}


def in_rounds(name: str) -> tuple[float, float, float]:
    """Return the same as `as_chunks`, in microseconds a round."""
    by_hand, alone, ours, count = BOOSTERS[name]()
    first = compare(by_hand, {"alone": alone}, 16, warm_up=1)["alone"].summary(count)
    # What is compared is small: directly with what it is added to, and often.
    second = compare(alone, {"ours": ours}, 48, warm_up=1)["ours"].summary(count)
    unit, with_trainer = first["baseline_us"], first["baseline_us"] * first["cpu"]["ratio"]
    return unit, with_trainer - unit, (second["cpu"]["ratio"] - 1) * with_trainer


def sklearn() -> tuple[Work, Work, int]:
    from sklearn.linear_model import SGDClassifier

    x, y = table(32 * ROUNDS)
    classes = np.unique(y)

    def by_hand() -> None:
        estimator = SGDClassifier(random_state=0)
        for at in range(0, len(x), 32):  # all classes are told once, as fit_sklearn does: to look at them takes long
            given = {} if at else {"classes": classes}
            estimator.partial_fit(x[at : at + 32], y[at : at + 32], **given)

    def ours() -> None:
        estimator = SGDClassifier(random_state=0)
        ol.fit_sklearn(estimator, x, y, epochs=1, batch_size=32, shuffle=False, callbacks=[Nothing()])

    return by_hand, ours, ROUNDS


def jax() -> tuple[Work, Work, int]:
    import jax as framework
    import jax.numpy as jnp
    import optax

    x, y = table(32 * ROUNDS)
    batches = [(jnp.asarray(x[at : at + 32]), jnp.asarray(y[at : at + 32])) for at in range(0, len(x), 32)]
    keys = framework.random.split(framework.random.key(0), 2)
    params = {
        "first": framework.random.normal(keys[0], (10, 64)) * 0.1,
        "second": framework.random.normal(keys[1], (64, 2)) * 0.1,
    }
    optimizer = optax.sgd(0.01)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        outputs = framework.nn.relu(x @ params["first"]) @ params["second"]
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

    @framework.jit
    def step(state: Any, x: Any, y: Any) -> Any:
        loss, gradients = framework.value_and_grad(loss_of)(state["params"], x, y)
        updates, inner = optimizer.update(gradients, state["optimizer"])
        return {"params": optax.apply_updates(state["params"], updates), "optimizer": inner}, loss

    start = {"params": params, "optimizer": optimizer.init(params)}

    def by_hand() -> None:
        state, losses = start, []
        for x, y in batches:
            state, loss = step(state, x, y)
            losses.append(loss)
        float(sum(losses))

    def ours() -> None:
        state = start
        with ol.Loop(state, callbacks=[Nothing()]) as loop:
            for x, y in loop.train(batches):
                state, loss = step(state, x, y)
                loop.state = state
                loop.log(loss=loss)

    return by_hand, ours, ROUNDS


OWN: dict[str, Callable[[], tuple[Work, Work, int]]] = {"scikit-learn (partial_fit)": sklearn, "Loop (JAX)": jax}
"""Hosts whose loop is ours."""


def in_own_loop(name: str) -> tuple[float, float]:
    """Return, in microseconds a batch: the bare loop, and what ours adds."""
    by_hand, ours, count = OWN[name]()
    summary = compare(by_hand, {"ours": ours}, 40)["ours"].summary(count)
    unit = summary["baseline_us"]
    return unit, (summary["cpu"]["ratio"] - 1) * unit


def main() -> None:
    """Measure all hosts and keep the results; or those that are named in the command, and only show them."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    named = sys.argv[1:]
    for name in (name for name in (*ADAPTERS, *BOOSTERS) if name in named or not named):
        try:
            unit, own, added = as_chunks(name) if name in ADAPTERS else in_rounds(name)
        except ImportError as error:
            rows.append(make_row(name, "not installed", error.name or ""))
            continue
        share = f"{added / own:.0%}" if own > 0.05 * unit else "it has hardly any"
        of_all = f"{added / (unit + own):.1%}"
        rows.append(make_row(name, f"{unit:.0f}", f"{own:.0f}", f"{added:.1f}", share, of_all, "≤ 10 %"))
    for name in (name for name in OWN if name in named or not named):
        try:
            unit, added = in_own_loop(name)
        except ImportError as error:
            rows.append(make_row(name, "not installed", error.name or ""))
            continue
        rows.append(make_row(name, f"{unit:.0f}", "ours", f"{added:.1f}", "", f"{added / unit:.1%}"))
    if named:
        print(*rows, sep="\n")
        return
    packages = ("pytorch-lightning", "transformers", "xgboost", "lightgbm", "catboost", "scikit-learn", "jax", "torch")
    keep("hosts", "Other people's trainers, nobody listens", __doc__.partition("\n\n")[2].strip(), rows, packages)


def make_row(
    name: str, bare_us: str, own_us: str, added_us: str = "", share: str = "", of_all: str = "", goal: str = ""
) -> dict[str, str]:
    return {
        "": name,
        "the bare loop, µs a batch or round": bare_us,
        "the trainer adds": own_us,
        "the adapter adds": added_us,
        "of the trainer's own overhead": share,
        "of all": of_all,
        "goal": goal,
    }


if __name__ == "__main__":
    main()
