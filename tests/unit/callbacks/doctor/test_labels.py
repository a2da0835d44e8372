"""Labels: batches of one class are sick where shuffling would not make them, and well where it would."""

import pytest
import torch
from tests.unit.callbacks.doctor.trainings import batches, digits, mlp, seen, train
from torch.nn import functional

import onlooker as ol

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def alerts(images, labels, criterion=functional.cross_entropy, outputs=10, size=16, shuffle=False, epochs=3):
    """What is said of the labels in a training."""
    model = mlp(outputs=outputs)
    loader = batches(images, labels, size=size, shuffle=shuffle)
    doctor = train(model, loader, torch.optim.Adam(model.parameters(), lr=1e-3), epochs, criterion=criterion)
    return [rule for rule, _ in seen(doctor) if rule == "one_class_batches"]


def by_class():
    """The digits, sorted."""
    images, labels = digits()
    order = labels.argsort(stable=True)
    return images[order], labels[order]


def rare(count):
    """The digits, of which few are threes: which of them are."""
    images, labels = digits()
    chosen = torch.cat([(labels == 3).nonzero()[:count, 0], (labels != 3).nonzero()[:, 0]])
    return images[chosen], (labels[chosen] == 3)


WAYS = {
    "whole numbers": lambda labels: (labels, functional.cross_entropy, 10),
    "small whole numbers": lambda labels: (
        labels.to(torch.uint8), lambda a, y: functional.cross_entropy(a, y.long()), 10,
    ),
    "one-hot": lambda labels: (functional.one_hot(labels, 10).float(), functional.cross_entropy, 10),
    "one-hot whole numbers": lambda labels: (
        functional.one_hot(labels, 10), lambda a, y: functional.cross_entropy(a, y.float()), 10,
    ),
    "0.0 and 1.0": lambda labels: (
        (labels > 4).float()[:, None], functional.binary_cross_entropy_with_logits, 1,
    ),
    "-1.0 and 1.0": lambda labels: (
        (labels > 4).float()[:, None] * 2 - 1, functional.soft_margin_loss, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_sorted_labels_are_found_however_they_are_written(way):
    images, labels = by_class()
    written, criterion, outputs = WAYS[way](labels)
    assert alerts(images, written, criterion, outputs, epochs=4) == ["one_class_batches"]


@pytest.mark.parametrize("way", WAYS)
def test_shuffled_labels_are_well(way):
    images, labels = digits()
    written, criterion, outputs = WAYS[way](labels)
    assert not alerts(images, written, criterion, outputs, shuffle=True, epochs=1)


@pytest.mark.parametrize("count", [1, 8, 35])
@pytest.mark.parametrize("size", [4, 16, 32])
def test_a_rare_class_that_is_shuffled_is_well(count, size):
    images, labels = rare(count)
    assert not alerts(images, labels.long(), outputs=2, size=size, shuffle=True, epochs=6)


def test_a_common_class_beside_a_rare_one_that_is_sorted():
    """Half of the batches are of the one class, and half of the other."""
    images, labels = by_class()
    assert alerts(images, (labels > 4).long(), outputs=2, size=32, epochs=4) == ["one_class_batches"]


def test_data_of_a_single_class_are_no_matter_of_shuffling():
    images, labels = digits()
    assert not alerts(images, torch.zeros_like(labels), shuffle=True)


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["0-and-more", "0-and-2", "thirds"])
def test_numbers_to_be_learned_are_no_labels(steps):
    """Most batches have one value only, as far as floats can tell."""
    images, labels = by_class()
    values = torch.where(labels < 5, 0.0, labels / steps)[:, None]
    assert not alerts(images, values, functional.mse_loss, outputs=1, epochs=4)


def test_pictures_of_which_few_show_anything():
    """Pixels of one picture belong together: they are one sample."""
    images, labels = digits()
    masks = ((labels == 3)[:, None, None] & (images > -0.5)).long().flatten(1)
    size = 8

    def criterion(outputs, targets):
        return functional.binary_cross_entropy_with_logits(outputs, targets.float())

    assert not alerts(images, masks, criterion, outputs=64, size=size, shuffle=True)


def test_the_alert_says_how_likely_it_was():
    images, labels = by_class()
    doctor = ol.callbacks.Doctor(ol.callbacks.doctor_rules(), quiet=True)
    model = mlp()
    train(model, batches(images, labels, shuffle=False, size=16), torch.optim.Adam(model.parameters()), 1, doctor)
    (alert,) = [alert for alert in doctor.alerts if alert.rule == "one_class_batches"]
    assert alert.evidence["one_class_share"] > 0.9
    assert alert.evidence["expected_share"] < 0.1
