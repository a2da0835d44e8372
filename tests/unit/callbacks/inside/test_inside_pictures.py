"""The pictures: what is drawn, how names are written, and what colors are said to mean."""

import io
import itertools

import numpy as np
import pytest
import torch
from tests.unit.callbacks.inside.sick_networks import dead, scaled
from tests.unit.callbacks.inside.trainings import WHAT, inputs, loss_of, train

import onlooker as ol


def test_pictures():
    inside = ol.callbacks.Inside(WHAT)
    with pytest.raises(ValueError, match="nothing to draw"):
        inside.plot()
    train("mlp", [inside])
    assert [axes.get_title("left") for axes in inside.plot().axes[:3]] == [
        "updates, relative to the weights",
        "norm of the gradients: dark is small, yellow is large",
        "outputs that are exactly zero, of the layers that have some",
    ]
    for what in WHAT:
        figure = inside.plot("0" if what.startswith("act") else "0.weight", what)
        assert figure.axes[0].get_title("left").startswith(what)
        figure.savefig(io.BytesIO())
    with pytest.raises(KeyError):
        inside.plot("0", "weights")


def test_pictures_of_one_look_and_of_nothing_but_zeros():
    inside = ol.callbacks.Inside(WHAT, every=ol.at(steps=1))
    train("mlp", [inside])
    inside.plot().savefig(io.BytesIO())
    inside.plot("0.bias", "gradients").savefig(io.BytesIO())
    zero = ol.callbacks.Inside(("weights", "updates"))
    train("mlp", [zero], make=lambda parameters, lr: torch.optim.SGD(parameters, lr=0.0))
    zero.plot().savefig(io.BytesIO())
    zero.plot("0.weight", "updates").savefig(io.BytesIO())


class Many(torch.nn.Module):
    """A hundred layers, of which one is sick."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(100)])
        self.head = torch.nn.Linear(4, 1)
        self.layers[57].requires_grad_(False)

    def forward(self, x):
        for layer in self.layers:
            x = x + 0.1 * layer(x)
        return self.head(x)


def drawn(model, steps=3):
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.001)
    inside = ol.callbacks.Inside()
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp", steps)):
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                optimizer.step()
    return inside.plot()


def test_a_picture_of_many_layers_stays_on_a_page_and_names_the_sick_one():
    figure = drawn(Many())
    assert figure.get_size_inches()[1] < 20
    figure.canvas.draw()
    for axes in figure.axes[:2]:
        labels = axes.get_yticklabels()
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 + 1 for below, above in itertools.pairwise(boxes)), "none overlap"
        assert [label.get_text() for label in labels if label.get_color() == "firebrick"] == ["▸ layers.57"]
        assert len(labels) > 20


def test_a_long_name_leaves_room_for_the_picture():
    long = "generator_with_a_name_that_leaves_no_room_for_a_picture"
    model = torch.nn.Sequential()
    model.add_module(long, torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)))
    figure = drawn(model)
    figure.canvas.draw()
    assert [one.get_text() for one in figure.axes[0].get_yticklabels()] == [
        "generator_…_room_for_a_picture.0",
        "generator_…_room_for_a_picture.1",
    ]
    assert figure.axes[0].get_position().width > 0.5


def test_grey_is_said_to_be_a_layer_that_is_not_trained():
    words = [text.get_text() for axes in drawn(Many()).axes if axes.get_legend() for text in axes.get_legend().texts]
    assert words == ["no optimizer changes it, or not seen", "no gradient, or not seen"]


def test_only_the_first_of_the_table_has_an_arrow():
    figure = dead(torch.optim.SGD, 0.01).plot()
    for axes in figure.axes[:3]:
        labels = axes.get_yticklabels()
        assert [one.get_text() for one in labels if one.get_text().startswith("▸")] in ([], ["▸ 7"])
    assert [one.get_text() for one in labels if one.get_color() == "firebrick"] == ["▸ 7"]


def test_what_is_not_finite_takes_no_colors_from_the_rest():
    figure = scaled(1000, torch.optim.SGD, 1e-5, steps=8).plot()
    assert figure.axes[1].get_title("left").startswith("norm of the gradients")
    colors = figure.axes[1].collections[0]
    assert colors.norm.vmax < 1e30, "the largest that is finite in all of its layer"
    values = np.ma.masked_invalid(colors.get_array())
    assert colors.norm.vmax == pytest.approx(values.max())
    assert np.ptp(colors.norm(values.compressed())) > 0.2


def test_without_matplotlib(monkeypatch):
    import sys

    inside = ol.callbacks.Inside()
    train("mlp", [inside])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "onlooker.callbacks.inside.figures", raising=False)
    monkeypatch.delitem(sys.modules, "onlooker.callbacks.curve_figure", raising=False)
    with pytest.raises(ImportError, match=r"onlooker\[plot\]"):
        inside.plot()
