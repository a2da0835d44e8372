"""The random states that are kept while somebody looks."""

import random

import numpy as np
import pytest
import torch

from onlooker.views.shared_random import SharedRandom


def draw():
    return [random.random(), np.random.random(), float(torch.rand(()))]


def start():
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)


@pytest.mark.parametrize("seed", [None, 0, 2**40])
def test_they_are_kept(seed):
    start()
    without = draw()
    start()
    with SharedRandom(seed):
        draw()
    assert draw() == without


def test_also_where_it_fails():
    start()
    without = draw()
    start()
    with pytest.raises(ZeroDivisionError), SharedRandom(0):
        draw()[0] / 0
    assert draw() == without


def test_seeded_within():
    drawn = []
    for _ in range(2):
        draw()
        with SharedRandom(7):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
