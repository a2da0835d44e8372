"""Links between pages lead somewhere, down to the heading."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, PAGES, ROOT, name

LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
SOURCE = re.compile(r"""<(?:img|source)\b[^>]*?\b(?:src|srcset)="(?P<target>[^"]+)\"""")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
CODE = re.compile(r"^(`{3,}).*?^\1$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The names under which GitHub offers the headings of a page."""
    without_fences = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in HEADING.finditer(without_fences):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"])
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 0
        while (unique := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(unique)
    return found


def dead_links(page: Path, text: str) -> list[str]:
    dead = []
    bare = CODE.sub("", text)
    for link in (*LINK.finditer(bare), *SOURCE.finditer(bare)):
        target = link["target"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there.read_text("utf-8") if path else text)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    assert not dead_links(page, page.read_text("utf-8"))


def test_every_page_can_be_reached():
    """From the index, in any number of steps."""
    reached, left = set(), [DOCS / "index.md"]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.finditer(page.read_text("utf-8")):
            there = (page.parent / link["target"].partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_file() and ROOT in there.parents:
                left.append(there)
    assert {page for page in PAGES if DOCS in page.parents} <= reached


@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](#nowhere)", "![a](b.png)", '<img src="b.png">'])
def test_a_dead_link_is_seen(link):
    assert dead_links(DOCS / "index.md", f"# Here\n\n{link}\n")


def test_a_good_link_passes():
    text = "# A *word*, and `code()`\n\n[a](#a-word-and-code) [b](../README.md) [c](https://example.org) `[d](no.md)`\n"
    assert not dead_links(DOCS / "index.md", text)
