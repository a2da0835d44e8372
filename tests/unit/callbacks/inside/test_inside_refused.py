"""What cannot be looked at costs no more than itself: the rest of the look is there, and one word says what is not."""

import warnings

import pytest
import torch
from tests.unit.callbacks.inside.trainings import WHAT

import onlooker as ol

func = torch.func


def look(model, loss_of, what=WHAT, steps=3, after=None):
    """Train with an Inside; return it, and what it has warned of."""
    inside = ol.callbacks.Inside(what)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ol.OnlookerWarning)
        with ol.Loop(model, optimizer, [inside]) as loop:
            for x in loop.train([inputs()] * steps):
                optimizer.zero_grad()
                loss_of(model, x).backward()
                if after is not None:
                    after(model)
                optimizer.step()
    words = [str(one.message) for one in caught if issubclass(one.category, ol.OnlookerWarning)]
    return inside, words


def inputs():
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def of_each_example(model):
    return lambda x: model(x).sum()


TRANSFORMS = {
    "grad": lambda model, x: func.grad(of_each_example(model))(x),
    "of each": lambda model, x: func.vmap(func.grad(of_each_example(model)))(x),
    "vmap": lambda model, x: func.vmap(model)(x),
    "jvp": lambda model, x: func.jvp(model, (x,), (torch.ones_like(x),))[1],
    "hessian": lambda model, x: func.hessian(lambda one: model(one).square().sum())(x[0]),
    "functional": lambda model, x: func.grad(lambda w: func.functional_call(model, w, (x,)).sum())(
        dict(model.named_parameters())
    )["0.weight"],
}


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_within_a_transform_only_its_outputs_are_left_out(name, is_first):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    transform = TRANSFORMS[name]

    def loss(model, x):
        parts = [lambda: transform(model, x).square().mean(), lambda: model(x).square().mean()]
        return sum(part() for part in (parts if is_first else parts[::-1]))

    inside, words = look(model, loss)
    assert inside.latest_step == 3
    assert inside.latest.keys() == set(WHAT)
    assert inside.latest["activations"]["0"].shape == (8, 3)
    assert len(inside.latest["weights"]) == len(inside.latest["gradients"]) == len(inside.latest["updates"]) == 4
    assert len(words) == 1
    assert words[0].startswith("Inside leaves out '0': '0' is within a transform of torch.func")


@pytest.mark.parametrize("what", [("weights", "activations"), ("weights", "activation_gradients")])
def test_a_model_that_is_called_within_transforms_alone(what):
    inside, words = look(torch.nn.Linear(4, 1), lambda model, x: TRANSFORMS["vmap"](model, x).mean(), what)
    assert inside.latest.keys() == {"weights"}
    assert len(words) == 1


def test_gradients_of_many_at_once_are_left_out():
    def loss(model, x):
        hidden = model(x)
        torch.autograd.grad(hidden, model.weight, torch.eye(8)[:, :, None], is_grads_batched=True, retain_graph=True)
        return hidden.mean()

    inside, words = look(torch.nn.Linear(4, 1), loss)
    assert inside.latest.keys() == set(WHAT)
    assert len(words) == 1
    assert words[0].startswith("Inside leaves out 'model': 'model' is within a transform")


def scripted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(module)


def traced(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, inputs())


@pytest.mark.parametrize("make", [scripted, traced])
def test_of_a_part_that_torch_jit_has_made_the_outputs_are_left_out(make):
    inner = make(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()))
    model = torch.nn.Sequential(inner, torch.nn.Linear(4, 1))
    inside, words = look(model, lambda model, x: model(x).square().mean())
    assert list(inside.latest["activations"]) == ["1"]
    assert list(inside.latest["updates"]) == ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]
    assert words == [
        "the activations of '0.0', '0.1' are left out: torch.jit has made it, and its modules take no hooks"
    ]


@pytest.mark.parametrize("make", [scripted, traced])
def test_of_a_model_that_torch_jit_has_made_the_weights_are_seen(make):
    model = make(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)))
    inside, words = look(model, lambda model, x: model(x).square().mean())
    assert inside.latest.keys() == {"weights", "gradients", "updates"}
    assert len(inside.latest["gradients"]) == 4
    assert len(words) == 1
    assert words[0].startswith("Inside: activations cannot be had: torch.jit has made '0', '1', '2'")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_weight_whose_storage_was_freed_is_left_out(dtype):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(4, 1)).to(dtype)

    def free(model):
        model[0].weight.grad = None  # the optimizer leaves it alone
        model[0].weight.untyped_storage().resize_(0)

    inside, words = look(model, lambda model, x: model[1](x.to(dtype)).square().mean(), after=free)
    for what in ("weights", "updates"):
        assert "1.weight" in inside.latest[what]
        assert "0.weight" not in inside.latest[what]
    assert words == [
        "Inside leaves out '0.weight': '0.weight' has no memory: its storage was freed, so there is nothing to look at"
    ]


def test_a_gradient_whose_storage_was_freed_is_left_out():
    def free(model):
        unused = torch.ones(3, 4)
        unused.untyped_storage().resize_(0)
        model[0].weight.grad = unused
        model[0].weight.requires_grad_(True)

    class Careful(torch.optim.SGD):
        """As an offloading one: it passes over what is not there."""

        def step(self, closure=None):
            for group in self.param_groups:
                for one in group["params"]:
                    if one.grad is not None and not one.grad.data_ptr():
                        one.grad = None
            return super().step(closure)

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(4, 1))
    inside, optimizer = ol.callbacks.Inside(("gradients",)), Careful(model.parameters(), lr=0.1)

    def train():
        with ol.Loop(model, optimizer, [inside]) as loop:
            for x in loop.train([inputs()]):
                model[1](x).mean().backward()
                free(model)
                optimizer.step()

    with pytest.warns(ol.OnlookerWarning, match="leaves out '0.weight'"):
        train()
    assert list(inside.latest["gradients"]) == ["1.weight", "1.bias"]
