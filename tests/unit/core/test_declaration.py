"""What a host says of itself is complete, and says why."""

import json
import warnings

import pytest

from onlooker.core.declaration import ABILITIES, Declaration, Support, absent, emulated, native
from onlooker.core.errors import AttachError, OnlookerWarning
from onlooker.core.hooks import HOOKS


def test_what_is_not_named_is_native():
    declaration = Declaration("Here", use="use it", abilities={"step": emulated("counted")})
    assert list(declaration.hooks) == list(HOOKS)
    assert list(declaration.abilities) == list(ABILITIES)
    assert {support.level for name, support in declaration.abilities.items() if name != "step"} == {"native"}
    assert (declaration.abilities["step"].level, declaration.abilities["step"].reason) == ("emulated", "counted")


def test_the_order_is_always_the_same():
    declaration = Declaration("Here", use="", abilities={"step": native(), "logs": native()})
    assert list(declaration.abilities) == list(ABILITIES)


@pytest.mark.parametrize("level", ["emulated", "absent"])
def test_what_is_not_native_needs_a_reason(level):
    with pytest.raises(ValueError, match=f"support that is {level} needs a reason"):
        Support(level)


@pytest.mark.parametrize("given", [{"hooks": {"on_epoch_ends": native()}}, {"abilities": {"stepp": native()}}])
def test_a_name_that_does_not_exist_is_refused(given):
    with pytest.raises(AttachError, match=r"did you mean '(on_epoch_end|step)'\?"):
        Declaration("Here", use="", **given)


def test_needs():
    declaration = Declaration(
        "Here", use="", abilities={"gradients": absent("thrown away"), "step": emulated("counted")}
    )
    declaration.check_needs("Watch", ("step", "weights"))
    with pytest.raises(AttachError, match="Watch needs 'gradients', which is absent in Here: thrown away"):
        declaration.check_needs("Watch", ("step", "gradients"))
    with pytest.raises(AttachError, match="which is no ability; did you mean 'weights'"):
        declaration.check_needs("Watch", ("weight",))
    with pytest.raises(AttachError, match="which is no ability; known: params, logs"):
        declaration.check_needs("Watch", ("zzzz",))


BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end")


@pytest.mark.parametrize(
    ("heard", "message"),
    [
        (
            ("on_train_batch_end",),
            "Watch.on_train_batch_end is never called in Here: no batches. Use on_epoch_end instead",
        ),
        (
            ("on_test_batch_end",),
            "Watch.on_test_batch_end is never called in Here: no batches. Use on_test_end instead",
        ),
        (("on_predict_end",), "Watch.on_predict_end is never called in Here: alone"),
        (
            ("on_train_begin", "on_train_batch_end", "on_predict_end"),
            "Watch.on_train_batch_end and on_predict_end are never called in Here: no batches; alone. "
            "Use on_epoch_end instead",
        ),
        (
            BATCH_HOOKS,
            "Watch.on_train_batch_begin, on_train_batch_end, on_test_batch_begin and on_test_batch_end are never "
            "called in Here: no batches. Use on_epoch_begin, on_epoch_end, on_test_begin and on_test_end instead",
        ),
        (("on_train_batch_end", "on_epoch_end"), None),
        (("on_test_begin", "on_test_batch_end"), None),
        (("on_train_begin", "on_train_end", "on_predict_end"), None),
        (("on_train_end",), None),
        ((), None),
        (tuple(HOOKS), None),
    ],
)
def test_hooks_that_are_never_called(heard, message):
    hooks = {**dict.fromkeys(BATCH_HOOKS, absent("no batches")), "on_predict_end": absent("alone")}
    declaration = Declaration("Here", use="", hooks=hooks)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        declaration.warn_if_never_called("Watch", heard)
    assert [(one.category, str(one.message)) for one in caught] == ([(OnlookerWarning, message)] if message else [])


def test_a_hook_is_no_advice_where_it_is_absent_itself():
    declaration = Declaration("Here", use="", hooks={hook: absent("no tests") for hook in HOOKS if "test" in hook})
    with pytest.warns(OnlookerWarning, match="Watch.on_test_batch_end is never called in Here: no tests$"):
        declaration.warn_if_never_called("Watch", ("on_test_batch_end",))


def test_as_json():
    declaration = Declaration("Here", use="u", package="p", tested="1", hooks={"on_epoch_end": absent("no")})
    told = json.loads(json.dumps(declaration.as_dict()))
    assert (told["name"], told["use"], told["package"], told["tested"]) == ("Here", "u", "p", "1")
    assert told["hooks"]["on_epoch_end"] == {"level": "absent", "reason": "no"}
    assert told["abilities"]["logs"] == {"level": "native", "reason": ""}


def test_shown():
    assert repr(Declaration("Here", use="")) == "Declaration('Here')"
    assert (repr(native()), repr(absent("no"))) == ("native", "absent: no")
