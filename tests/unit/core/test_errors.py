"""Both `except` clauses work: Onlooker's own, and the built-in that a reader would expect."""

import pytest

from onlooker.core import errors

BUILT_IN = {
    errors.AttachError: TypeError,
    errors.NotAttachedError: AttributeError,
    errors.TriggerError: ValueError,
    errors.GrammarError: RuntimeError,
    errors.AbsentError: RuntimeError,
    errors.LogError: ValueError,
    errors.MissingLogError: KeyError,
    errors.LoopError: RuntimeError,
    errors.DataError: ValueError,
    errors.PictureError: ValueError,
    errors.LookError: TypeError,
    errors.MissingExtraError: ImportError,
}


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_each_is_both(kind):
    assert issubclass(kind, errors.OnlookerError)
    assert issubclass(kind, BUILT_IN[kind])
    assert str(kind("it's so")) == "it's so"  # KeyError would show its repr


def test_no_error_is_left_out_here():
    kinds = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.OnlookerError)
    }
    assert kinds - {errors.OnlookerError} == set(BUILT_IN)


def test_the_warning_is_one_that_is_shown():
    assert issubclass(errors.OnlookerWarning, UserWarning)


def test_missing_extra_is_one_line_with_the_command():
    assert str(errors.missing_extra("plot", "matplotlib")) == (
        "matplotlib is not installed; run: pip install 'onlooker[plot]'"
    )


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("on_epoch_ends", ["on_epoch_begin", "on_epoch_end"], "on_epoch_end"),
        ("rais", ["raise", "warn"], "raise"),
        ("xyz", ["raise", "warn"], None),
        ("a", [], None),
    ],
)
def test_nearest(name, known, expected):
    assert errors.nearest(name, known) == expected
