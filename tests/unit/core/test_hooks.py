"""The fourteen names, and the grammar against a regular expression written from the design's page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.core.errors import GrammarError
from onlooker.core.hooks import ALIASES, HOOKS, SCOPES, TOP_SCOPES, GrammarChecker, arguments, check_grammar, signature

FOURTEEN = [
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_begin",
    "on_predict_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
]

# One letter for each hook: upper case begins, lower case ends.
LETTERS = dict(zip(FOURTEEN, "TtEeBbVvWwPpQq", strict=True))
TEST, PREDICT = "V(Ww)*v", "P(Qq)*p"
BATCH = f"B({TEST}|{PREDICT})*b"
EPOCH = f"E({BATCH}|{TEST}|{PREDICT})*e"
RUNS = re.compile(f"(T({EPOCH})*t|{TEST}|{PREDICT})*")


def is_run(hooks):
    return RUNS.fullmatch("".join(LETTERS[hook] for hook in hooks)) is not None


def is_accepted(hooks):
    try:
        check_grammar(hooks)
    except GrammarError:
        return False
    return True


def test_there_are_fourteen_in_their_order():
    assert list(HOOKS) == FOURTEEN


def test_keras_older_names_are_two():
    assert ALIASES == {"on_batch_begin": "on_train_batch_begin", "on_batch_end": "on_train_batch_end"}


@pytest.mark.parametrize("hook", FOURTEEN)
def test_arguments(hook):
    if "batch" in hook:
        expected = ("batch", "logs")
    elif "epoch" in hook:
        expected = ("epoch", "logs")
    else:
        expected = ("logs",)
    assert arguments(hook) == expected
    assert signature(hook) == f"def {hook}(self, {', '.join(expected)}=None)"


def test_every_scope_has_its_two_hooks_and_its_stage():
    for name, scope in SCOPES.items():
        assert (scope.name, scope.begin, scope.end) == (name, f"on_{name}_begin", f"on_{name}_end")
        assert HOOKS[scope.begin] is HOOKS[scope.end] is scope
        assert scope.stage == ("train" if name == "epoch" else name.removesuffix("_batch"))
        assert repr(scope) == f"Scope({name!r})"
    assert TOP_SCOPES == ("train", "test", "predict")


@given(st.lists(st.sampled_from(FOURTEEN), max_size=12))
def test_any_word_is_judged_as_the_regular_expression_does(hooks):
    assert is_accepted(hooks) == is_run(hooks)


@given(st.data())
def test_any_walk_along_what_is_expected_is_a_run(data):
    """From the other side: follow `expected()`, break off anywhere, close what is open; it matches the expression."""
    checker, hooks = GrammarChecker(), []
    for _ in range(data.draw(st.integers(0, 25))):
        hooks.append(data.draw(st.sampled_from(checker.expected())))
        checker.hook(hooks[-1])
    while checker.open_scopes:
        hooks.append(SCOPES[checker.open_scopes[-1]].end)
        checker.hook(hooks[-1])
    checker.finish()
    assert is_run(hooks)


@given(st.data())
def test_a_run_with_one_hook_changed_is_judged_as_the_regular_expression_does(data):
    checker, hooks = GrammarChecker(), []
    for _ in range(data.draw(st.integers(1, 15))):
        hooks.append(data.draw(st.sampled_from(checker.expected())))
        checker.hook(hooks[-1])
    hooks += [SCOPES[name].end for name in reversed(checker.open_scopes)]
    place = data.draw(st.integers(0, len(hooks) - 1))
    hooks[place : place + 1] = data.draw(st.lists(st.sampled_from(FOURTEEN), max_size=2))
    assert is_accepted(hooks) == is_run(hooks)


def test_the_message_says_what_came_where_and_what_was_expected():
    checker = GrammarChecker()
    with pytest.raises(GrammarError, match="on_epoch_begin came outside any stage; expected one of: on_train_begin"):
        checker.hook("on_epoch_begin")
    checker.hook("on_train_begin")
    checker.hook("on_epoch_begin")
    assert checker.open_scopes == ("train", "epoch")
    with pytest.raises(GrammarError, match="on_train_end came within epoch; expected one of: on_train_batch_begin"):
        checker.hook("on_train_end")
    with pytest.raises(GrammarError, match="the hooks ended within train > epoch; expected on_epoch_end"):
        checker.finish()


def test_a_name_that_is_no_hook_is_refused():
    with pytest.raises(GrammarError, match="on_fit_begin"):
        GrammarChecker().hook("on_fit_begin")
