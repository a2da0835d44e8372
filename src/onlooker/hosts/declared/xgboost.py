"""What XGBoost's `train`, `cv` and scikit-learn interface give to callbacks."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

from .rounds import round_abilities, round_hooks

XGBOOST = Declaration(
    name="XGBoost",
    use="xgboost.train(..., callbacks=[onlooker.for_xgboost(Watch())])",
    package="xgboost",
    tested="xgboost 3.2",
    hooks={
        **round_hooks("XGBoost"),
        "on_train_begin": native("as the first round begins, when XGBoost's own callbacks have prepared themselves"),
        "on_test_begin": emulated(
            "comes once the round's metrics are there, and on_test_end right after it; never in evaluations of your own"
        ),
        "on_test_end": emulated("right after on_test_begin: XGBoost tells only the metrics of a round that is over"),
    },
    abilities={
        **round_abilities("XGBoost"),
        "params": emulated(
            "epochs is looked up in the variables of xgboost.train, which tells callbacks nothing of it; it counts the "
            "rounds of xgb_model too. steps is 1"
        ),
        "logs": native("the metrics of the round, as XGBoost computes them over all the data after it"),
        "outputs": absent("there are no batches; model.predict gives them for any data"),
        "stop": native(
            "takes effect where the next round would begin: XGBoost's own callbacks hear the round before it to its end"
        ),
        "closing": emulated(
            "errors and Ctrl-C in objectives, metrics, rounds and all callbacks are seen; a Ctrl-C that falls between "
            "two lines of xgboost.train itself is not: then hooks close when the adapter is used next"
        ),
        "learning_rate": native("each look takes about a millisecond"),
        "set_learning_rate": native("for the rounds to come"),
        "weights": absent("trees are no weights; model.trees_to_dataframe() and model.get_score() show them"),
        "save": native(
            "'.json' or '.ubj', by Booster.save_model; position, parameters and states stand beside it in a "
            "file with '.run.json' added. Absent in xgboost.cv"
        ),
        "state": native(
            "for_xgboost(..., resume=path) beside xgb_model=path; the same trees as without a stop unless rows or "
            "columns are sampled at random: XGBoost saves no random states"
        ),
        "native_logs": native("XGBoost's own evals_log"),
        "processes": native("the workers of xgboost.collective, by which they also agree on a stop"),
    },
)
