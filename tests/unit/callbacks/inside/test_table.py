"""The table: in narrow terminals, of many layers, in files and notebooks, and of what has no numbers."""

import io

import pytest
import torch
from rich.console import Console
from tests.unit.callbacks.inside.sick_networks import Odd, Wide, bad_gradient, dead, network, train
from torch import nn
from torch.optim import SGD, Adam

import onlooker as ol
from onlooker.callbacks.inside.standing_out import layer_looks


def shown(table, width=200, **arguments):
    console = Console(width=width, file=io.StringIO(), **arguments)
    console.print(table)
    return console.file.getvalue()


def test_the_table_says_that_it_is_no_diagnosis():
    assert "which may be so because of another layer" in shown(dead(SGD, 0.01).table())
    model = network()
    assert "because of another" not in shown(train(model, Adam(model.parameters(), lr=0.001)).table())


def test_a_table_of_many_layers_is_cut_off():
    model = Wide()
    inside = train(model, Adam(model.parameters(), lr=0.001), steps=1)
    text = shown(inside.table())
    assert "and 171 more layers: table(most=None) shows all" in text
    assert len(text.splitlines()) < 40
    assert len(shown(inside.table(most=None)).splitlines()) > 200
    assert "more layers" not in shown(inside.table(most=None))


@pytest.mark.parametrize("most", ["3", 0, -1, 2.5, True])
def test_a_number_of_rows_that_is_none(most):
    with pytest.raises(ValueError, match=r"most=.*expected how many layers"):
        ol.callbacks.Inside().table(most=most)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_in_a_narrow_terminal_words_and_numbers_stay_whole(width):
    looks = dead(SGD, 0.01), train(Wide(), SGD([nn.Parameter(torch.ones(1))], lr=0.1), steps=1)
    for inside in looks:
        lines = shown(inside.table(), width=width).splitlines()
        assert max(map(len, lines)) <= width
        assert "…" not in "".join(lines)
    text = shown(looks[0].table(), width=width)
    row = next(line for line in text.splitlines() if line.split()[:1] == ["6"])
    assert "was not" in row
    assert all(word in text.split() for word in ["100.0%", "of", "its", "outputs", "are", "zero"])
    rows = looks[0].table(most=None)._columns
    for title, cells in rows.items():
        assert f"no room for: {title}" in " ".join(text.split()) or all(cell in text for cell in cells) or width < 100
    assert ("no room for" in text) == (width < 100)


def test_into_a_file_it_is_plain_text():
    text = shown(bad_gradient(3, steps=6).table(), width=80)
    assert "\x1b" not in text
    assert "not finite since step 4" in " ".join(text.split())


def test_in_a_notebook():
    bundle = dead(SGD, 0.01).table()._repr_mimebundle_([], [])
    assert "100.0% of its outputs" in bundle["text/plain"]
    assert "<span" in bundle["text/html"]


@pytest.mark.filterwarnings("ignore::onlooker.OnlookerWarning")  # there is no difference of truth values
def test_what_is_empty_is_called_so_and_has_no_numbers():
    model = Odd()
    inside = train(model, Adam([p for p in model.parameters() if p.requires_grad], lr=0.001))
    text = shown(inside.table())
    assert "nan" not in text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["nothing"])
    assert row.split() == ["nothing", "–", "–", "–", "empty:", "no", "elements"]
    assert not next(one for one in layer_looks(inside.latest) if one.name == "nothing").stands_out
    inside.plot().savefig(io.BytesIO())
    for name in inside.names("weights"):
        figure = inside.plot(name)
        figure.savefig(io.BytesIO())
        words = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert ("empty: no elements" in words) == (name == "nothing.weight"), name
