"""What is said of names that are nothing to look at, or were not seen."""

import pickle

import pytest
import torch
from tests.unit.callbacks.inside.trainings import inputs, loss_of, mlp, train

import onlooker as ol


def test_history_of_what_was_not_seen():
    inside = ol.callbacks.Inside(("weights", "gradients"))
    with pytest.raises(KeyError, match="seen so far: nothing"):
        inside.history("0.weight", "gradients")
    train("mlp", [inside])
    with pytest.raises(KeyError, match=r"did you mean '0.weight'"):
        inside.history("0.weigth", "gradients")
    with pytest.raises(KeyError, match=r"no updates of '0\.weight'.*looks at weights, gradients: name 'updates'"):
        inside.history("0.weight", "updates")
    assert inside.names("gradients") == ["0.weight", "0.bias", "3.weight", "3.bias"]


@pytest.mark.parametrize("ask", ["history", "plot", "names"])
def test_what_is_nothing_to_look_at_is_said_as_when_it_is_made(ask):
    inside = ol.callbacks.Inside()
    train("mlp", [inside])
    arguments = () if ask == "names" else ("0.weight",)
    with pytest.raises(ValueError, match="what='updat' is nothing to look at; did you mean 'updates'"):
        getattr(inside, ask)(*arguments, what="updat")
    with pytest.raises(ValueError, match="what=None is nothing to look at; expected some of weights"):
        getattr(inside, ask)(*arguments, what=None)


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("head.weight", "weights", "it is the same weight as 'embed.weight', and kept under that name"),
        ("head.weight", "gradients", "it is the same weight as 'embed.weight'"),
        ("layer.weight", "gradients", "; seen so far: 'embed.weight', 'blocks.0.norm.weight'.* and 9 more"),
        ("embed.weihgt", "weights", "did you mean 'embed.weight'[?] seen so far: 'embed.weight'"),
        (
            "blocks.0.norm",
            "weights",
            "that is a layer, and its weights are 'blocks.0.norm.weight', 'blocks.0.norm.bias'",
        ),
        ("embed.weight", "activations", "of layers there are activations, not of weights: did you mean 'embed'"),
        (0, "weights", "expected a name as text; seen so far"),
    ],
)
def test_a_name_that_was_not_seen(name, what, words):
    inside = ol.callbacks.Inside()
    train("gpt", [inside])
    with pytest.raises(KeyError, match=f"no {what} of {name!r} were seen.*{words}"):
        inside.history(name, what)


def test_a_name_that_was_not_seen_where_the_model_is_not_known():
    inside = ol.callbacks.Inside()
    train("gpt", [inside])
    with pytest.raises(KeyError, match=r"no weights of 'head.weight' were seen.*seen so far"):
        pickle.loads(pickle.dumps(inside)).history("head.weight", "weights")


def test_a_shared_weight_among_several_models():
    first, second = mlp(), mlp()
    second[0].weight = first[0].weight
    inside = ol.callbacks.Inside("weights")
    optimizers = torch.optim.Adam(first.parameters(), lr=0.01)
    with ol.Loop({"first": first, "second": second}, optimizers, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp")):
                optimizers.zero_grad()
                loss_of("mlp", first, x).backward()
                optimizers.step()
    with pytest.raises(KeyError, match=r"it is the same weight as 'first\.0\.weight'"):
        inside.history("second.0.weight", "weights")
