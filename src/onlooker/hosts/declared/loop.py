"""What a hand-written loop under `Loop` gives to callbacks."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

_ACTIVATIONS = "in training; within a module from torch.compile nothing is seen but what the whole of it puts out"

LOOP = Declaration(
    name="Loop",
    use="with onlooker.Loop(model, optimizer, callbacks=[...]) as loop: ...",
    package="torch",
    tested="torch 2.13",
    abilities={
        "outputs": native("what the loop's body assigns to loop.outputs; None if it assigns nothing"),
        "closing": native("after a break the closing hooks come with the next call on the loop, or when `with` ends"),
        "step": emulated(
            "counted by the optimizers' own hooks; a skipped step of a fused optimizer under a gradient scaler counts "
            "as one, and without an optimizer each train batch counts as one"
        ),
        "native_logs": absent("the loop is yours: logs has the names that you log"),
        "processes": absent("Loop cannot yet agree with other processes on stopping, and refuses to run in several"),
        "gradients": native("as they stand: after on_train_batch_begin until the body clears them"),
        "activations": native(_ACTIVATIONS),
        "replay": native(
            "the loop's body runs again: what it counts itself, or a schedule's step, moves on twice; not where the "
            "body has raised"
        ),
    },
)
