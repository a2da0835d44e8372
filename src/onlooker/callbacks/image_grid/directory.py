"""A directory for results: made, and proven to take files, before the training that shall fill it.

Owns that question and its error. What is written there is the business of whoever writes.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from onlooker.core.errors import OnlookerError


class DirectoryError(OnlookerError, OSError):
    """A directory cannot be made, or takes no files."""


def prepare_directory(path: str | os.PathLike[str]) -> Path:
    """Make a directory if need be, and write a file there and remove it again.

    Asking for permissions would not do: they say nothing of a full disk, a read-only mount or the superuser.

    Raises:
        DirectoryError: with the reason of the operating system.
    """
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"onlooker")
    except OSError as error:
        raise DirectoryError(
            f"cannot write to directory {str(directory)!r}: {error.strerror or error}; "
            f"pass a directory that can be made and written to"
        ) from error
    return directory
