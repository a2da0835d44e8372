"""The host of hand-written loops.

- `loop.py`: `Loop`, what a user holds.
- `stage.py`: what `epochs`, `train`, `test` and `predict` return, and what iterating it does.
- `course.py`: which of these iterations are under way, and what becomes of those that were left.
- `endings.py`: how a training ends, and who may say so before it begins.
- `nesting.py`: whether an iteration that is in the way of another is still gone through.
- `resume.py`: going on from a file.
- `newcomers.py`: callbacks that are added while it is under way.
- `steps.py`: how often an optimizer has stepped.
- `stop_flags.py`: whether `model.stop_training` was set.
- `ledger.py`: what was logged where, and the logs of each hook.
"""

from .loop import Loop as Loop
from .stage import Stage as Stage
