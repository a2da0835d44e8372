"""`Waiting`: looks that have ended and were not handed out yet, because their numbers are on their way from a device.

Owns when that is waited for, that only one thread at a time does so, and what becomes of an error. What is done with a
look is `Inside`'s business.
"""

from __future__ import annotations

from collections import deque
from threading import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .seen import Ended, Seen


class Waiting:
    """Hands looks out in order: each when the next has ended or somebody asks; at once if nothing is waited for.

    Any thread may ask. While one hands out, others wait until all that they have asked for is there.

    Args:
        fetch: returns what a look has seen; it may wait.
        take: gets each look, and what it has seen.
    """

    def __init__(self, fetch: Callable[[Ended], Seen], take: Callable[[Ended, Seen], None]) -> None:
        self._fetch, self._take = fetch, take
        self._ended: deque[Ended] = deque()
        self._error: Exception | None = None
        self._lock, self._is_handing_out = RLock(), False

    def put(self, ended: Ended) -> None:
        """Take a look that has just ended; hand out those before it, and itself if nothing has to be waited for."""
        self._ended.append(ended)
        self._hand_out(1 if ended.is_waiting else 0)

    def settle(self) -> None:
        """Hand out everything.

        Raises:
            Exception: the first that came up, now or in `ask`; all looks are handed out that can be.
        """
        self._hand_out(0)

    def ask(self) -> None:
        """Hand out everything; hold an error back until the next hook, where `on_error` says what becomes of it."""
        try:
            self._hand_out(0)
        except Exception as error:
            self._error = error

    def _hand_out(self, left: int) -> None:
        with self._lock:
            if self._is_handing_out:  # this thread: who gets a record asks what there was at that look, and none newer
                return
            error, self._error = self._error, None
            self._is_handing_out = True
            try:
                while len(self._ended) > left:
                    try:
                        self._hand_out_one()
                    except Exception as own:
                        error = error or own
            finally:
                self._is_handing_out = False
        if error is not None:
            raise error

    def _hand_out_one(self) -> None:
        try:
            seen = self._fetch(self._ended[0])
        except Exception:
            self._ended.popleft()
            raise
        self._take(self._ended.popleft(), seen)  # after Ctrl-C while it waits it is still there
