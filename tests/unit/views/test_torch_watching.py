"""What `TorchView` tells of steps and activations: names, order, and that nothing is left."""

from threading import Event, Thread

import pytest
import torch

from onlooker.views.torch import TorchView
from onlooker.views.torch_clipping import listen


def test_clean_names_whatever_wrappers_are_between():
    inner = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    model = torch.nn.Module()
    model.encoder, model.head = torch.compile(inner), torch.nn.Linear(1, 1)
    names = ["encoder.0.weight", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias", "head.weight", "head.bias"]
    assert list(TorchView(model).weights()) == names
    assert list(TorchView(torch.nn.DataParallel(model)).weights()) == names
    assert list(TorchView({"a": torch.compile(model)}).weights()) == [f"a.{name}" for name in names]


def test_a_weight_that_is_called_like_a_part_of_a_wrapper():
    weights = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.ones(1)) for name in ("_orig_mod", "other")})
    model = torch.nn.ModuleDict({"a": weights, "b": Reversed()})
    expected = ["a", "a.other"]
    assert list(TorchView(model).weights())[:2] == expected
    model["b"].named_modules = model["b"].named_modules  # now names are the model's own business
    assert list(TorchView(model).weights())[:2] == expected
    assert list(TorchView({"m": weights}).weights()) == ["m", "m.other"]


def test_a_weight_that_two_models_share_is_there_once():
    shared = torch.nn.Linear(2, 2)
    view = TorchView({"a": torch.nn.Sequential(shared), "b": torch.nn.Sequential(shared, torch.nn.Linear(2, 1))})
    assert list(view.weights()) == ["a.0.weight", "a.0.bias", "b.1.weight", "b.1.bias"]


class Block(torch.nn.Module):
    """Has a weight of its own, one that is None, a module twice, and one that is None."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.register_parameter("nothing", None)
        self.first = torch.nn.Linear(2, 2, bias=False)
        self.again = self.first
        self.register_module("nobody", None)
        self.tied = torch.nn.Linear(2, 2)
        self.tied.weight = self.first.weight
        self.both = torch.nn.Sequential(
            torch.nn.BatchNorm1d(2), self.first, torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
        )


class Reversed(Block):
    def named_parameters(self, *given, **named):
        yield from reversed(list(super().named_parameters(*given, **named)))


class Silent(Block):
    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        yield prefix, self


def replaced():
    block = Block()
    block.named_parameters = lambda *given, **named: iter([("one", block.scale)])
    return block


def silenced():
    """A module that itself, not its class, has a way of its own to say what is in it."""
    block = Block()
    block.named_modules = lambda memo=None, prefix="", remove_duplicate=True: iter([(prefix, block)])
    return block


def in_a_circle():
    block = Block()
    block.first.whole = block
    return block


@pytest.mark.parametrize(
    "make",
    [
        Block,
        Reversed,
        Silent,
        replaced,
        silenced,
        lambda: torch.nn.Sequential(torch.nn.Linear(1, 2), silenced()),
        lambda: torch.nn.ModuleDict({"a": Reversed(), "b": Silent(), "c": Block()}),
        lambda: torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))),
        torch.nn.Identity,
        in_a_circle,
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_parameters_are_those_that_the_module_names(make):
    module = make()
    expected = [(name, parameter.data_ptr()) for name, parameter in module.named_parameters()]
    assert [(name, weight.data_ptr()) for name, weight in TorchView(module).weights().items()] == expected
    two = {"x": module, "y": torch.nn.ModuleList([module, torch.nn.Linear(1, 1)])}
    firsts = {place for _, place in expected}
    beside = [f"y.{name}" for name, one in two["y"].named_parameters() if one.data_ptr() not in firsts]
    assert list(TorchView(two).weights()) == [*(f"x.{name}" for name, _ in expected), *beside]


def test_trained_are_the_weights_that_want_a_gradient():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1), torch.nn.LazyLinear(1))
    model[0].requires_grad_(False)
    assert list(TorchView(torch.compile(model)).trained_weights()) == ["1.weight", "1.bias"]


def test_before_and_after_of_each_optimizer():
    models = {"a": torch.nn.Linear(2, 1), "b": torch.nn.Linear(2, 1)}
    optimizers = {name: torch.optim.SGD(model.parameters(), lr=0.1) for name, model in models.items()}
    told = []
    undo = TorchView(models, optimizers).watch_steps(
        lambda weights, gradients: told.append(("before", sorted(weights), sorted(gradients))),
        lambda weights: told.append(("after", sorted(weights))),
        lambda gradients: told.append(("clipping", sorted(gradients))),
        lambda gradients: told.append(("clipped", sorted(gradients))),
    )

    def step(clip=False):
        for name, model in models.items():
            model(torch.ones(1, 2)).sum().backward()
            if clip:
                torch.nn.utils.clip_grad_norm_([model.weight], 0.1)  # not the bias
            optimizers[name].step()

    step()
    assert told == [
        ("before", ["a.bias", "a.weight"], ["a.bias", "a.weight"]),
        ("after", ["a.bias", "a.weight"]),
        ("before", ["b.bias", "b.weight"], ["b.bias", "b.weight"]),
        ("after", ["b.bias", "b.weight"]),
    ]
    told.clear()
    step(clip=True)
    assert told[:4] == [
        ("clipping", ["a.weight"]),
        ("before", ["a.bias", "a.weight"], ["a.bias"]),
        ("clipped", ["a.weight"]),
        ("after", ["a.bias", "a.weight"]),
    ]
    told.clear()
    undo()
    step(clip=True)
    assert told == []


def test_a_clipping_is_told_once(monkeypatch):
    """Although one function of PyTorch's calls another, and whatever somebody has put around one in between."""
    told, parameters = [], [torch.nn.Parameter(torch.ones(2))]
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", torch.nn.utils.clip_grad_norm_)  # put back at the end
    parameters[0].grad = torch.ones(2)
    undo = listen(told.append)
    taken = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *given: taken(*given))
    undo()
    taken(parameters, 1.0)
    assert told == []
    undo = listen(told.append)
    for clip in (torch.nn.utils.clip_grad_norm_, taken, torch.nn.utils.clip_grad.clip_grad_norm_):
        told.clear()
        clip(parameters, 1.0)
        assert told == [parameters]
        clip(parameters[0], 1.0)
        clip((one for one in parameters), max_norm=1.0) if clip is taken else clip(iter(parameters), 1.0)
        assert told == [parameters] * 3
    undo()
    undo()


def test_what_somebody_puts_there_between_two_looks_is_called(monkeypatch):
    told, called, parameters = [], [], [torch.nn.Parameter(torch.ones(2))]
    parameters[0].grad = torch.ones(2)
    listen(told.append)()
    monkeypatch.setattr(torch.nn.utils, "clip_grad_value_", lambda *given: called.append(given))
    own = torch.nn.utils.clip_grad_value_
    for _ in range(2):
        undo = listen(told.append)
        torch.nn.utils.clip_grad_value_(parameters, 1.0)
        undo()
        assert torch.nn.utils.clip_grad_value_ is own
    assert called == [(parameters, 1.0)] * 2
    assert told == [parameters] * 2


def test_two_threads_that_clip_at_once():
    models = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    seen, is_within, may_go_on = [], Event(), Event()

    def listener(parameters):
        seen.append(parameters[0])
        if parameters[0] is models[0].weight:  # the first thread waits here, within its clipping
            is_within.set()
            assert may_go_on.wait(60)

    for model in models:
        model(torch.ones(1, 2)).sum().backward()
    undo = listen(listener)
    thread = Thread(target=lambda: torch.nn.utils.clip_grad_norm_(models[0].parameters(), 0.1))
    thread.start()
    assert is_within.wait(60)
    torch.nn.utils.clip_grad_norm_(models[1].parameters(), 0.1)
    may_go_on.set()
    thread.join()
    undo()
    assert len(seen) == 2
    assert seen[1] is models[1].weight


def test_without_an_optimizer_there_are_no_steps():
    assert TorchView(torch.nn.Linear(1, 1)).watch_steps(print, print) is None


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (None, {"0", "1.0", "1.1"}),
        ("1", {"1"}),
        ("1*", {"1", "1.0", "1.1"}),
        (lambda name: name.startswith("1"), {"1.0", "1.1"}),
    ],
)
def test_which_modules(pattern, names):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 1)))
    told = []
    undo = TorchView(model).watch_activations(pattern, lambda *given: told.append(given))
    model(torch.ones(3, 2)).sum().backward()
    assert {name for name, _, _ in told} == names
    assert {(name, what) for name, what, _ in told} == {
        (n, w) for n in names for w in ("activations", "activation_gradients")
    }
    undo()
    told.clear()
    model(torch.ones(3, 2)).sum().backward()
    assert told == []


@pytest.mark.parametrize("pattern", ["none", lambda name: False])
def test_where_no_module_is_chosen_nothing_is_watched(pattern):
    assert TorchView(torch.nn.Linear(2, 2)).watch_activations(pattern, print) is None


def test_gradients_of_activations_only_where_wanted():
    model, told = torch.nn.Linear(2, 2), []
    undo = TorchView({"a": model}).watch_activations(None, lambda *given: told.append(given[:2]), gradients=False)
    model(torch.ones(3, 2)).sum().backward()
    with torch.no_grad():
        model(torch.ones(3, 2))
    undo()
    assert told == [("a", "activations")]


def test_a_backward_pass_after_nobody_watches_any_more():
    model, told = torch.nn.Linear(2, 2), []
    undo = TorchView({"a": model}).watch_activations(None, lambda *given: told.append(given[:2]))
    loss = model(torch.ones(3, 2)).sum()
    undo()
    loss.backward()
    assert told == [("a", "activations")]
