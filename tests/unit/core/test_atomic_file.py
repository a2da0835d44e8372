"""A file appears whole or not at all."""

import os

import pytest

from onlooker.core.atomic_file import AtomicFile


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def test_it_appears_when_the_block_ends_well(tmp_path):
    path = tmp_path / "deep" / "down" / "note.txt"
    with AtomicFile(path) as beside:
        write(beside, "whole")
        assert not path.exists()
        assert os.path.dirname(beside) == str(path.parent)  # a rename within one directory is atomic
        assert beside.endswith(".txt")
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["note.txt"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("is_begun", [True, False])
def test_what_is_there_stays_as_it_was_when_the_block_fails(tmp_path, kind, is_begun):
    path = tmp_path / "note.txt"
    path.write_text("before")

    def fail():
        with AtomicFile(path) as beside:
            if is_begun:
                write(beside, "half")
            raise kind("no")

    with pytest.raises(kind, match="no"):
        fail()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_what_is_there_is_replaced(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("before")
    with AtomicFile(str(path)) as beside:
        write(beside, "after")
    assert path.read_text() == "after"


def test_a_path_relative_to_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with AtomicFile("note") as beside:
        write(beside, "whole")
    assert (tmp_path / "note").read_text() == "whole"


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), AtomicFile(tmp_path / "file" / "note.txt"):
        pytest.fail("the block must not be entered")


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/new/"])
def test_a_directory_in_its_place(tmp_path, form):
    path = form.format(tmp_path)
    with pytest.raises(IsADirectoryError, match="expected the path of a file in it") as caught, AtomicFile(path):
        pytest.fail("the block must not be entered")
    assert caught.value.filename == path
    assert ".part" not in str(caught.value)


def test_a_file_in_the_place_of_its_directory(tmp_path):
    (tmp_path / "taken").write_text("")
    path = str(tmp_path / "taken" / "note.txt")
    with pytest.raises(NotADirectoryError, match="taken' is a file, no directory") as caught, AtomicFile(path):
        pytest.fail("the block must not be entered")
    assert caught.value.filename == path


def test_what_cannot_be_written_is_said_before_the_work_and_by_the_name_that_was_given(tmp_path):
    path = str(tmp_path / f"{'long' * 63}.pt")
    with pytest.raises(OSError, match="long") as caught, AtomicFile(path):
        pytest.fail("the block must not be entered")
    assert caught.value.filename == path
    assert os.listdir(tmp_path) == []


def test_nothing_written_is_an_error_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("before")
    with pytest.raises(FileNotFoundError), AtomicFile(path):
        pass
    assert path.read_text() == "before"
