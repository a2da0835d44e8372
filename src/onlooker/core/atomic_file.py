"""`AtomicFile`: a file that appears whole or not at all."""

from __future__ import annotations

import os
from errno import EISDIR, ENOTDIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AtomicFile:
    """A context that gives a path beside the wanted one, and renames it when the block ends well.

    Args:
        path: where the file shall appear; its directory is made if need be. A file that is there is replaced.

    Raises:
        OSError: the directory or the file cannot be written; it names the file as it was given.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "note.txt")
        >>> with AtomicFile(path) as beside:
        ...     with open(beside, "w") as file:
        ...         _ = file.write("whole")
        >>> open(path).read(), os.listdir(os.path.dirname(path))
        ('whole', ['note.txt'])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        directory, name = os.path.split(os.path.abspath(self._path))
        self._directory = directory
        # The suffix stays last: who writes pictures or weights goes by it.
        stem, suffix = os.path.splitext(name)
        self._beside = os.path.join(directory, f".{stem}.{os.getpid()}.part{suffix}")

    def __enter__(self) -> str:
        try:
            os.makedirs(self._directory, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(ENOTDIR, f"{self._directory!r} is a file, no directory", self._path) from None
        if os.path.isdir(self._path or ".") or self._path.endswith(os.sep):
            raise IsADirectoryError(EISDIR, "This is a directory; expected the path of a file in it", self._path)
        try:  # to write, before the work is done, and under the name that the caller knows
            with open(self._beside, "wb"):
                pass
            os.remove(self._beside)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from None
        return self._beside

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            with open(self._beside, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self._beside, self._path)
        elif os.path.exists(self._beside):
            os.remove(self._beside)
