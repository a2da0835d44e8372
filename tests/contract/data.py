"""The data that every host trains on: small, the same for all, with a last batch that is smaller than the others."""

import numpy as np

X = np.random.default_rng(7).normal(size=(20, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")
HELD_OUT_X = np.random.default_rng(8).normal(size=(12, 4)).astype("float32")
HELD_OUT_Y = (HELD_OUT_X.sum(axis=1) > 0).astype("int64")

BATCH_SIZE = 8
BATCHES = 3  # of 8, 8 and 4
TEST_BATCHES = 2  # of 8 and 4


def batches_of(x, y):
    """Cut arrays into batches."""
    return [(x[at : at + BATCH_SIZE], y[at : at + BATCH_SIZE]) for at in range(0, len(x), BATCH_SIZE)]
