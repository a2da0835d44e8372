"""What Lightning's `fit`, `validate`, `test` and `predict` give to callbacks."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

_ACTIVATIONS = "in training; within a module from torch.compile nothing is seen but what the whole of it puts out"

LIGHTNING = Declaration(
    name="Lightning",
    use="lightning.Trainer(callbacks=[onlooker.for_lightning(Watch())]).fit(module, loader)",
    package="lightning",
    tested="lightning 2.6, torch 2.13",
    abilities={
        "logs": native(
            "loss is what training_step returns; what the module logs stands beside it: its means over the batches so "
            "far, and at the end of an epoch or stage Lightning's own value. What the module logs in its own "
            "on_train_epoch_end comes after ours, as for every callback of Lightning's: it is in run.native_logs later"
        ),
        "batch_logs": native("what the module logs in the batch; a torchmetrics object where its forward was called"),
        "inputs": native("on the device, as the step gets them"),
        "outputs": emulated(
            "what the step returns under 'outputs'; for a callback with needs=('outputs',) else what the module's "
            "forward returned last in the batch; in predict the predictions"
        ),
        "step": native("a step that a gradient scaler skips counts as one, as in Lightning's global_step"),
        "stop": native(
            "min_epochs and min_steps put it off, as any stop in Lightning; it also ends validate, test and predict, "
            "of several processes in the one that asks"
        ),
        "closing": emulated(
            "Lightning tells of errors and of Ctrl-C, after which it exits by SystemExit; in processes that it has "
            "spawned or forked itself (ddp_spawn, ddp_fork) it tells nobody, and nothing is closed there"
        ),
        "silent_stages": emulated(
            "trainer.validate and its kin are refused from within: they would break the training under way; a second "
            "Trainer on a copy of the module calls no hooks of ours"
        ),
        "set_learning_rate": native("a scheduler of the module's sets it again when it steps"),
        "gradients": native(
            "in on_train_batch_end, as the update used them: accumulated, unscaled and clipped. Lightning clears them "
            "before validation, and in the next batch"
        ),
        "activations": native(_ACTIVATIONS),
        "replay": absent("the step is Lightning's, and it gives callbacks no way to run one once more"),
        "save": native(
            "a checkpoint of Lightning's, by trainer.save_checkpoint; where several processes train with a sharded "
            "model, all have to call it"
        ),
        "state": native(
            "in each checkpoint of Lightning's; trainer.fit(ckpt_path=...) goes on from it, also in the middle of an "
            "epoch, if the loader can. Random states are kept where one process trains"
        ),
        "observing": native("torchmetrics objects of the module keep their state too"),
        "native_logs": native("what self.log was given last, and at the end of an epoch or stage callback_metrics"),
        "processes": native(
            "each process logs its own values; with sync_dist=True those of all, at the end of an epoch or stage"
        ),
    },
)
