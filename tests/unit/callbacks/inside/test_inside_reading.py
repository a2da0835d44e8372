"""The past as arrays, the table, the pictures, the records, and a resumed training."""

import io
import math

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.unit.callbacks.inside.trainings import WHAT, Sink, inputs, loss_of, mlp, train

import onlooker as ol
from onlooker.callbacks.inside.sheets import all_sheets
from onlooker.callbacks.inside.standing_out import layer_looks, worst_first
from onlooker.callbacks.inside.timeline import Timeline


def shown(table):
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 30, 100])
def test_when_there_are_too_many_rows_neighbours_are_added_up(count):
    arrays = [np.random.default_rng(at).normal(size=5).astype("float32") * (at + 1) for at in range(count)]
    timeline = Timeline(8, ["other", "weight"])
    for at, array in enumerate(arrays):
        timeline.add(at + 1, {"weight": ol.summary(array), "other": ol.summary(array * 0)})
    history = timeline.read("weight")
    assert count / 2 > len(history) or len(history) == min(count, len(history))
    assert (4 if count > 8 else count) <= len(history) <= 8
    assert history.looks.sum() == count
    assert len(set(history.looks[:-1].tolist())) <= 1, "all of the same length"
    end = 0
    for row, looks in enumerate(history.looks):
        begin, end = end, end + looks
        part = np.concatenate(arrays[begin:end]).astype("float64")
        assert history.steps[row] == end
        assert history.mean[row] == pytest.approx(part.mean())
        assert history.std[row] == pytest.approx(part.std())
        assert history.norm[row] == pytest.approx(math.sqrt((part**2).sum() / looks))
        assert (history.min[row], history.max[row]) == (part.min(), part.max())
        assert history.bins[row].tolist() == list(ol.summary(part.astype("float32")).bins)


def test_extremes_of_what_has_no_finite_elements():
    timeline = Timeline(2, ["weight"])
    for value in (math.nan, 1.0, math.nan, math.inf):
        timeline.add(1, {"weight": ol.summary(np.array([value], dtype="float32"))})
    history = timeline.read("weight")
    assert history.min[0] == 1.0
    assert math.isnan(history.min[1])
    assert (history.nan.tolist(), history.inf.tolist()) == ([1, 1], [0, 1])


def test_records():
    inside, sink = ol.callbacks.Inside(WHAT, every=ol.every(steps=5)), Sink()
    train("mlp", [inside, sink])
    assert [(one.what, one.step, one.epoch) for one in sink.of("Summaries")] == [
        (what, step, epoch) for step, epoch in ((5, 0), (10, 1)) for what in WHAT
    ]
    assert sink.of("Summaries")[-4].summaries == inside.latest["gradients"]
    assert inside.latest_step == 10


def test_ratios():
    inside = ol.callbacks.Inside(("weights", "updates"))
    model, seen = train("mlp", [inside])
    for layer in ("0", "3"):
        update = sum(float(seen.updates[-1][f"{layer}.{name}"].square().sum()) for name in ("weight", "bias"))
        weight = sum(float(one.detach().square().sum()) for one in model[int(layer)].parameters())
        assert inside.ratios()[layer] == pytest.approx(math.sqrt(update / weight), rel=1e-5)


def sick(kind):
    """Train a network of eight layers of which the fourth is sick."""
    torch.manual_seed(0)
    layers = [part for _ in range(8) for part in (torch.nn.Linear(8, 8), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(8, 1))
    for layer in model[::2]:
        torch.nn.init.kaiming_normal_(layer.weight)
    groups = [{"params": [p for name, p in model.named_parameters() if name.partition(".")[0] != "6"]}]
    if kind != "forgotten":
        groups.append({"params": model[6].parameters(), "lr": {"fast": 3.0, "slow": 1e-8}.get(kind, 0.001)})
    optimizer, inside = torch.optim.Adam(groups, lr=0.001), ol.callbacks.Inside(keep=8)
    if kind == "dead":
        torch.nn.init.constant_(model[6].bias, -100)
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for number, x in enumerate(loop.train(list(torch.randn(10, 16, 8)))):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                if kind == "not finite" and number == 7:
                    model[6].weight.grad[0, 0] = math.nan
                optimizer.step()
    return inside


@pytest.mark.parametrize(
    ("kind", "layer", "words"),
    [
        (
            "not finite",
            "6",
            "not finite since step 8, before all others; all weights, gradients, updates, outputs are NaN",
        ),
        ("forgotten", "6", "no optimizer changes it"),
        ("fast", "6", "times larger than what is usual"),
        ("slow", "6", "times smaller than what is usual"),
        ("dead", "7", "100.0% of its outputs are zero"),
    ],
)
def test_the_sick_layer_comes_first(kind, layer, words):
    inside = sick(kind)
    first = worst_first(layer_looks(inside.latest, inside._past.beginnings))[0]
    assert first.name == layer
    text = shown(inside.table())
    assert any(words in line for line in text.splitlines())
    assert "and 14 more layers" in shown(inside.table(most=3))
    labels = [label for axes in inside.plot().axes for label in axes.get_yticklabels()]
    assert f"▸ {layer}" in {label.get_text() for label in labels if label.get_color() == "firebrick"}
    sheets = all_sheets(lambda what: {name: inside.history(name, what) for name in inside.names(what)})
    assert set(sheets) == {"ratio", "gradients", "zeros"}
    assert sheets["ratio"].layers == [str(at) for at in range(0, 17, 2)]
    row = sheets["ratio"].layers.index("6")
    if kind == "forgotten":
        assert np.isnan(sheets["ratio"].values[row]).all()
    if kind == "not finite":
        assert sheets["ratio"].is_bad[row].tolist() == [False, False, False, True, True]


def test_nothing_stands_out_in_a_healthy_training():
    torch.manual_seed(0)
    inside = ol.callbacks.Inside()
    train("cnn", [inside], make=lambda parameters, lr: torch.optim.Adam(parameters, lr=0.001), epochs=4)
    assert [one.remarks for one in layer_looks(inside.latest) if one.remarks] == []


def test_a_resumed_training_goes_on_with_its_past(tmp_path):
    path = tmp_path / "run.pt"

    def go(epochs, resume=None, save=False):
        inside = ol.callbacks.Inside(WHAT, keep=4)

        class Save(ol.Callback):
            def on_epoch_end(self, epoch, logs):
                if save:
                    self.run.save(path)

        model = mlp()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        with ol.Loop(model, optimizer, callbacks=[inside, Save()], resume=resume) as loop:
            for _ in loop.epochs(epochs):
                for x in loop.train(inputs("mlp")):
                    optimizer.zero_grad()
                    loss_of("mlp", model, x).backward()
                    optimizer.step()
        return inside

    torch.manual_seed(5)
    whole = go(3)
    torch.manual_seed(5)
    go(1, save=True)
    resumed = go(3, resume=path)
    for what in WHAT:
        for name in whole.names(what):
            one, other = whole.history(name, what), resumed.history(name, what)
            assert one.steps.tolist() == other.steps.tolist()
            assert one.norm.tolist() == other.norm.tolist()
            assert one.bins.tolist() == other.bins.tolist()


def test_a_state_is_taken_back_with_fewer_rows():
    inside = ol.callbacks.Inside()
    train("mlp", [inside])
    fewer = ol.callbacks.Inside(keep=4)
    fewer.load_state_dict(inside.state_dict())
    history = fewer.history("0.weight", "updates")
    assert (len(history), history.looks.tolist(), history.steps.tolist()) == (3, [4, 4, 4], [4, 8, 12])


@pytest.mark.parametrize("what", WHAT)
def test_where_only_one_thing_is_looked_at(what):
    inside = ol.callbacks.Inside(what)
    train("mlp", [inside])
    assert inside.ratios() == {}
    assert "what stands out" in shown(inside.table())
    if what in ("gradients", "activations"):
        assert len(inside.plot().axes) == 2  # with the scale of its colours
    else:
        with pytest.raises(ValueError, match="nothing to draw"):
            inside.plot()
