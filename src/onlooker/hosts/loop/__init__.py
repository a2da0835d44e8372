"""The host of hand-written loops.

- `loop.py`: `Loop`, what a user holds.
- `stage.py`: what `epochs`, `train`, `test` and `predict` return, and what iterating it does.
- `course.py`: which of these iterations are under way, and what becomes of those that were left.
- `newcomers.py`: callbacks that are added while it is under way.
- `steps.py`: how often an optimizer has stepped.
- `stop_flags.py`: whether `model.stop_training` was set.
- `ledger.py`: what was logged where, and the logs of each hook.
"""

from .loop import Loop as Loop
from .stage import Stage as Stage
