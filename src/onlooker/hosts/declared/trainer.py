"""What `Trainer` gives to callbacks: what `Loop` gives, since it is built on it, and the outputs by itself."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, emulated, native

from .loop import LOOP

_ACTIVATIONS = "in training; within a module from torch.compile nothing is seen but what the whole of it puts out"

TRAINER = Declaration(
    name="Trainer",
    use="onlooker.Trainer(model, loss=..., optimizer=...).fit(loader, callbacks=[...])",
    package="torch",
    tested=LOOP.tested,
    abilities={
        **LOOP.abilities,
        "outputs": native(),
        "step": emulated(
            "counts the optimizer's updates: with accumulate=4 one in four batches; with autocast=torch.float16 a "
            "skipped step of a fused optimizer counts as one"
        ),
        "gradients": native("in on_train_batch_end, as the update used them: accumulated, unscaled and clipped"),
        "activations": native(_ACTIVATIONS),
        "replay": native("with its place in an accumulation, and the scale of mixed precision"),
        "closing": native(),
    },
)
