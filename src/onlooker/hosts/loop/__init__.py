"""The host of hand-written loops.

- `loop.py`: `Loop`, what a user holds.
- `stage.py`: what `epochs`, `train`, `test` and `predict` return, and what iterating it does.
- `course.py`: which of these iterations are under way, and what becomes of those that were left.
- `ledger.py`: what was logged where, and the logs of each hook.
"""

from .loop import Loop as Loop
from .stage import Stage as Stage
