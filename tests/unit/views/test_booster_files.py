"""What a boosting run leaves on disk, besides what its trainer writes."""

import json
import os

import numpy as np
import pytest

from onlooker.core.errors import DataError
from onlooker.views.booster_files import load_extra, save

EXTRA = {"next_epoch": 3, "step": 3, "callbacks": {"Watch": {"best": 0.5}}}


def write_model(path):
    with open(path, "w") as file:
        file.write("a model")


def saved(path, state):
    save(str(path), write_model, {**EXTRA, "callbacks": {"Watch": state}})
    return load_extra(str(path))["callbacks"]["Watch"]


def test_both_files_and_nothing_else(tmp_path):
    save(str(tmp_path / "model.json"), write_model, EXTRA)
    assert sorted(os.listdir(tmp_path)) == ["model.json", "model.json.run.json"]
    assert (tmp_path / "model.json").read_text() == "a model"
    assert json.loads((tmp_path / "model.json.run.json").read_text()) == EXTRA
    assert load_extra(str(tmp_path / "model.json")) == EXTRA


def test_states_come_back(tmp_path):
    state = {"words": ["a", None, True], "numbers": (1, 2.5), "infinite": float("inf"), "scalar": np.float32(0.5)}
    assert saved(tmp_path / "m", state) == {**state, "numbers": [1, 2.5], "scalar": 0.5}


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.ones(2, "float32"), np.array([True]), np.zeros(0)])
def test_arrays_come_back_with_their_kind(tmp_path, array):
    found = saved(tmp_path / "m", {"array": array})["array"]
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": [1, object()]}, r"the state\['callbacks'\]\['Watch'\]\['a'\]\[1\] is of type object"),
        ({"a": {1: 2}}, r"\['a'\] has names that are no words"),
        ({"a": {3, 4}}, "of type set"),
        ({"a": np.array(["x"])}, "of type ndarray"),
    ],
)
def test_what_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path, state, where):
    with pytest.raises(DataError, match=where):
        saved(tmp_path / "m", state)
    assert os.listdir(tmp_path) == []


def test_a_model_that_cannot_be_written_leaves_the_old_files(tmp_path):
    def fail(path):
        write_model(path)
        raise ZeroDivisionError

    path = str(tmp_path / "m")
    save(path, write_model, EXTRA)
    with pytest.raises(ZeroDivisionError):
        save(path, fail, {**EXTRA, "step": 4})
    assert load_extra(path) == EXTRA
    assert sorted(os.listdir(tmp_path)) == ["m", "m.run.json"]


@pytest.mark.parametrize("text", ["no json", "[1]", '{"step": 3}'])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "m.run.json").write_text(text)
    with pytest.raises(DataError, match=r"m\.run\.json is no file of run\.save"):
        load_extra(str(tmp_path / "m"))


def test_none_there(tmp_path):
    with pytest.raises(DataError, match=r"m\.run\.json is not there: run\.save"):
        load_extra(str(tmp_path / "m"))
