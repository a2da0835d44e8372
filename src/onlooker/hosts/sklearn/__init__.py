"""The host of scikit-learn's estimators: a loop of our own over their `partial_fit`, or over `fit` with `warm_start`.

- `fit_sklearn.py`: what a user calls: the order of epochs, validation and the end.
- `arguments.py`: what is refused among the arguments.
- `partial_fit.py`, `warm_start.py`: the two ways to train an epoch.
- `measures.py`: what is logged of a batch; `scores.py`: the user's metrics, over all rows.
- `rows.py`: the data, and how they are cut into batches.
"""

from .fit_sklearn import fit_sklearn as fit_sklearn
