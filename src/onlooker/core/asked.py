"""`Asked`: a name of a class that gives its instances an answer of its own, mostly the error that says what is wrong.

`__getattr__` could do the same, and is not used: with it, each attribute of an instance takes twice as long, and each
method too.
"""

from __future__ import annotations

from .errors import AttachError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ADAPTERS = {
    "setup": "for_lightning",
    "state_key": "for_lightning",
    "on_exception": "for_lightning",
    "on_init_end": "for_transformers",
    "before_training": "for_xgboost",
    "before_iteration": "for_lightgbm",
    "after_iteration": "for_catboost",
}
"""What a foreign trainer asks of a callback, and the adapter that has it. Who is asked and is another can say so."""


class Asked:
    """Answers for a name where the instance has no attribute of that name.

    Args:
        name: what is asked for.
        answer: gets the instance and the name; returns the value, or raises.
    """

    def __init__(self, name: str, answer: Callable[[Any, str], Any]) -> None:
        self._name, self._answer = name, answer

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._answer(instance, self._name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Refuse to be called: that is what a trainer does that was given the class.

        Raises:
            AttachError: always.
        """
        adapter = ADAPTERS.get(self._name)
        written = f"onlooker.{adapter}(Watch())" if adapter else "Watch()"
        raise AttachError(f"a class of callbacks was passed instead of an instance; write callbacks=[{written}]")

    def __repr__(self) -> str:
        return f"<{self._name}, which only instances know>"
