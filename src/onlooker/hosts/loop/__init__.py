"""The host of hand-written loops.

- `loop.py`: `Loop`, what a user holds; it keeps the iterations in order and closes what was left.
- `stage.py`: what `train`, `test`, `predict` and `epochs` return and what iterating it does.
- `ledger.py`: what was logged where, and the logs of each hook.
"""

from .loop import Loop as Loop
from .stage import Stage as Stage
