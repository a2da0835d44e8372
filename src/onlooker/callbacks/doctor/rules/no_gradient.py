"""A model, or whole layers of it, that no gradient reaches at all."""

from __future__ import annotations

from ..examination import Examination, is_matrix
from ..rule import Finding, Rule


class NoGradient(Rule):
    """Finds weights whose gradient is exactly 0 everywhere, and models in which nothing has a gradient.

    Args:
        patience: after how many looks in a row it speaks.
    """

    name = "no_gradient"
    why = "A gradient of exactly 0 says that the loss does not depend on these weights, so they cannot learn."
    advice = (
        "Look for detach(), no_grad(), argmax or rounding between them and the loss, for a loss that is already "
        "perfect, for units that are all dead, and for weights that are initialized to 0 on both sides."
    )
    source = "Goodfellow, Bengio and Courville 2016, section 11.5"
    reads = ("gradients", "updates")
    explained_by = ("not_finite", "no_generator_gradient", "dead_units", "saturated_units")

    def __init__(self, patience: int = 5) -> None:
        self.patience = patience

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by which gradients are exactly 0."""
        if "gradients" not in examination.looked:
            return None
        found = []
        parts = examination.by_model("gradients")
        for model, updates in examination.by_model("updates").items():
            if model not in parts:
                seen = "the optimizer steps, but no weight has a gradient"
                found.append(Finding(model, seen, {"weights": len(updates)}, len(updates)))
        for model, gradients in parts.items():
            zero = [name for name, one in gradients.items() if one.zeros == one.count > 0]
            if len(zero) == len(gradients):
                seen = "all gradients are exactly 0"
                found.append(Finding(model, seen, {"weights": len(zero)}, len(zero)))
            else:
                matrices = [name for name in zero if is_matrix(gradients[name])]
                evidence = {"weights": len(matrices)}
                found += [Finding(name, "its gradient is exactly 0", evidence) for name in reversed(matrices)]
        return found
