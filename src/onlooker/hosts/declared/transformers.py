"""What a `transformers.Trainer` gives to callbacks."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

_ACTIVATIONS = "in training; within a module from torch.compile nothing is seen but what the whole of it puts out"

TRANSFORMERS = Declaration(
    name="Transformers",
    use="transformers.Trainer(..., callbacks=[onlooker.for_transformers(Watch())])",
    package="transformers",
    tested="transformers 5.24, accelerate 1.15",
    hooks={
        "on_epoch_end": native(
            "the trainer evaluates after its own on_epoch_end; ours is held back until that is over, and comes before "
            "the epoch's checkpoint is written"
        ),
        "on_test_begin": native(
            "one test stage for each set where eval_dataset is a dict, under val_<name of the set>"
        ),
    },
    abilities={
        "params": native(
            "with a dataset without length both are None; with max_steps the last epoch may end before its last batch"
        ),
        "logs": native(
            "the mean of the batches' losses, with its NaN: logging_nan_inf_filter hides it in the trainer's own logs "
            "only. Metrics of compute_metrics are in the logs of on_test_end and, as val_<name>, of on_epoch_end. In "
            "several processes the means are over this process's batches"
        ),
        "batch_logs": native(
            "the loss of each micro-batch, as its own mean: what the trainer scales for gradient accumulation is "
            "scaled back; and what you log by trainer.log within a step"
        ),
        "inputs": native("by name, without the labels, which are run.targets; one alone is given itself"),
        "outputs": emulated(
            "in predict always; in training and evaluation for callbacks with needs=('outputs',), by a hook on the "
            "model, since the trainer throws them away"
        ),
        "step": native("state.global_step: with gradient accumulation it lags the batches"),
        "stop": emulated(
            "by control.should_training_stop: a stop from on_train_begin or on_epoch_begin still runs one batch, and "
            "the evaluation at the epoch's end always runs. evaluate() and predict() alone cannot be stopped: the "
            "trainer goes on, without batch hooks of ours"
        ),
        "closing": native(
            "errors and Ctrl-C anywhere in train, evaluate and predict are seen; where the adapter was added by "
            "trainer.add_callback, in its first training only those in steps and evaluations"
        ),
        "silent_stages": native(
            "trainer.evaluate() from a hook of ours also leaves no trace on the model and on random states; the "
            "trainer's own log_history has it"
        ),
        "set_learning_rate": native(
            "a rate that is set holds until the training ends, whatever the schedule says; after scale_learning_rate "
            "the schedule goes on, scaled"
        ),
        "gradients": native("in on_train_batch_end, as the update used them: accumulated and clipped"),
        "activations": native(_ACTIVATIONS),
        "replay": absent("the step is the trainer's, and it gives callbacks no way to run one once more"),
        "save": native(
            "writes a folder as the trainer's checkpoints are: trainer.train(resume_from_checkpoint=path) goes on from "
            "it. Between the micro-batches of one update it goes on from the update's beginning"
        ),
        "state": native(
            "in the trainer's own checkpoints, in a file beside trainer_state.json, also in the middle of an epoch; "
            "restore_callback_states_from_checkpoint is not needed"
        ),
        "processes": native("a stop is agreed on after each update, and at each epoch's end"),
    },
)
