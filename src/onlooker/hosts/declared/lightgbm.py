"""What LightGBM's `train`, `cv` and scikit-learn interface give to callbacks."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

from .rounds import round_abilities, round_hooks

LIGHTGBM = Declaration(
    name="LightGBM",
    use="lightgbm.train(..., callbacks=[onlooker.for_lightgbm(Watch())])",
    package="lightgbm",
    tested="lightgbm 4.7",
    hooks={
        **round_hooks("LightGBM"),
        "on_train_begin": emulated("right before the first round: LightGBM tells nobody that a training begins"),
        "on_test_begin": emulated(
            "comes once the round's metrics are there, and on_test_end right after it; never in evaluations of your own"
        ),
        "on_test_end": emulated("right after on_test_begin: LightGBM tells only the metrics of a round that is over"),
        "on_train_end": emulated(
            "after all callbacks of the last round, whatever has ended it: the booster still has its data then, and "
            "best_iteration and best_score already have the values that LightGBM is about to set"
        ),
    },
    abilities={
        **round_abilities("LightGBM"),
        "params": native("with init_model, epochs counts the rounds that are there already. steps is 1"),
        "logs": native("the metrics of the round, as LightGBM computes them over all the data after it"),
        "outputs": absent("there are no batches; model.predict gives them for any data"),
        "stop": emulated(
            "LightGBM can be stopped only after a round: a stop from on_train_begin or on_epoch_begin still runs that "
            "one. Its own callbacks hear the round to its end, as if it were the last"
        ),
        "closing": emulated(
            "errors and Ctrl-C in objectives, metrics, rounds and all callbacks are seen; a Ctrl-C that falls between "
            "two lines of lightgbm.train itself is not: then hooks close when the adapter is used next"
        ),
        "learning_rate": native(),
        "set_learning_rate": native(
            "for the rounds to come; it must be greater than 0, and lightgbm.reset_parameter sets its own each round"
        ),
        "weights": absent("trees are no weights; model.trees_to_dataframe() shows them"),
        "save": emulated(
            "by Booster.save_model; position and callbacks' states stand beside it in a file with '.run.json' added. "
            "While a booster trains, run.load takes newer rounds back, and refuses a file of another training"
        ),
        "state": native(
            "for_lightgbm(..., resume=path) beside init_model=path; the same trees as without a stop unless rows or "
            "columns are sampled at random: LightGBM saves no random states"
        ),
        "native_logs": native("as lightgbm.record_evaluation names them, of the round at hand"),
        "processes": absent("LightGBM does not tell a process which of its machines it is"),
    },
)
