"""Trainings that are made sick in one way: the rule for it speaks, once, and names the right place."""

import pytest
import torch
from tests.unit.callbacks.doctor.trainings import (
    batches,
    cnn,
    cross_entropy,
    digits,
    gan,
    mlp,
    seen,
    train,
    train_gan,
)
from torch import nn

import onlooker as ol

SICK = {}


def sick(rule, where):
    """Take note of a training that is sick, of the rule that has to speak, and of what it has to name."""

    def mark(make):
        SICK[make.__name__] = (rule, where, make)
        return make

    return mark


def adam(model, lr=1e-3):
    return torch.optim.Adam(model.parameters(), lr=lr)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def data(**given):
    return batches(*digits(), **given)


@sick("vanishing_gradients", "1.weight")
def a_deep_stack_of_sigmoids():
    model = mlp(*[32] * 9, activation=nn.Sigmoid)
    return train(model, data(), sgd(model))


@sick("vanishing_gradients", "1.weight")
def a_deep_stack_of_tiny_weights():
    model = mlp(*[32] * 7, activation=nn.Tanh)
    with torch.no_grad():
        for layer in model[3:]:
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(0.2)
    return train(model, data(), sgd(model), epochs=2)


class Recurrent(nn.Module):
    """A plain recurrent network over many steps."""

    def __init__(self, scale):
        super().__init__()
        self.rnn, self.head = nn.RNN(1, 32, nonlinearity="relu", batch_first=True), nn.Linear(32, 10)
        with torch.no_grad():
            nn.init.eye_(self.rnn.weight_hh_l0).mul_(scale)

    def forward(self, x):
        return self.head(self.rnn(x.flatten(1)[:, :, None])[0][:, -1])


@sick("exploding_gradients", "rnn.weight_hh_l0")
def a_recurrent_network_whose_weights_grow():
    model = Recurrent(1.0)

    class Grow(ol.Callback):
        def on_train_batch_begin(self, batch, logs):
            if self.run.step == 60:
                with torch.no_grad():
                    model.rnn.weight_hh_l0.mul_(1.15)

    return train(model, data(), adam(model, 1e-4), epochs=2, more=[Grow()])


@sick("exploding_gradients", None)
def a_deep_stack_of_large_weights():
    model = mlp(*[64] * 8)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1.0)
    return train(model, data(), adam(model), epochs=1)


@sick("dead_units", "2")
def biases_far_below_zero():
    model = mlp()
    with torch.no_grad():
        model[1].bias.fill_(-30.0)
    return train(model, data(), adam(model))


@sick("dead_units", "first.bias")
def biases_far_below_zero_and_relu_a_function():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
            with torch.no_grad():
                self.first.bias[:50] = -30.0

        def forward(self, x):
            return self.head(torch.relu(self.second(torch.relu(self.first(x.flatten(1))))))

    model = Functional()
    return train(model, data(), adam(model))


@sick("saturated_units", "2")
def weights_too_large_for_tanh():
    model = mlp(activation=nn.Tanh)
    with torch.no_grad():
        model[1].weight.mul_(50)
    return train(model, data(), adam(model))


@sick("saturated_units", "4")
def weights_too_large_for_sigmoid():
    model = mlp(activation=nn.Sigmoid)
    with torch.no_grad():
        nn.init.normal_(model[3].weight, std=20)
    return train(model, data(), adam(model))


@sick("updates_too_large", "1.weight")
def a_learning_rate_far_too_large():
    model = cnn()
    return train(model, data(), torch.optim.SGD(model.parameters(), lr=5.0, weight_decay=0.1), epochs=1)


@sick("updates_too_large", None)
def a_first_step_of_adam_that_throws_the_weights_away():
    model = mlp()
    return train(model, data(), adam(model, 1.0), epochs=1)


@sick("updates_too_small", None)
def a_learning_rate_far_too_small():
    model = mlp()
    return train(model, data(), adam(model, 1e-8))


@sick("unchanged_weights", "1.weight")
def a_layer_that_the_optimizer_does_not_have():
    model = mlp()
    return train(model, data(), torch.optim.Adam(model[3:].parameters()), epochs=2)


@sick("unchanged_weights", "1.weight")
def a_layer_whose_learning_rate_is_0():
    model = mlp()
    groups = [{"params": model[1].parameters(), "lr": 0.0}, {"params": model[3:].parameters()}]
    return train(model, data(), torch.optim.Adam(groups), epochs=2)


@sick("unchanged_weights", "1.weight")
def a_layer_that_was_unfrozen_but_not_given_to_the_optimizer():
    model = mlp()
    model[1].requires_grad_(False)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad])

    class Unfreeze(ol.Callback):
        def on_epoch_begin(self, epoch, logs):
            model[1].requires_grad_(epoch > 0)

    return train(model, data(), optimizer, epochs=3, more=[Unfreeze()])


@sick("unchanged_weights", "first.weight")
def a_layer_that_is_cut_off():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)

        def forward(self, x):
            return self.second(torch.relu(self.first(x.flatten(1))).detach())

    model = Cut()
    return train(model, data(), adam(model), epochs=5)


@sick("no_gradient", "")
def a_loss_that_does_not_depend_on_the_model():
    model = mlp()
    return train(model, data(), adam(model), epochs=2, criterion=lambda outputs, y: (outputs * 0).mean())


@sick("no_gradient", "3.weight")
def two_layers_that_are_all_zero():
    model = mlp(64)
    with torch.no_grad():
        for weight in (model[1].weight, model[1].bias, model[3].weight):
            weight.zero_()
    model[2] = nn.Tanh()
    return train(model, data(), sgd(model), epochs=5)


@sick("symmetric_units", "1.weight")
def layers_that_all_begin_with_one_number():
    model = mlp()
    for weight in model.parameters():
        nn.init.constant_(weight, 0.05)
    return train(model, data(), adam(model), epochs=5)


@sick("loss_stuck", "")
def labels_that_have_nothing_to_do_with_the_inputs():
    images, labels = digits()
    noise = torch.randint(10, labels.shape)
    model = mlp(16)
    return train(model, batches(images, noise), sgd(model, 0.05), epochs=7)


@sick("loss_spiking", "")
def a_rate_that_is_far_too_large_for_a_while():
    model = mlp(activation=nn.Tanh)
    optimizer = sgd(model, 0.05)

    class Jump(ol.Callback):
        def on_train_batch_begin(self, batch, logs):
            self.run.learning_rate = 3.0 if 200 < self.run.step < 230 else 0.05

    return train(model, data(), optimizer, epochs=6, more=[Jump()])


@sick("loss_spiking", "")
def a_rate_that_is_far_too_large_from_the_beginning():
    model = mlp(activation=nn.LeakyReLU)
    return train(model, data(), adam(model, 0.5), epochs=1)


@sick("overfitting", "val_loss")
def too_few_data():
    images, labels = digits()
    model = mlp(256, 256)
    test = batches(images[200:800], labels[200:800], size=200)
    return train(model, batches(images, labels, count=60), adam(model, 3e-3), epochs=60, test=test)


@sick("not_finite", "loss")
def a_loss_that_takes_the_logarithm_of_zero():
    model = mlp()

    def criterion(outputs, targets):
        return cross_entropy(outputs, targets) + torch.log(torch.zeros(())) * 0

    return train(model, data(), adam(model), epochs=1, criterion=criterion)


@sick("not_finite", "1")
def a_rate_so_large_that_all_is_nan():
    model = mlp()
    return train(model, data(), sgd(model, 1e6), epochs=1)


@sick("not_finite", "2.running_var")
def a_sample_so_far_off_that_a_running_variance_is_infinite():
    images, labels = digits()
    images = images.clone()
    images[100] *= 1e25
    model = cnn()
    return train(model, batches(images, labels), adam(model), epochs=4)


@sick("bad_initial_variance", None)
def initial_weights_that_are_too_small():
    model = mlp(*[64] * 9)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
    return train(model, data(), sgd(model), epochs=1)


@sick("bad_initial_variance", None)
def initial_weights_that_are_too_large():
    model = mlp(*[64] * 9)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.6)
    return train(model, data(), adam(model, 1e-5), epochs=1)


@sick("tiny_batch_norm_variance", "1")
def inputs_that_hardly_vary_and_are_normalized_within():
    images, labels = digits()
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), *mlp()[1:])
    return train(model, batches(images / 1e4, labels), adam(model), epochs=2)


@sick("input_not_normalized", "inputs")
def pixels_from_0_to_255():
    images, labels = digits()
    model = mlp()
    return train(model, batches((images - images.min()) * 60, labels), adam(model), epochs=1)


@sick("input_not_normalized", "inputs")
def pixels_that_were_divided_twice():
    images, labels = digits()
    model = mlp()
    return train(model, batches((images - images.min()) / 2000, labels), adam(model), epochs=1)


@sick("one_class_batches", "targets")
def data_sorted_by_class():
    images, labels = digits()
    order = labels.argsort(stable=True)
    model = mlp()
    return train(model, batches(images[order], labels[order], shuffle=False, size=16), adam(model), epochs=2)


@sick("learning_rate_jump", "learning_rate")
def a_schedule_that_jumps():
    model = mlp()
    optimizer = sgd(model, 1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 if step < 70 else 100)
    return train(model, data(), optimizer, schedule=schedule)


def adams(models, generator=1e-3, discriminator=1e-3):
    return {
        "generator": torch.optim.Adam(models["generator"].parameters(), lr=generator, betas=(0.5, 0.99)),
        "discriminator": torch.optim.Adam(models["discriminator"].parameters(), lr=discriminator, betas=(0.5, 0.99)),
    }


@sick("discriminator_wins", "discriminator")
def a_discriminator_that_learns_much_faster():
    models = gan()
    return train_gan(models, adams(models, 1e-5, 3e-3), epochs=12, blur=0.0)


@sick("mode_collapse", "digits")
def a_generator_that_forgets_its_noise(tmp_path):
    models = gan()
    noise = torch.randn(16, 16)
    grid = ol.callbacks.ImageGrid(
        lambda models: models["generator"](noise), tmp_path, name="digits", value_range=(-1, 1), when=ol.every(epochs=2)
    )

    class Forget(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 5:
                with torch.no_grad():
                    models["generator"][0].weight.mul_(0.02)

    return train_gan(models, adams(models, generator=1e-5), epochs=12, more=[Forget(), grid])


@sick("no_generator_gradient", "generator")
def a_generator_that_is_cut_off():
    models = gan()
    real_forward = models["discriminator"].forward
    models["discriminator"].forward = lambda images: real_forward(images.detach())
    return train_gan(models, adams(models), epochs=4)


@pytest.mark.parametrize("name", SICK)
def test_the_rule_speaks_once(name, request):
    rule, where, make = SICK[name]
    torch.manual_seed(0)
    given = {"tmp_path": request.getfixturevalue("tmp_path")} if make.__code__.co_argcount else {}
    doctor = make(**given)
    found = [place for name, place in seen(doctor) if name == rule]
    assert len(found) == 1, seen(doctor)
    assert where is None or found == [where]


def test_every_rule_has_a_training_that_is_sick():
    assert {rule for rule, _, _ in SICK.values()} == {rule.name for rule in ol.callbacks.doctor_rules()}
