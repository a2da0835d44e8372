"""Tables of numbers on a device, made once for each content.

Owns what stays there, and that nothing waits while one is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch

_REMEMBERED = 64
"""Tables that stay on the device: those that were asked for last."""

_remembered: dict[Any, torch.Tensor] = {}
_lock = Lock()


def kept_on(
    device: torch.device, key: tuple[Any, ...], make: Callable[[], Any], dtype: torch.dtype = torch.int64
) -> torch.Tensor:
    """Return numbers on a device: those of earlier, or made and sent there without waiting.

    What is sent is there for whoever comes later in the same stream, so each stream has its own.

    Args:
        device: where they are to be.
        key: what tells them from all others.
        make: returns them, as lists.
        dtype: of the numbers.
    """
    is_cuda = device.type == "cuda" and torch.cuda.is_initialized()
    key = (*key, device, torch.cuda.current_stream(device).cuda_stream if is_cuda else None)
    with _lock:
        found = _remembered.pop(key, None)
        if found is None:
            while len(_remembered) >= _REMEMBERED:
                del _remembered[next(iter(_remembered))]
            # From memory that cannot be moved, it is sent while the program goes on.
            found = _sent(torch.tensor(make(), dtype=dtype, device="cpu", pin_memory=is_cuda), device)
        _remembered[key] = found
    return found


def _sent(here: torch.Tensor, device: torch.device) -> torch.Tensor:
    return here.to(device, non_blocking=True)
