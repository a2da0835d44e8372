"""`find_caller`: which callback is asking the run for something at the moment.

Owns the look at the stack. It costs a hook nothing, as it is taken only when somebody asks.
"""

from __future__ import annotations

import sys

from .line import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from .run import Run

_CALLS = {Line.call.__code__, Line.call_indexed.__code__}
_OTHERS: set[CodeType] = set()


def calls_hooks(code: CodeType) -> None:
    """Take note of code that calls the listeners of a `line` itself, each as `call`; in between `line` is None."""
    _OTHERS.add(code)


def find_caller(run: Run) -> Any:
    """Return the attached callback whose hook, or whose method, is being called; None where it is none.

    A hook may be any function, so the frame that is looked for is that of who calls the hooks: it knows whose they are.
    Of trainings within trainings, it is that of this run. Methods that are no hooks, such as `keep`, are known by what
    they were called on.

    Args:
        run: to which the callback is attached.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        for owner in (_owner_of_call(frame, run), _owner_of_method(frame, run)):
            if owner is not None:
                return owner
        frame = frame.f_back
    return None


def _owner_of_method(frame: FrameType, run: Run) -> Any:
    """Return on which of the run's callbacks a frame is a method, if it is one."""
    code = frame.f_code
    if not code.co_argcount:
        return None
    first = frame.f_locals.get(code.co_varnames[0])
    is_method = getattr(getattr(type(first), code.co_name, None), "__code__", None) is code
    return first if is_method and any(first is callback for callback in run.callbacks) else None


def _owner_of_call(frame: FrameType, run: Run) -> Any:
    """Return whose hook a frame is calling, if it calls the hooks of this run."""
    from .dispatch import Dispatcher

    names, line = frame.f_locals, None
    if frame.f_code in _CALLS:
        line = names["self"]
    elif frame.f_code is Dispatcher._recover.__code__ or frame.f_code in _OTHERS:
        line = names.get("line")
    if line is None or line.recover.__self__.run is not run:
        return None
    return line.owners.get(id(names.get("call")))
