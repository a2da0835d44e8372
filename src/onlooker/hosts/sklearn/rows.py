"""`Rows`: data as scikit-learn takes them, cut into batches.

Owns the ways of the several kinds of tables to give some of their rows, and the errors on lengths. What the data mean
is the estimator's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from onlooker.core.errors import DataError


class Batch(NamedTuple):
    """Some rows.

    Attributes:
        X: the inputs, of the kind that was passed.
        y: the targets, of shape (size,) or (size, outputs), or None.
        weight: the sample weights, of shape (size,), or None.
        size: how many rows there are.
    """

    X: Any
    y: Any
    weight: Any
    size: int

    @property
    def data(self) -> Any:
        """What callbacks see as the batch: inputs and targets, or the inputs alone."""
        return self.X if self.y is None else (self.X, self.y)


class Rows:
    """Inputs, targets and weights of equal length.

    Args:
        X: an array, a sparse matrix, a data frame, or a list.
        y: an array, a series or a list; None where there are no targets.
        weight: of each row, or None.
        batch_size: how many rows a batch has; the last may have fewer. None makes one batch of all.
        what: the names of the arguments, for messages.

    Attributes:
        y: the targets as an array, or None.
        columns: the shape of a row of the inputs, such as (4,).
        batch_count: how many batches there are.

    Raises:
        DataError: the lengths differ, or there is no row.
    """

    def __init__(
        self, X: Any, y: Any, weight: Any = None, batch_size: int | None = None, what: tuple[str, str] = ("X", "y")
    ) -> None:
        if hasattr(X, "tocsr"):
            X = X.tocsr()  # of the sparse ones, the one of which rows can be taken
        elif not hasattr(X, "shape"):
            X = _array_of(X, what[0])
        if not X.shape:
            raise _no_rows(X, what[0])
        self._X = X
        self.y = None if y is None else np.asarray(y)
        self._weight = None if weight is None else np.asarray(weight)
        self._count, self.columns = int(X.shape[0]), tuple(X.shape[1:])
        for name, column in ((what[1], self.y), ("sample_weight", self._weight)):
            if column is not None and (not column.shape or len(column) != self._count):
                length = len(column) if column.shape else "none"
                raise DataError(f"{what[0]} has {self._count} rows, but {name} has {length}; expected one for each row")
        if not self._count:
            raise DataError(f"{what[0]} has no row; there is nothing to train or to evaluate on")
        self._size = self._count if batch_size is None else batch_size
        self.batch_count = -(-self._count // self._size)

    @property
    def whole(self) -> Batch:
        """All rows as one batch, of the kind that was passed."""
        return Batch(self._X, self.y, self._weight, self._count)

    def batches(self, order: Any = None) -> Iterator[Batch]:
        """Yield the batches.

        Args:
            order: the numbers of the rows, in the order in which they are taken; None for their own.
        """
        if self.batch_count == 1 and order is None:
            yield self.whole
            return
        for begin in range(0, self._count, self._size):
            end = min(begin + self._size, self._count)
            rows = slice(begin, end) if order is None else order[begin:end]
            yield Batch(_take(self._X, rows), _take(self.y, rows), _take(self._weight, rows), end - begin)

    def order(self, seed: int, epoch: int) -> Any:
        """Return the rows' numbers shuffled, of shape (rows,); they follow from seed and epoch alone."""
        return np.random.default_rng([seed, epoch]).permutation(self._count)


def _array_of(X: Any, name: str) -> Any:
    """Return what is no table yet as an array.

    Raises:
        DataError: it has no rows, or they differ in length.
    """
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise DataError(f"{name}={X!r:.60} is no table: its rows must all have as many columns") from error
    if not array.shape:
        raise _no_rows(X, name)
    return array


def _no_rows(X: Any, name: str) -> DataError:
    return DataError(f"{name}={X!r:.60} has no rows; pass an array or a data frame of shape (rows, columns)")


def _take(table: Any, rows: Any) -> Any:
    if table is None:
        return None
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]
