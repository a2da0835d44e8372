"""A look at PyTorch modules: names, rates, modes, and observing without a trace."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from onlooker.core.errors import AbsentError, LookError
from onlooker.core.run import Run
from onlooker.views import find_view
from onlooker.views.torch import TorchView


def build(*, rates=(0.1,)):
    """Dropout and batch norm, one optimizer with a parameter group for each rate."""
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    parameters = list(model.parameters())
    groups = [{"params": parameters[number :: len(rates)], "lr": rate} for number, rate in enumerate(rates)]
    return model, torch.optim.SGD(groups, lr=1.0, momentum=0.9)


def step(model, optimizer, inputs):
    loss = model(inputs).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def everything(model):
    """All that observing could disturb, as plain data."""
    return {
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "gradients": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "modes": [part.training for part in model.modules()],
        "grad mode": torch.is_grad_enabled(),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
    }


def differences(one, other, path=""):
    """Return where two of them differ."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [place for name in one for place in differences(one[name], other[name], f"{path}/{name}")]
    is_same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if is_same else [path]


# Which view.


def test_a_view_is_found_for_modules_alone_and_together():
    model, optimizer = build()
    assert type(find_view(model, optimizer)) is TorchView
    assert type(find_view({"a": model, "b": nn.Linear(1, 1)})) is TorchView
    for other in (None, object(), {}, {"a": 3}):
        assert type(find_view(other)) is not TorchView


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear, r"^Linear is a class; pass the model itself"),
        ([nn.Linear(1, 1)], r"^several models must be a dict, not a list"),
        ((nn.Linear(1, 1), nn.Linear(1, 1)), r"^several models must be a dict, not a tuple"),
        ({"a": nn.Linear(1, 1), "b": None}, r"^the dict of models holds something else under 'b'"),
    ],
)
def test_models_that_would_go_unseen_are_refused(model, message):
    with pytest.raises(TypeError, match=message):
        find_view(model)


def test_an_optimizer_without_a_model_that_one_can_look_into_is_refused():
    with pytest.raises(TypeError, match=r"^an optimizer was passed with a model of type NoneType"):
        find_view(None, torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))


# Weights and gradients.


def test_weights_by_name_share_memory_and_need_no_gradient():
    model, _ = build()
    weights = TorchView(model).weights()
    assert list(weights) == [name for name, _ in model.named_parameters()]
    assert not weights["0.weight"].requires_grad
    assert weights["0.weight"].data_ptr() == model[0].weight.data_ptr()


def test_patterns():
    model, optimizer = build()
    step(model, optimizer, torch.randn(4, 4))
    view = TorchView(model, optimizer)
    assert list(view.weights("0.*")) == list(view.gradients("0.*")) == ["0.weight", "0.bias"]
    assert list(view.weights("*.bias")) == ["0.bias", "1.bias", "3.bias"]
    assert view.weights("none") == view.gradients("none") == {}


def test_several_models_have_their_name_in_front():
    view = TorchView({"generator": nn.Linear(1, 1), "critic": nn.Linear(1, 1)})
    assert list(view.weights()) == ["generator.weight", "generator.bias", "critic.weight", "critic.bias"]


def test_gradients_are_those_that_there_are():
    model, optimizer = build()
    view = TorchView(model, optimizer)
    assert view.gradients() == {}
    model[0].weight.sum().backward()
    assert list(view.gradients()) == ["0.weight"]
    assert view.gradients()["0.weight"].data_ptr() == model[0].weight.grad.data_ptr()


def test_gradients_as_arrays_leave_out_those_that_are_not_there():
    model, optimizer = build()
    run = Run(model, view=TorchView(model, optimizer))
    assert run.gradients(numpy=True) == run.gradients(copy=True) == {}
    model[0].weight.sum().backward()
    assert list(run.gradients(numpy=True)) == list(run.gradients(copy=True)) == ["0.weight"]
    gradient, copy = run.gradients(numpy=True)["0.weight"], run.gradients(numpy=True, copy=True)["0.weight"]
    model[0].weight.grad += 1
    assert (gradient == 2).all()
    assert (copy == 1).all()
    assert run.gradients("*.bias", numpy=True) == {}


def test_a_weight_without_memory_is_refused_by_name_unless_it_is_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    run = Run(model, view=TorchView(model))
    with pytest.raises(LookError, match=r"^'1.weight' cannot be had as an array of NumPy: it has no memory"):
        run.weights(numpy=True)
    assert list(run.weights("0.*", numpy=True)) == ["0.weight", "0.bias"]
    assert list(run.weights(copy=True)) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_wrappers_add_nothing_to_names():
    model, _ = build()
    names = [name for name, _ in model.named_parameters()]
    compiled = torch.compile(model)  # lazy: nothing is compiled until it is called
    assert list(TorchView(compiled).weights()) == names
    assert list(TorchView(nn.DataParallel(model)).weights()) == names


# The learning rate.


def test_one_rate():
    view = TorchView(*build())
    assert view.get_learning_rate() == 0.1
    view.set_learning_rate(0.5)
    assert view.get_learning_rate() == 0.5
    view.scale_learning_rate(0.1)
    assert view.get_learning_rate() == pytest.approx(0.05)


def test_several_groups_with_one_rate_are_one_rate():
    view = TorchView(*build(rates=(0.1, 0.1)))
    assert view.get_learning_rate() == 0.1
    view.set_learning_rate(0.2)
    assert view.get_learning_rate() == 0.2


def test_several_rates_are_never_flattened():
    view = TorchView(*build(rates=(0.1, 0.01)))
    assert view.get_learning_rate() == {"group_0": 0.1, "group_1": 0.01}
    with pytest.raises(ValueError, match=r"the learning rates differ \(group_0: 0.1, group_1: 0.01\)") as caught:
        view.set_learning_rate(1.0)
    assert "scale_learning_rate(factor)" in str(caught.value)
    view.scale_learning_rate(10)
    assert view.get_learning_rate() == pytest.approx({"group_0": 1.0, "group_1": 0.1})
    view.set_learning_rate({"group_1": 0.3})
    assert view.get_learning_rate() == pytest.approx({"group_0": 1.0, "group_1": 0.3})


def test_a_rate_by_a_name_that_is_none():
    view = TorchView(*build(rates=(0.1, 0.01)))
    with pytest.raises(ValueError, match="no learning rate is called 'group_7'; known: group_0, group_1"):
        view.set_learning_rate({"group_0": 1.0, "group_7": 1.0})
    assert view.get_learning_rate() == {"group_0": 0.1, "group_1": 0.01}  # nothing was set by half


@pytest.mark.parametrize("several", [dict, list])
def test_the_rates_of_several_optimizers(several):
    one, other = build(rates=(0.1,))[1], build(rates=(0.2, 0.3))[1]
    optimizers = {"d": one, "g": other} if several is dict else [one, other]
    rates = TorchView(nn.Linear(1, 1), optimizers).get_learning_rate()
    names = ["d", "g_0", "g_1"] if several is dict else ["optimizer_0", "optimizer_1_0", "optimizer_1_1"]
    assert rates == dict(zip(names, (0.1, 0.2, 0.3), strict=True))


def test_a_rate_in_a_tensor_stays_that_tensor():
    model, _ = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1))
    rate = optimizer.param_groups[0]["lr"]
    view = TorchView(model, optimizer)
    view.set_learning_rate(0.5)
    assert optimizer.param_groups[0]["lr"] is rate
    assert view.get_learning_rate() == 0.5


def test_without_an_optimizer():
    view = TorchView(build()[0])
    for ask in (
        view.get_learning_rate,
        lambda: view.set_learning_rate(1.0),
        lambda: view.set_learning_rate({"a": 1.0}),
        lambda: view.scale_learning_rate(2.0),
    ):
        with pytest.raises(AbsentError, match="pass the optimizer to Loop"):
            ask()


@pytest.mark.parametrize("thing", [3, "adam", [nn.Linear(1, 1)], {"a": None}, torch.optim.SGD], ids=repr)
def test_what_is_no_optimizer(thing):
    with pytest.raises(TypeError, match=r"expected a torch.optim.Optimizer, or a dict or list of them"):
        TorchView(build()[0], thing)


# Observing.


@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("is_raising", [False, True])
def test_observing_leaves_no_trace(with_gradients, seed, is_training, is_raising):
    model, optimizer = build()
    step(model, optimizer, torch.randn(4, 4))
    model.train(is_training)
    model[2].train()  # a part in a mode of its own
    view = TorchView(model, optimizer)
    before = everything(model)

    def observe():
        with view.observing(seed=seed, gradients=with_gradients):
            assert not any(part.training for part in model.modules())
            assert torch.is_grad_enabled() is with_gradients
            model.train()
            out = model(torch.randn(8, 4)).sum()
            if with_gradients:
                out.backward()
                model.zero_grad()
            _ = random.random(), np.random.rand(), torch.rand(3)
            if is_raising:
                raise ValueError("no")

    if is_raising:
        with pytest.raises(ValueError, match="no"):
            observe()
    else:
        observe()
    assert differences(everything(model), before) == []


def test_a_seed_draws_the_same_each_time():
    view = TorchView(build()[0])
    drawn = []
    for _ in range(2):
        with view.observing(seed=3):
            drawn.append((random.random(), np.random.rand(), torch.rand(2).tolist()))
        torch.rand(5)
    assert drawn[0] == drawn[1]


def test_gradients_that_are_kept_are_the_very_tensors():
    """An optimizer or a graph may hold on to them."""
    model, optimizer = build()
    step(model, optimizer, torch.randn(4, 4))
    gradients = [p.grad for p in model.parameters()]
    with TorchView(model, optimizer).observing(gradients=True):
        model(torch.randn(4, 4)).sum().backward()
    assert all(p.grad is gradient for p, gradient in zip(model.parameters(), gradients, strict=True))


@pytest.mark.parametrize("is_training", [True, False])
def test_observing_between_forward_and_backward(is_training):
    """Batch norm's buffers are part of the graph: writing them back, were it the same numbers, would break it."""
    model, optimizer = build()
    model.train(is_training)
    inputs = torch.randn(4, 4)
    loss = model(inputs).square().mean()
    with TorchView(model, optimizer).observing():
        model(inputs)
    loss.backward()
    assert model[0].weight.grad is not None


def test_observing_in_inference_mode_and_its_tensors():
    model, _ = build()
    with torch.inference_mode():
        model.register_buffer("extra", torch.ones(2))
        before = everything(model)
        with TorchView(model).observing():
            model.extra.add_(1)
        assert differences(everything(model), before) == []


def test_observing_within_observing():
    model, optimizer = build()
    view, before = TorchView(model, optimizer), everything(model)
    with view.observing(seed=1):
        first = torch.rand(1)
        with view.observing(seed=2):
            torch.rand(1)
        second = torch.rand(1)
    torch_state = before["torch"]
    assert differences(everything(model), before) == []
    with view.observing(seed=1):
        assert torch.equal(torch.rand(2), torch.cat([first, second]))
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_evaluating_puts_back_each_part_and_only_once():
    model, _ = build()
    model[2].eval()
    modes = [part.training for part in model.modules()]
    context = TorchView(model).evaluating()
    context.__enter__()
    assert not any(part.training for part in model.modules())
    assert not torch.is_grad_enabled()
    context.__exit__(None, None, None)
    assert [part.training for part in model.modules()] == modes
    assert torch.is_grad_enabled()
    model.eval()
    with torch.no_grad():
        context.__exit__(None, None, None)
        assert not torch.is_grad_enabled()
    assert not model.training


# Saving.


def test_there_and_back(tmp_path):
    model, optimizer = build()
    view = TorchView(model, optimizer)
    step(model, optimizer, torch.randn(4, 4))
    view.save(str(tmp_path / "a.pt"), {"position": 3})
    continued = []
    for _ in range(2):
        step(model, optimizer, torch.randn(4, 4))
        continued.append((everything(model), random.random(), np.random.rand()))
        assert view.load(str(tmp_path / "a.pt")) == {"position": 3}
    assert differences(continued[0][0], continued[1][0]) == []  # the momentum and the random numbers were the same too
    assert continued[0][1:] == continued[1][1:]
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_there_and_back_with_several_models(tmp_path):
    models = {"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}
    optimizers = {name: torch.optim.Adam(model.parameters()) for name, model in models.items()}
    view = TorchView(models, optimizers)
    before = {name: weight.clone() for name, weight in view.weights().items()}
    view.save(str(tmp_path / "a.pt"), {})
    for name, model in models.items():
        step(model, optimizers[name], torch.randn(4, 2))
    view.load(str(tmp_path / "a.pt"))
    assert differences(view.weights(), before) == []
    assert not any(optimizer.state for optimizer in optimizers.values())


def test_a_file_that_is_none_of_ours(tmp_path):
    path = str(tmp_path / "weights.pt")
    model, optimizer = build()
    for content in (model.state_dict(), [1, 2]):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"was not written by run.save; load it with torch.load"):
            TorchView(model, optimizer).load(path)


def test_a_save_that_fails_leaves_the_last_one(tmp_path):
    class Forgetful(torch.nn.Linear):
        extra = 1

        def get_extra_state(self):
            return self.extra

        def set_extra_state(self, state):
            self.extra = state

    model = Forgetful(2, 2)
    view = TorchView(model)
    path = tmp_path / "a.pt"
    view.save(str(path), {"number": 1})
    model.extra = lambda: None  # which is found out while the file is being written
    with pytest.raises(Exception, match=r"pickle|lambda"):
        view.save(str(path), {"number": 2})
    assert view.load(str(path)) == {"number": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


# Steps and flags.


def test_steps_are_counted_until_it_is_undone():
    model, optimizer = build()
    other = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = []
    undo = TorchView(model, [optimizer, other]).count_steps(lambda *_: steps.append(1))
    step(model, optimizer, torch.randn(4, 4))
    step(model, other, torch.randn(4, 4))
    assert len(steps) == 2
    undo()
    step(model, optimizer, torch.randn(4, 4))
    assert len(steps) == 2
    assert TorchView(model).count_steps(lambda: None) is None


def test_a_step_that_a_gradient_scaler_skips_is_none():
    model, optimizer = build()
    steps = []
    TorchView(model, optimizer).count_steps(lambda *_: steps.append(1))
    scaler = torch.amp.GradScaler("cpu")
    for factor in (1.0, float("inf")):
        optimizer.zero_grad()
        (scaler.scale(model(torch.randn(4, 4)).sum()) * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert len(steps) == 1


def test_where_a_flag_may_show():
    model, _ = build()
    compiled = torch.compile(model)
    for view in (TorchView(model), TorchView(compiled), TorchView({"a": nn.Linear(1, 1), "b": compiled})):
        compiled.stop_training = True
        assert any(holder.get("stop_training") for holder in view.flag_holders())
        del model.stop_training
        assert not any(holder.get("stop_training") for holder in view.flag_holders())
    wrapped = nn.DataParallel(model)
    wrapped.stop_training = True
    assert any(holder.get("stop_training") for holder in TorchView(wrapped).flag_holders())


def test_one_process_where_nothing_is_distributed():
    assert TorchView(build()[0]).process_count() == 1
