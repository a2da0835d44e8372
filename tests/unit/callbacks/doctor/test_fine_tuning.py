"""Fine-tuning: what is frozen on purpose is no reason for an alert, whatever the optimizer was given."""

import pytest
import torch
from tests.unit.callbacks.doctor.trainings import Gpt, batches, cnn, cross_entropy, digits, mlp, seen, text, train
from torch import nn
from torch.nn import functional

import onlooker as ol

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def adam(weights, lr=3e-3):
    return torch.optim.AdamW(weights, lr=lr)


def pretrained():
    """A CNN that has learned another task, with a new last layer."""
    images, labels = digits()
    model = cnn()
    optimizer = adam(model.parameters())
    for _ in range(2):
        for x, y in batches(images, labels % 5):
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model[-1] = nn.Linear(32, 10)
    return model


class NormsInEvaluation(ol.Callback):
    """Keeps batch norm in evaluation mode while the rest trains."""

    def on_train_batch_begin(self, batch, logs):
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


@pytest.mark.parametrize("norms", [True, False], ids=["norms-in-evaluation", "norms-in-training"])
@pytest.mark.parametrize("given", ["head", "all"])
def test_a_frozen_backbone(given, norms):
    model = pretrained()
    model[:-1].requires_grad_(False)
    optimizer = adam((model[-1] if given == "head" else model).parameters())
    doctor = train(model, batches(*digits()), optimizer, epochs=4, more=[NormsInEvaluation()] if norms else [])
    assert not seen(doctor)


def test_frozen_norms_that_were_made_for_other_data():
    model, (images, labels) = pretrained(), digits()
    doctor = train(model, batches(0.1 * images, labels), adam(model.parameters()), more=[NormsInEvaluation()])
    assert not seen(doctor)


def test_gradual_unfreezing():
    model = pretrained()
    model[:-1].requires_grad_(False)
    optimizer = adam(model[-1].parameters())

    class Unfreeze(ol.Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 2:
                model[5:7].requires_grad_(True)
                optimizer.add_param_group({"params": [*model[5:7].parameters()], "lr": 1e-3})

    assert not seen(train(model, batches(*digits()), optimizer, epochs=5, more=[Unfreeze()]))


class Adapter(nn.Module):
    """A frozen linear layer, and a product of two thin ones beside it."""

    def __init__(self, layer, rank=4):
        super().__init__()
        self.layer = layer
        self.down, self.up = nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.layer(x) + 2 * self.up(self.down(x))


@pytest.mark.parametrize("given", ["adapters", "all"])
def test_adapters_of_a_gpt(given):
    model = Gpt().requires_grad_(False)
    for block in model.blocks:
        block.qkv, block.up = Adapter(block.qkv), Adapter(block.up)
    weights = [weight for weight in model.parameters() if weight.requires_grad or given == "all"]
    assert not seen(train(model, batches(*text(), size=16), adam(weights), epochs=3))


def test_embeddings_of_which_some_are_frozen():
    model = Gpt()
    model.places.requires_grad_(False)
    is_new = torch.arange(32)[:, None] >= 20
    model.tokens.weight.register_hook(lambda gradient: gradient * is_new)
    assert not seen(train(model, batches(*text(), size=16), torch.optim.Adam(model.parameters(), lr=2e-3)))


def test_a_teacher_beside_the_student():
    models = {"student": mlp(32), "teacher": pretrained().requires_grad_(False)}
    optimizer, doctor = adam(models["student"].parameters()), ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    with ol.Loop(models, {"student": optimizer}, [doctor]) as loop:
        for _ in loop.epochs(2):
            for x, _ in loop.train(batches(*digits())):
                with torch.no_grad():
                    shares = models["teacher"](x).softmax(1)
                loss = functional.cross_entropy(models["student"](x), shares)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss)
    assert not seen(doctor)


def test_a_picture_that_is_trained_by_a_frozen_model():
    model, picture = pretrained().requires_grad_(False).eval(), torch.randn(4, 8, 8, requires_grad=True)
    optimizer, doctor = torch.optim.Adam([picture], lr=0.02), ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    with ol.Loop(model, optimizer, [doctor]) as loop:
        for _ in loop.epochs(1):
            for _ in loop.train(range(120)):
                loss = cross_entropy(model(picture), torch.arange(4))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss)
    assert not seen(doctor)


def test_a_backbone_that_is_dead_for_the_new_data():
    """Nothing can be done about the units of a frozen layer."""
    model, (images, labels) = mlp(), digits()
    with torch.no_grad():
        model[1].bias[:63] = -30.0
    model[1].requires_grad_(False)
    doctor = train(model, batches(images, labels), adam(model.parameters(), 1e-2))
    assert "dead_units" not in [rule for rule, _ in seen(doctor)]


def test_where_all_is_frozen_and_with_the_optimizer_nothing_trains():
    model, other = mlp().requires_grad_(False), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    doctor = train(model, batches(*digits()), optimizer, criterion=lambda outputs, y: cross_entropy(outputs + other, y))
    assert seen(doctor) == [("no_gradient", "")]
