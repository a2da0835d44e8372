"""The host that writes the loop for you: `fit`, `evaluate` and `predict` for a PyTorch module.

- `trainer.py`: `Trainer`, what a user holds; it runs a `Loop`.
- `arguments.py`: what may be passed, and what is said where something else is.
- `batches.py`: what may be passed as data, and what a batch is made of.
- `moving.py`: how a batch comes to a device.
- `update.py`: `Update`, an optimizer's step: accumulation, mixed precision, clipping.
"""

from .trainer import Trainer as Trainer
