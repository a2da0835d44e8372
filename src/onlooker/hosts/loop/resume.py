"""Begins a training where a file that `run.save` wrote left it.

Owns the order: the callbacks begin as ever, then they get their states. What is in the file, the view knows.
"""

from __future__ import annotations

from typing import Any

from onlooker.core.run import Run
from onlooker.core.scopes import Scopes
from onlooker.core.state import load_states


def go_on_from(path: Any, run: Run, scopes: Scopes) -> None:
    """Open the training of a run that has just been reset, and put all back to what the file says."""
    saved = run.view.load(str(path))
    run.is_resumed = True
    run.first_epoch, run.step = saved["next_epoch"], saved["step"]
    scopes.open("train")
    load_states(run.callbacks, saved["callbacks"])
    run.view.load(str(path))  # again: what on_train_begin drew or changed, it did the first time too
