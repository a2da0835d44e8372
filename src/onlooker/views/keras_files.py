"""The two files that `run.save` writes of a Keras model: Keras' own, and what Keras leaves out beside it.

Owns their names, and that they appear when both are written, or not at all. What is in them is the view's business.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR, ENOTDIR

from onlooker.core.errors import DataError

BESIDE = ".run.h5"
"""What is added to the path of a saved model: beside it stand position, random states and callbacks' states."""


def is_whole(path: str) -> bool:
    """Say whether a path is for a whole model, or else for weights.

    Raises:
        DataError: it is for neither.
    """
    if not path.endswith((".keras", ".weights.h5")):
        raise DataError(
            f"{path!r} tells Keras no format; end it in '.keras' (the whole model) or '.weights.h5' (no architecture)"
        )
    return path.endswith(".keras")


@contextmanager
def both_files(path: str) -> Iterator[str]:
    """Return a context that gives a path in a folder beside the wanted one, and puts both files in place at its end.

    Args:
        path: of the model's file; its directory is made if need be.

    Raises:
        OSError: nothing can be written there; it names the path as it was given.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(EISDIR, "This is a directory; expected the path of a file in it", path)
    folder, name = os.path.split(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        unfinished = tempfile.mkdtemp(prefix=".onlooker-", dir=folder)
    except FileExistsError:
        raise NotADirectoryError(ENOTDIR, f"{folder!r} is a file, no directory", path) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    try:
        beside = os.path.join(unfinished, name)
        yield beside
        os.replace(beside, path)
        os.replace(beside + BESIDE, path + BESIDE)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
