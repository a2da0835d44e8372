"""What a hand-written loop in JAX gives to callbacks: Flax NNX modules, Equinox modules, and any other state."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, absent, emulated, native

LOOP_JAX = Declaration(
    name="Loop (JAX)",
    use="with onlooker.Loop(state, callbacks=[...]) as loop: ...; loop.state, loss = step(loop.state, x, y)",
    package="jax",
    tested="jax 0.10, flax 0.12, equinox 0.13, optax 0.2",
    abilities={
        "outputs": native("what the loop's body assigns to loop.outputs; None if it assigns nothing"),
        "closing": native("after a break the closing hooks come with the next call on the loop, or when `with` ends"),
        "step": emulated(
            "a compiled step calls no hook: each train batch counts in which loop.state was assigned, or in which the "
            "nnx.Optimizer went through a step; without an optimizer each train batch of an NNX module counts"
        ),
        "stop": native(
            "model.stop_training = True on Flax NNX modules; other states take no attributes, so there it is run.stop"
        ),
        "learning_rate": native("where optax.inject_hyperparams has put it into the optimizer's state"),
        "set_learning_rate": native(
            "where optax.inject_hyperparams has a number, not a schedule; the state with the new rate is loop.state, "
            "from which the body has to begin its step"
        ),
        "weights": native(
            "by the path of the parameter, for example 'layers.0.kernel'; of a state with `params` or `model`, those"
        ),
        "native_logs": absent("the loop is yours: logs has the names that you log"),
        "processes": absent("Loop cannot yet agree with other processes on stopping, and refuses to run in several"),
        "gradients": native("those that the loop's body assigns to loop.gradients; they stay until the next ones"),
        "activations": absent("the step is compiled, and what is computed in its midst never leaves it"),
        "replay": absent("the step is compiled; jax.config.update('jax_debug_nans', True) names the operation"),
        "save": native(
            "a .npz file with all arrays and numbers of the state; to load it, the same structure is needed"
        ),
        "observing": native(
            "keys of JAX are explicit; modes, statistics and random streams of Flax NNX modules are kept. Equinox' "
            "inference mode is the user's: equinox.nn.inference_mode(model)"
        ),
    },
)
