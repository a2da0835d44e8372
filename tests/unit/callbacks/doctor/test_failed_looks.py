"""A Doctor that could not look says so: silence of its rules is no health then."""

import warnings

import pytest
import rich
import torch

import onlooker as ol

Doctor, Inside = ol.callbacks.Doctor, ol.callbacks.Inside


class Refuses(torch.nn.Linear):
    """Counts as a module, and takes no hooks."""

    def register_forward_hook(self, *given, **named):
        raise RuntimeError("no hooks\nhere")


def fit(callbacks, model, batches=5):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ol.OnlookerWarning)
        with ol.Loop(model, optimizer, callbacks) as loop:
            for _ in loop.epochs(1):
                for x in loop.train([torch.ones(8, 4)] * batches):
                    optimizer.zero_grad()
                    loss = model(x).square().mean()
                    loss.backward()
                    optimizer.step()
                    loop.log(loss=loss)


def shown(doctor, capsys):
    rich.print(doctor.report())
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("insides", [[], [Inside()]])
@pytest.mark.parametrize("is_first", [True, False])
def test_looks_that_failed_are_in_the_report(insides, is_first, capsys):
    doctor = Doctor(quiet=True)
    fit([doctor, *insides] if is_first else [*insides, doctor], Refuses(4, 1))
    text = shown(doctor, capsys)
    assert "Doctor: no alerts" in text
    assert "5 of 5 looks failed, the last with RuntimeError: no hooks here" in text
    assert doctor.unjudged["vanishing_gradients"] == "to look at gradients, and no look has succeeded"
    assert "not judged: vanishing_gradients, which needs to look at gradients, and no look" in text


def test_a_training_in_which_nothing_was_seen_is_not_judged(capsys):
    doctor = Doctor(quiet=True)
    fit([doctor, Inside(every=ol.at(steps=1000))], torch.nn.Linear(4, 1))
    assert doctor.unjudged["exploding_gradients"].endswith("and no look has succeeded")
    assert "looks failed" not in shown(doctor, capsys)


def test_looks_that_succeeded_are_not_spoken_of(capsys):
    doctor = Doctor(quiet=True)
    fit([doctor], torch.nn.Linear(4, 1))
    text = shown(doctor, capsys)
    assert "failed" not in text
    assert "succeeded" not in text
    assert "exploding_gradients" not in doctor.unjudged
