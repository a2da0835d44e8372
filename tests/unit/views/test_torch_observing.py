"""Observing puts a PyTorch model back to the very tensors and numbers, whatever a forward pass does to its buffers."""

import warnings

import pytest
import torch
from torch import nn

from onlooker.core.errors import OnlookerWarning
from onlooker.views.torch import TorchView


class Model(nn.Module):
    """Buffers of every kind, and a forward pass that is given."""

    def __init__(self, use=None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("mean", torch.arange(3.0))
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.register_buffer("nothing", None)
        self.register_buffer("count", torch.tensor(3))
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
        self.use = use

    def forward(self, inputs):
        return self.use(self, inputs)


def state(model):
    """All of a model that observing could disturb: identities, and numbers as plain data."""
    tensors = {**dict(model.named_parameters()), **{f"{one}*": buffer for one, buffer in named_buffers(model)}}
    return {
        "buffers": [
            [(name, id(one)) for name, one in module._buffers.items()]
            + sorted(module._non_persistent_buffers_set)
            + sorted(module.__dict__)
            + sorted(module._parameters)
            for module in model.modules()
        ],
        "values": {name: one.detach().to_dense().tolist() for name, one in tensors.items()},
        "shapes": {name: (one.shape, one.dtype) for name, one in tensors.items()},
        "gradients": {
            name: None if one.grad is None else (id(one.grad), one.grad.tolist())
            for name, one in tensors.items()
            if one.is_leaf
        },
        "flags": {name: (one.requires_grad, one.is_leaf) for name, one in tensors.items()},
        "modes": [module.training for module in model.modules()],
        "random": torch.get_rng_state().tolist(),
    }


def named_buffers(model):
    return [(name, one) for name, one in model.named_buffers(remove_duplicate=False) if one is not None]


def deletes(model, name):
    delattr(model, name)
    setattr(model, name, 5)


def takes_the_place(model):
    model.mean = nn.Parameter(torch.zeros(3))


def writes_with_a_graph(model):
    with torch.enable_grad():
        model.mean.add_(model.weight)


def back(model):
    with torch.enable_grad():
        model.weight.sum().backward()


USES = {
    "bound anew": lambda model: setattr(model, "mean", model.mean + 1),
    "bound anew to another shape": lambda model: setattr(model, "mean", torch.ones(7)),
    "bound to None": lambda model: setattr(model, "mean", None),
    "one that was None": lambda model: setattr(model, "nothing", torch.ones(2)),
    "one more": lambda model: model.register_buffer("new", torch.ones(2), persistent=False),
    "one less": lambda model: delattr(model, "mean"),
    "one less that is not saved": lambda model: delattr(model, "passing"),
    "another attribute in its place": lambda model: deletes(model, "mean"),
    "a parameter in its place": takes_the_place,
    "other data": lambda model: setattr(model.mean, "data", torch.ones(3)),
    "data of another shape": lambda model: setattr(model.mean, "data", torch.ones(2, 2)),
    "data of another type": lambda model: setattr(model.mean, "data", torch.ones(3, dtype=torch.float64)),
    "a buffer that grows": lambda model: model.mean.resize_(9).fill_(1),
    "written to": lambda model: (model.mean.mul_(2), model.count.add_(1), model.passing.zero_()),
    "written to with a graph": writes_with_a_graph,
    "no gradient wanted": lambda model: model.requires_grad_(False),
    "gradients wanted": lambda model: (model.requires_grad_(True), model.mean.requires_grad_(True)),
    "gradients where there were none": back,
    "modes": lambda model: (model.train(), model.inner[1].eval()),
    "nothing": lambda model: None,
}


KINDS = {
    "expanded": lambda: torch.tensor([[1.0], [2.0]]).expand(2, 3),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "transposed": lambda: torch.arange(6.0).reshape(2, 3).t(),
    "without numbers": lambda: torch.zeros(0, 3),
    "whole numbers": lambda: torch.arange(3),
    "a part of another": lambda: torch.arange(6.0)[2:5],
}
KIND_USES = {
    "bound anew": lambda model: setattr(model, "mean", model.mean.clone() * 2),
    "written to": lambda model: (model.mean[:, :1] if model.mean.shape == (2, 3) else model.mean).mul_(2),
    "nothing": lambda model: None,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", KIND_USES)
def test_buffers_of_every_kind(kind, name):
    model = Model(lambda model, inputs: KIND_USES[name](model))
    model.mean = held = KINDS[kind]()
    before = state(model)
    with TorchView(model).observing():
        model(0)
    assert state(model) == before
    assert model.mean is held


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", USES)
def test_whatever_a_forward_pass_does(name, gradients):
    model = Model(lambda model, inputs: USES[name](model))
    model.inner[2].eval()
    model.inner[0].bias.requires_grad_(False)
    model.inner[0].weight.grad = torch.ones(3, 3)
    view, before = TorchView({"a": model, "b": model.inner}), state(model)
    held = [one for _, one in named_buffers(model)]  # or an identity could come again
    with view.observing(gradients=gradients):
        model(torch.ones(1))
    assert state(model) == before
    assert len(held) == len(named_buffers(model))


def test_a_state_that_carries_a_graph_keeps_it():
    """The hidden state of a recurrent model, between two batches."""

    def remembers(model, inputs):
        model.mean = model.mean + model.weight * inputs
        return model.mean

    model = Model(remembers)
    hidden = model(torch.ones(3))
    with TorchView(model).observing(gradients=True):
        assert model(torch.ones(3)) is not hidden
    assert model.mean is hidden
    hidden.sum().backward()
    assert model.weight.grad.tolist() == [1.0, 1.0, 1.0]


def test_an_embedding_that_keeps_its_weights_small():
    for kind in (nn.Embedding, nn.EmbeddingBag):
        model = kind(5, 3, max_norm=0.1)
        before = model.weight.tolist()
        with TorchView(model).observing():
            model(torch.arange(5).reshape(1, 5))
        assert model.weight.tolist() == before


@pytest.mark.parametrize("change", [lambda model: model.zero_grad(set_to_none=False), back], ids=["zeroed", "added to"])
def test_gradients_that_are_written_to(change):
    model = Model(lambda model, inputs: change(model))
    model.weight.grad = torch.ones(3)
    view, gradient = TorchView(model), model.weight.grad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with view.observing(gradients=True):
            model(0)
    assert model.weight.grad is gradient
    assert gradient.tolist() == [1.0, 1.0, 1.0]
    with (
        pytest.warns(OnlookerWarning, match=r"changed in place .*'weight' first.*observing\(gradients=True\)"),
        view.observing(),
    ):
        model(0)


def test_an_expanded_gradient():
    model = Model(lambda model, inputs: model.zero_grad())
    model.weight.grad = gradient = torch.ones(1).expand(3)
    with TorchView(model).observing(gradients=True):
        model(0)
    assert model.weight.grad is gradient


def test_lazy_modules_that_get_their_buffers_within():
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    with TorchView(model).observing():
        assert model(torch.ones(2, 4)).shape == (2, 3)
    assert model.training
    assert model[1].running_mean.tolist() == [0.0, 0.0, 0.0]


def test_a_model_that_refuses_to_be_evaluated():
    class Refusing(nn.Linear):
        def train(self, mode=True):
            raise RuntimeError("no")

    model = {"a": nn.Sequential(nn.Dropout(), nn.Dropout()), "b": Refusing(1, 1)}
    model["a"][0].eval()
    for context in (TorchView(model).observing(), TorchView(model).evaluating()):
        with pytest.raises(RuntimeError, match="no"), context:
            pass
        assert [part.training for one in model.values() for part in one.modules()] == [True, False, True, True]
        assert torch.is_grad_enabled()


def test_a_model_on_no_memory():
    with torch.device("meta"):
        model = nn.BatchNorm1d(3)
    with TorchView(model).observing():
        model(torch.ones(2, 3, device="meta"))
    assert model.training


BINDING = [name for name in USES if name.startswith(("bound", "one ", "another", "a parameter", "written to"))]


@pytest.mark.parametrize("name", [name for name in BINDING if "graph" not in name])
def test_a_snapshot_goes_back_to_the_same_buffers(name):
    model = Model()
    snapshot = TorchView(model).snapshot()
    snapshot.take()
    before = state(model)
    for _ in range(2):
        with torch.no_grad():
            USES[name](model)
        snapshot.restore()
        after = state(model)
        assert after["buffers"] == before["buffers"]
        assert after["values"] == before["values"]
