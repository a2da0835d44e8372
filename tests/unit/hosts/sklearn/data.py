"""Data for these tests: few rows, three labels."""

import numpy as np

X = np.random.default_rng(1).normal(size=(40, 4))
NUMBERS = X @ [1.0, -2.0, 0.5, 3.0] + 1
LABELS = np.digitize(NUMBERS, np.quantile(NUMBERS, [0.3, 0.6]))
