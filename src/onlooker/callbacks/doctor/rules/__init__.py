"""The rules that ship with `Doctor`, one file for each, and the list of them all."""

from __future__ import annotations

from ..arguments import known_name, make_rule
from ..rule import Rule
from .bad_initial_variance import BadInitialVariance as BadInitialVariance
from .dead_units import DeadUnits as DeadUnits
from .discriminator_wins import DiscriminatorWins as DiscriminatorWins
from .exploding_gradients import ExplodingGradients as ExplodingGradients
from .input_not_normalized import InputNotNormalized as InputNotNormalized
from .learning_rate_jump import LearningRateJump as LearningRateJump
from .loss_spiking import LossSpiking as LossSpiking
from .loss_stuck import LossStuck as LossStuck
from .mode_collapse import ModeCollapse as ModeCollapse
from .no_generator_gradient import NoGeneratorGradient as NoGeneratorGradient
from .no_gradient import NoGradient as NoGradient
from .not_finite import NotFinite as NotFinite
from .one_class_batches import OneClassBatches as OneClassBatches
from .overfitting import Overfitting as Overfitting
from .saturated_units import SaturatedUnits as SaturatedUnits
from .symmetric_units import SymmetricUnits as SymmetricUnits
from .tiny_batch_norm_variance import TinyBatchNormVariance as TinyBatchNormVariance
from .unchanged_weights import UnchangedWeights as UnchangedWeights
from .updates_too_large import UpdatesTooLarge as UpdatesTooLarge
from .updates_too_small import UpdatesTooSmall as UpdatesTooSmall
from .vanishing_gradients import VanishingGradients as VanishingGradients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# A rule that explains another comes before it.
ALL: tuple[type[Rule], ...] = (
    NotFinite,
    ExplodingGradients,
    SaturatedUnits,
    DeadUnits,
    VanishingGradients,
    NoGeneratorGradient,
    NoGradient,
    UpdatesTooLarge,
    UpdatesTooSmall,
    UnchangedWeights,
    SymmetricUnits,
    BadInitialVariance,
    TinyBatchNormVariance,
    InputNotNormalized,
    OneClassBatches,
    LearningRateJump,
    LossStuck,
    LossSpiking,
    Overfitting,
    DiscriminatorWins,
    ModeCollapse,
)


def doctor_rules(**changes: Mapping[str, Any] | None) -> list[Rule]:
    """Return new rules for a `Doctor`: all that there are, unless some are changed or left out.

    Args:
        **changes: by the name of a rule, its arguments as a dict, or None to leave it out.

    Raises:
        ValueError: there is no rule of such a name, it has no such argument, or a value cannot be.

    Example:
        >>> rules = doctor_rules(loss_stuck={"after_steps": 2000}, overfitting=None)
        >>> len(doctor_rules()) - len(rules), [rule for rule in rules if rule.name == "loss_stuck"][0].after_steps
        (1, 2000)
    """
    names = [kind.name for kind in ALL]
    for name in changes:
        known_name(name, names, f"there is no rule {name!r}")
    return [make_rule(kind, changes.get(kind.name, {})) for kind in ALL if changes.get(kind.name, {}) is not None]
