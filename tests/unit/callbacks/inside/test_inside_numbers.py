"""What `Inside` says is what naive computation says, in real trainings."""

import numpy as np
import pytest
import torch
from tests.unit.callbacks.inside.trainings import WHAT, Sink, inputs, loss_of, mlp, norm, train
from torch.nn.utils import clip_grad_norm_ as imported_by_name

import onlooker as ol

CLIPS = {
    "norm": lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.1),
    "value": lambda parameters: torch.nn.utils.clip_grad_value_(parameters, 0.01),
    "imported by name": lambda parameters: imported_by_name(parameters, 0.1),
    "both": lambda parameters: [
        torch.nn.utils.clip_grad_value_(listed := list(parameters), 0.1),
        torch.nn.utils.clip_grad_norm_(listed, 0.1),
    ],
}


def check(inside, seen):
    """Compare each look with what was noted."""
    for what, noted in (("gradients", seen.gradients), ("updates", seen.updates)):
        for name in noted[0]:
            history = inside.history(name, what)
            tensors = [one[name] for one in noted]
            assert len(history) == len(tensors)
            assert history.norm == pytest.approx([norm([one]) for one in tensors], rel=1e-6)
            assert history.mean == pytest.approx([float(one.double().mean()) for one in tensors], rel=1e-5, abs=1e-9)
            assert history.max == pytest.approx([float(one.max()) for one in tensors])
            assert history.zero_share == pytest.approx([float((one == 0).double().mean()) for one in tensors])


@pytest.mark.parametrize("kind", ["mlp", "cnn", "gpt"])
@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_gradients_and_updates(kind, make):
    inside = ol.callbacks.Inside(WHAT)
    model, seen = train(kind, [inside], make=make)
    check(inside, seen)
    for name, parameter in model.named_parameters():
        assert inside.latest["weights"][name].as_dict() == ol.summary(parameter).as_dict()
    assert set(inside.latest["weights"]) == {name for name, _ in model.named_parameters()}, "tied weights once"


def test_accumulated():
    inside = ol.callbacks.Inside(WHAT)
    _, seen = train("mlp", [inside], accumulate=3)
    assert inside.history("0.weight", "gradients").steps.tolist() == [1, 2, 3, 4]
    check(inside, seen)


@pytest.mark.parametrize("clip", CLIPS)
def test_clipped(clip):
    inside, sink = ol.callbacks.Inside(WHAT), Sink()
    _, seen = train("mlp", [inside, sink], clip=CLIPS[clip])
    check(inside, seen)
    assert sink.scalars("gradient_norm") == pytest.approx([norm(one.values()) for one in seen.gradients], rel=1e-6)
    assert sink.scalars("clipped_gradient_norm") == pytest.approx(seen.clipped, rel=1e-5)
    assert max(seen.clipped) < max(sink.scalars("gradient_norm"))


def test_clipped_twice_a_batch():
    """As the critic of a GAN is, which steps several times: the last step's gradients, unclipped."""
    model, inside, sink, expected = torch.nn.Linear(4, 1), ol.callbacks.Inside(("gradients",)), Sink(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[inside, sink]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp")):
                for part in x.split(2):
                    optimizer.zero_grad()
                    loss_of("mlp", model, part).backward()
                    last = norm([model.weight.grad]), norm([model.weight.grad, model.bias.grad])
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                    optimizer.step()
                expected.append(last)
    assert inside.history("weight", "gradients").norm == pytest.approx([one for one, _ in expected], rel=1e-6)
    assert sink.scalars("gradient_norm") == pytest.approx([one for _, one in expected], rel=1e-6)
    assert sink.scalars("clipped_gradient_norm") == pytest.approx([min(0.1, one) for _, one in expected], rel=1e-3)


def looked_at(body, make=torch.optim.SGD, lr=0.01):
    """Run a batch's body, and return what was seen of the weight's gradient and update."""
    model = torch.nn.Linear(4, 1)
    optimizer, inside = make(model.parameters(), lr=lr), ol.callbacks.Inside(("gradients", "updates"))
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for x in loop.train(inputs("mlp")[:1]):
            body(model, optimizer, x)
    return inside.latest["gradients"]["weight"].norm, inside.latest["updates"]["weight"].norm


INFINITY = float("inf")


def test_clipped_after_each_of_several_backward_passes():
    """As those do who clip to nothing, to have the norm for their logs."""
    expected = []

    def body(model, optimizer, x):
        for part in x.split(2):
            loss_of("mlp", model, part).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), INFINITY)
        expected.append(norm([model.weight.grad]))
        optimizer.step()

    assert looked_at(body)[0] == pytest.approx(expected[0], rel=1e-6)


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("is_clipped_again", [True, False])
def test_two_optimizers_of_one_model_that_is_clipped_as_a_whole(set_to_none, is_clipped_again):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.01) for part in model]
    inside, expected = ol.callbacks.Inside(("gradients",)), []
    with ol.Loop(model, {"first": optimizers[0], "second": optimizers[1]}, callbacks=[inside]) as loop:
        for x in loop.train(inputs("mlp")):
            for number, optimizer in enumerate(optimizers):
                model.zero_grad(set_to_none=set_to_none)
                (loss_of("mlp", model, x) * (number + 1)).backward()
                expected.append(norm([model[number].weight.grad]))
                if number == 0 or is_clipped_again:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
                optimizer.step()
    for number in range(2):
        found = inside.history(f"{number}.weight", "gradients").norm
        assert found == pytest.approx(expected[number::2], rel=1e-6)


def test_updates_begin_at_the_step_and_not_at_the_clipping():
    def body(model, optimizer, x):
        loss_of("mlp", model, x).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        with torch.no_grad():
            model.weight.mul_(0.5)
        before = model.weight.detach().clone()
        optimizer.step()
        expected.append(norm([model.weight.detach() - before]))

    expected = []
    assert looked_at(body)[1] == pytest.approx(expected[0], rel=1e-6)


class Perturbing(torch.optim.SGD):
    """Moves the weights away, asks for the gradient there, and moves them back, as sharpness-aware ones do."""

    def step(self, closure):
        with torch.no_grad():
            for one in self.param_groups[0]["params"]:
                one.add_(1.0)
            with torch.enable_grad():
                closure()
            for one in self.param_groups[0]["params"]:
                one.sub_(1.0).sub_(one.grad, alpha=0.01)


def test_updates_of_an_optimizer_that_moves_before_it_calls_its_closure():
    def body(model, optimizer, x):
        def closure():
            optimizer.zero_grad()
            loss = loss_of("mlp", model, x)
            loss.backward()
            expected.append(norm([model.weight.grad]))
            return loss

        optimizer.step(closure)

    expected = []
    gradient, update = looked_at(body, make=Perturbing)
    assert gradient == pytest.approx(expected[0], rel=1e-6)
    assert update == pytest.approx(0.01 * expected[0], rel=1e-3)


def test_not_clipped():
    sink = Sink()
    train("mlp", [ol.callbacks.Inside(), sink])
    assert sink.scalars("clipped_gradient_norm") == []


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_under_a_scaler_are_unscaled(fused):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=fused)
    scaler, inside, expected = torch.amp.GradScaler("cpu", init_scale=1024.0), ol.callbacks.Inside(), []
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for number, x in enumerate(loop.train(inputs("mlp"))):
                optimizer.zero_grad()
                scaler.scale(loss_of("mlp", model, x) * (float("inf") if number == 2 else 1)).backward()
                if number != 2:
                    expected.append(norm([model[0].weight.grad]) / scaler.get_scale())
                scaler.step(optimizer)
                scaler.update()
    found = inside.history("0.weight", "gradients")
    finite = found.norm[found.inf + found.nan == 0]
    assert finite == pytest.approx(expected, rel=1e-5)
    if not fused:
        assert len(found) == 5, "the step that the scaler skipped was not looked at"


def test_what_modules_put_out():
    """Outputs and their gradients, in a model whose modules return tuples and dicts, and are called twice."""

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(4, 4), Named()
            self.cell = torch.nn.LSTM(4, 4)

        def forward(self, x):
            return self.last(self.cell(self.first(self.first(x)))[0])["out"]

    class Named(torch.nn.Module):
        def forward(self, x):
            return {"out": x.tanh(), "size": 3, "counts": torch.ones(2, dtype=torch.int64)}

    model, inside, outputs = Two(), ol.callbacks.Inside(WHAT), []
    model.first.register_forward_hook(lambda module, given, output: outputs.append(output))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp", 1)):
                out = model(x)
                [one.retain_grad() for one in outputs]
                out.sum().backward()
                optimizer.step()
    assert set(inside.latest["activations"]) == {"first", "cell[0]", "cell[1][0]", "cell[1][1]", "last[out]"}
    for what, tensors in (
        ("activations", [one.detach() for one in outputs]),
        ("activation_gradients", [o.grad for o in outputs]),
    ):
        found, both = inside.latest[what]["first"], torch.stack(tensors)
        assert (found.count, found.norm) == (40, pytest.approx(norm([both]), rel=1e-6))


def gan(callbacks, passes=1):
    """Train a GAN whose discriminator steps several times a batch; return its models and the true gradients."""
    torch.manual_seed(0)
    models = {"generator": torch.nn.Linear(2, 3), "discriminator": torch.nn.Linear(3, 1)}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=0.01) for name, model in models.items()}
    generator, discriminator = models.values()
    seen = {"generator.weight": [], "discriminator.weight": []}
    with ol.Loop(models, optimizers, callbacks=callbacks) as loop:
        for _ in loop.epochs(2):
            for x in loop.train([torch.randn(5, 3) for _ in range(4)]):
                for _ in range(passes):
                    optimizers["discriminator"].zero_grad()
                    fake = generator(torch.randn(5, 2))
                    loss = (discriminator(fake.detach()) - discriminator(x)).sigmoid().mean()
                    loss.backward()
                    seen["discriminator.weight"].append(discriminator.weight.grad.clone())
                    optimizers["discriminator"].step()
                optimizers["generator"].zero_grad()
                (-discriminator(generator(torch.randn(5, 2)))).mean().backward()  # into the discriminator, too
                seen["generator.weight"].append(generator.weight.grad.clone())
                optimizers["generator"].step()
                loop.log(loss=loss)
    return models, seen


@pytest.mark.parametrize("passes", [1, 3])
def test_each_weights_gradient_is_that_of_its_own_step(passes):
    inside = ol.callbacks.Inside(WHAT)
    _, seen = gan([inside], passes)
    for name, gradients in seen.items():
        last_of_batch = gradients[::passes][:8] if passes == 1 else gradients[passes - 1 :: passes]
        last_of_batch = gradients if name == "generator.weight" else last_of_batch
        assert inside.history(name, "gradients").norm == pytest.approx([norm([one]) for one in last_of_batch], rel=1e-6)
    assert list(inside.latest["updates"]) == list(inside.latest["weights"]) == list(inside.latest["gradients"])
    assert inside.latest["activations"]["discriminator"].count == 5 * (2 * passes + 1)


def test_a_closure_is_called_before_its_gradients_are_looked_at():
    model, inside, expected = torch.nn.Linear(4, 1), ol.callbacks.Inside(("gradients", "updates")), []
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp", 3)):
                firsts = []

                def closure(x=x, firsts=firsts):
                    optimizer.zero_grad()
                    loss = loss_of("mlp", model, x)
                    loss.backward()
                    firsts.append(norm([model.weight.grad]))
                    return loss

                before = model.weight.detach().clone()
                optimizer.step(closure)
                expected.append((firsts[0], norm([model.weight.detach() - before])))
    found = zip(inside.history("weight", "gradients").norm, inside.history("weight", "updates").norm, strict=True)
    assert np.array(list(found)) == pytest.approx(np.array(expected), rel=1e-5)


@pytest.mark.parametrize("change", ["data", "in place"])
def test_what_changes_weights_between_steps_is_no_update(change):
    model, inside, expected = torch.nn.Linear(4, 1), ol.callbacks.Inside(("updates",)), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp")):
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                before = model.weight.detach().clone()
                optimizer.step()
                expected.append(norm([model.weight.detach() - before]))
                if change == "data":
                    model.weight.data.clamp_(-0.1, 0.1)
                else:
                    with torch.no_grad():
                        model.weight.clamp_(-0.1, 0.1)
    assert inside.history("weight", "updates").norm == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{}, {"accumulate": 2}, {"clip_norm": 0.1}, {"clip_value": 0.01, "clip_norm": 0.05}, {"autocast": torch.bfloat16}],
)
def test_in_the_trainer(settings):
    def fit(callbacks):
        torch.manual_seed(0)
        model, norms = mlp(), []
        model[0].weight.register_post_accumulate_grad_hook(lambda p: norms.append(norm([p.grad])))
        trainer = ol.Trainer(
            model, loss=torch.nn.MSELoss(), optimizer=torch.optim.Adam(model.parameters(), lr=0.01), **settings
        )
        x = torch.randn(24, 4)
        trainer.fit((x, x.sum(1, keepdim=True)), epochs=2, batch_size=6, shuffle=False, callbacks=callbacks)
        return model, norms[settings.get("accumulate", 1) - 1 :: settings.get("accumulate", 1)]

    inside, sink = ol.callbacks.Inside(), Sink()
    model, norms = fit([inside, sink])
    assert inside.history("0.weight", "gradients").norm == pytest.approx(norms, rel=1e-5)
    clipped = sink.scalars("clipped_gradient_norm")
    if any("clip" in name for name in settings):
        assert max(clipped) <= settings["clip_norm"] * 1.001
    else:
        assert not clipped
    assert all(map(torch.equal, model.state_dict().values(), fit([])[0].state_dict().values()))
