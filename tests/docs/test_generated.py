"""Whatever in the documentation is made from the code is what the code makes."""

from xml.dom import minidom

import pytest
from docs.tools import generate
from docs.tools.host_tables import make_host_page, make_readme_table
from docs.tools.timeline import draw_timeline
from tests.docs.pages import ROOT

from onlooker.core.declaration import ABILITIES, Declaration, absent
from onlooker.core.hooks import HOOKS
from onlooker.host_table import find_declarations


@pytest.mark.parametrize("name", generate.FILES)
def test_it_is_up_to_date(name):
    assert (ROOT / name).read_text("utf-8") == generate.FILES[name](), "run: python -m docs.tools.generate"


def test_the_host_page_says_everything():
    page = make_host_page()
    for host in find_declarations():
        assert host.name in page
        assert host.use in page
        for support in (*host.hooks.values(), *host.abilities.values()):
            assert support.reason[1:].rstrip(".") in page
    for name in (*HOOKS, *ABILITIES):
        assert f"`{name}`" in page


def test_each_host_is_there_once():
    names = [host.name for host in find_declarations()]
    assert len(set(names)) == len(names) > 3


def test_a_new_host_shows(monkeypatch):
    newcomer = Declaration("Newcomer", use="fit()", abilities={"weights": absent("it has none")})
    monkeypatch.setattr("docs.tools.host_tables.find_declarations", lambda: [newcomer])
    assert "- Newcomer: absent. It has none." in make_host_page()
    assert make_readme_table().splitlines()[-1].endswith(f"| {len(HOOKS) + len(ABILITIES) - 1} | 0 | 1 |")


def test_the_timeline_shows_every_hook_in_order():
    drawing = draw_timeline()
    texts = [
        text.firstChild.data.partition("(")[0]
        for text in minidom.parseString(drawing).getElementsByTagName("text")
        if text.getAttribute("class") == "hook"
    ]
    assert set(texts) == set(HOOKS)
    training = texts[: texts.index("on_train_end") + 1]
    assert training[0] == "on_train_begin"
    assert training.index("on_test_end") < training.index("on_epoch_end")


def test_an_unknown_marker_is_seen(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no markers", "utf-8")
    monkeypatch.setattr(generate, "README", readme)
    with pytest.raises(ValueError, match="must have"):
        generate.make_readme()
