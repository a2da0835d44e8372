"""Everything public is in the reference, and whatever a user needs is in the guide."""

import re

import pytest
from tests.docs.pages import DOCS, ROOT

import onlooker
from onlooker.core import errors
from onlooker.core.hooks import HOOKS
from onlooker.core.run import Run

REFERENCE = (DOCS / "reference" / "api.md").read_text("utf-8")
GUIDE = "\n".join(page.read_text("utf-8") for page in sorted((DOCS / "guide").glob("*.md")))

PUBLIC = [f"ol.{name}" for name in onlooker.__all__] + [
    f"ol.callbacks.{name}" for name in onlooker.callbacks.__all__ if name != "Callback"
]
# Names for the same under which the guide need not show it.
SAME = {"ol.callbacks.LambdaCallback": "ol.callbacks.Lambda", "ol.callbacks": "ol.callbacks."}

ERRORS = [
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.OnlookerError)
]
# What a user asks of a run; the rest is the host's.
RUN = [name for name, member in vars(Run).items() if not name.startswith("_") and callable(member)]
OF_THE_HOST = {"where", "reset", "conclude", "step_at_begin"}


def occurs(name: str, text: str) -> bool:
    """Whether a name occurs as a word."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_an_entry_in_the_reference(name):
    assert name in SAME or f"### `{name}`\n" in REFERENCE


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_occur_in_the_guide(name):
    name = SAME.get(name, name)
    # An instance of a run or of logs is met as `self.run` and `logs`.
    assert name in ("ol.Run", "ol.Logs") or occurs(name, GUIDE) or (name.endswith(".") and name in GUIDE)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_occur_in_the_guide(name):
    assert occurs(name, GUIDE) or occurs(f"ol.{name}", GUIDE)


@pytest.mark.parametrize("name", RUN)
def test_what_may_be_asked_of_a_run_occurs_in_the_guide(name):
    assert name in OF_THE_HOST or f"run.{name}" in GUIDE


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_have_a_row_in_the_guide(name):
    assert f"| `{name}(" in (DOCS / "guide" / "hooks.md").read_text("utf-8")


def test_commands_that_are_named_exist():
    """`make …` in a block of shell is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"^make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


def test_a_missing_name_is_seen():
    assert occurs("ol.every", "@ol.every(epochs=5)")
    assert not occurs("ol.every", "ol.everything, tool.every")
