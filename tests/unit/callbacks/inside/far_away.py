"""An array library on a device far away, for PyTorch's tensors on the CPU: whose numbers come only when waited for."""

import torch

from onlooker import inside
from onlooker.inside.numpy import summarise_array, summarise_difference

waited = []
"""One entry for each time that was waited: how many numbers of tensors came."""

broken = []
"""Whoever waits next gets the last of these errors."""


class Row:
    def __init__(self, summary):
        self.summary = summary


def begin(key, tensor):
    return Row(summarise_array(tensor.detach().numpy()))


def keep(key, tensor, kept):
    return tensor.detach().numpy().copy()


def begin_difference(key, tensor, kept):
    return Row(summarise_difference(tensor.detach().numpy(), kept))


def send(rows):
    return list(rows)


def finish_sent(rows):
    if broken:
        raise broken.pop()
    waited.append(len(rows))
    return [row.summary for row in rows]


finish = finish_sent


def move_there(monkeypatch):
    """Have all of PyTorch's tensors taken for some of this library."""
    waited.clear()
    broken.clear()
    monkeypatch.setattr(inside, "_begins", {})
    files = dict.fromkeys((torch.Tensor, torch.nn.Parameter), __import__(__name__, fromlist=["begin"]))
    monkeypatch.setattr(inside, "_files", files)
