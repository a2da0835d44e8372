"""`CountedLooking`: a look that counts how often it has failed, for whoever must not take silence for health.

Owns the counts. How a look goes is `Looking`'s business.
"""

from __future__ import annotations

from .looking import Looking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.run import Run

    from .seen import Ended, Seen


class CountedLooking(Looking):
    """A `Looking` that counts.

    Attributes:
        succeeded: how many looks have seen a step.
        failed: how many looks, or batches that were to be looked into, have ended with an error.
        last_error: that of the last one, as text; `""` if none has failed.
    """

    succeeded = failed = 0
    last_error = ""
    _is_set_up = True

    def begin(self, run: Run) -> None:
        """Do what `Looking.begin` does."""
        self._is_set_up = False
        try:
            super().begin(run)
        except Exception as error:
            self._count(error)
            raise
        self._is_set_up = True

    def end(self, run: Run) -> Ended | None:
        """Do what `Looking.end` does; of a look that could not be set up there is nothing to take."""
        if not self._is_set_up:
            return None
        try:
            return super().end(run)
        except Exception as error:
            self._count(error)
            raise

    def fetch(self, ended: Ended) -> Seen:
        """Do what `Looking.fetch` does."""
        try:
            seen = super().fetch(ended)
        except Exception as error:
            self._count(error)
            raise
        self.succeeded += 1
        return seen

    def _count(self, error: Exception) -> None:
        self.failed += 1
        self.last_error = " ".join(f"{type(error).__name__}: {error}".split())
