"""The table of hosts: every test of this folder runs for each row. A new host is a new row.

A row is a small class that trains a tiny real model in its host's own way. What its methods and attributes mean is said
at `TorchHost` and `LoopHost` in `torch_hosts.py`.
"""

from tests.contract.keras_host import KerasHost
from tests.contract.torch_hosts import KerasCallbackInLoop, LoopHost, TrainerHost

HOSTS = (LoopHost, TrainerHost, KerasHost)
"""Where Onlooker's callbacks run."""

ALL_HOSTS = (*HOSTS, KerasCallbackInLoop)
"""And where Keras' own run too: for the promises that ask nothing of `self.run`."""
