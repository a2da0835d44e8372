"""Whether a directory takes files is found out by trying."""

import os

import pytest

from onlooker.callbacks.image_grid.directory import DirectoryError, prepare_directory
from onlooker.core.errors import OnlookerError


def test_a_directory_is_made_and_left_empty(tmp_path):
    assert prepare_directory(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert os.listdir(tmp_path / "a" / "b") == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "kept.txt").write_text("kept")
    prepare_directory(tmp_path)
    assert os.listdir(tmp_path) == ["kept.txt"]


@pytest.mark.parametrize("below", ["file.txt", "file.txt/pictures"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    (tmp_path / "file.txt").touch()
    with pytest.raises(DirectoryError, match=rf"cannot write to directory '.*{below}': \w+") as caught:
        prepare_directory(tmp_path / below)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, OnlookerError)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a directory that takes no files, from nobody")
def test_a_directory_that_takes_no_files_is_refused():
    with pytest.raises(DirectoryError, match="cannot write to directory '/proc'"):
        prepare_directory("/proc")
