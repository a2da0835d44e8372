"""What CatBoost's `fit` gives to callbacks."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

from .rounds import round_abilities, round_hooks

_CLOSED_MODEL = "CatBoost gives the model out only when the training is over"

CATBOOST = Declaration(
    name="CatBoost",
    use="CatBoost(...).fit(..., callbacks=[onlooker.for_catboost(Watch())])",
    package="catboost",
    tested="catboost 1.2.10",
    hooks={
        **round_hooks("CatBoost"),
        "on_train_begin": emulated("comes when the first round is over: CatBoost calls nobody before"),
        "on_epoch_begin": emulated("comes when its round is over, before its other hooks: CatBoost calls once a round"),
        "on_test_begin": emulated("comes once the round's metrics are there, and on_test_end right after it"),
        "on_test_end": emulated("right after on_test_begin: CatBoost tells only the metrics of a round that is over"),
        "on_train_end": emulated("comes when the model is there, before fit returns; after an error, without a model"),
    },
    abilities={
        **round_abilities("CatBoost"),
        "params": native("with init_model, epochs counts the rounds that are there already. steps is 1"),
        "logs": native("the metrics of the round; with metric_period=n only each n-th round, and the last, has any"),
        "outputs": absent("there are no batches; model.predict gives them once the training is over"),
        "stop": emulated(
            "takes effect when a round is over, so one round always runs. CatBoost's own callbacks that stand after "
            "the adapter miss the last round, as always where one of them stops"
        ),
        "closing": emulated(
            "errors and Ctrl-C in our hooks close them, and fit raises them as they are; errors in CatBoost's own "
            "callbacks are seen from the second round on. Those in objectives and metrics, and a Ctrl-C in CatBoost "
            "itself, are not: then hooks close when the adapter, or the model, is trained next"
        ),
        "silent_stages": absent(_CLOSED_MODEL + ", so nothing can be evaluated from within a hook"),
        "learning_rate": absent("CatBoost tells the learning rate only when the training is over"),
        "set_learning_rate": absent("CatBoost's learning rate cannot be changed while it trains"),
        "weights": absent("trees are no weights, and " + _CLOSED_MODEL),
        "save": absent(_CLOSED_MODEL + "; in on_train_end self.model.save_model(path) writes it"),
        "state": absent("CatBoost's snapshots, by which it resumes, hold nothing of callbacks"),
        "observing": absent(_CLOSED_MODEL + ", so it cannot be used within a hook"),
        "native_logs": native("CatBoost's own info.metrics: all values so far, by data set and metric"),
        "processes": absent("CatBoost's Python package trains in one process"),
    },
)
