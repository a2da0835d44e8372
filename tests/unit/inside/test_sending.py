"""What is on devices is sent at once and fetched later; the rest is there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from onlooker.inside import Look, summarise, torch_device
from onlooker.inside import jax as of_jax


class OnDevice(torch.Tensor):
    """A tensor that says it is on a device."""

    is_cpu = False


@pytest.fixture
def nothing_is_on_the_cpu(monkeypatch):
    monkeypatch.setattr(of_jax, "_is_on_cpu", lambda array: False)


NUMBERS = np.linspace(-1, 3, 12, dtype="float32").reshape(3, 4)
SOME = {
    "here": NUMBERS,
    "torch": torch.tensor(NUMBERS).as_subclass(OnDevice),
    "jax": jnp.asarray(NUMBERS),
    "here too": NUMBERS * 2,
    "torch too": torch.tensor(NUMBERS * 2).as_subclass(OnDevice),
    "jax too": jnp.asarray(NUMBERS * 2),
}


def test_what_was_sent_is_what_would_have_been_fetched(nothing_is_on_the_cpu, monkeypatch):
    fetched = []
    for module in (torch_device, of_jax):
        finish_sent = module.finish_sent
        monkeypatch.setattr(module, "finish_sent", lambda sent, f=finish_sent: fetched.append(1) or f(sent))
    look = Look()
    assert not look.add_all(SOME)
    assert look.send()
    assert not fetched
    look.add("later", SOME["jax"] * 3)
    found = look.fetch()
    assert len(fetched) == 2  # once for each library; what came later was not sent
    assert list(found) == [*SOME, "later"]
    for name, factor in {
        "here": 1,
        "torch": 1,
        "jax": 1,
        "here too": 2,
        "torch too": 2,
        "jax too": 2,
        "later": 3,
    }.items():
        expected = summarise(NUMBERS * factor)
        assert found[name].bins == expected.bins
        assert found[name].norm == pytest.approx(expected.norm)
    assert look.fetch() == found


def test_where_nothing_is_on_a_device_nothing_is_sent():
    look = Look()
    look.add_all({name: tensor for name, tensor in SOME.items() if not name.startswith("torch")})
    assert isinstance(SOME["jax"], jax.Array)
    assert not look.send()
    assert not Look().send()


def test_an_array_library_that_cannot_send_is_fetched(nothing_is_on_the_cpu, monkeypatch):
    monkeypatch.delattr(of_jax, "send")
    look = Look()
    look.add("jax", SOME["jax"])
    assert not look.send()
    assert look.fetch()["jax"].count == 12


def test_of_two_with_one_key_the_last_counts_whenever_it_is_sent(nothing_is_on_the_cpu):
    for kind in ("torch", "jax"):
        for sends in ("before", "before and after", "after"):
            look = Look()
            look.add("one", SOME[kind])
            look.add("other", SOME[kind])
            if "before" in sends:
                look.send()
            look.add("one", SOME[f"{kind} too"])
            if "after" in sends:
                look.send()
            found = look.fetch()
            assert found["one"] == summarise(SOME[f"{kind} too"])
            assert found["other"] == summarise(SOME[kind])


def test_what_was_sent_is_not_sent_again(nothing_is_on_the_cpu, monkeypatch):
    sent, send = [], torch_device.send
    monkeypatch.setattr(torch_device, "send", lambda found: sent.append(len(found)) or send(found))
    look = Look()
    look.add_all({name: SOME[name] for name in ("torch", "torch too")})
    assert look.send()
    assert look.send()  # they are still on their way
    look.add("more", SOME["torch"])
    look.add("here", NUMBERS)
    assert look.send()
    assert sent == [2, 1]
    assert list(look.fetch()) == ["torch", "torch too", "more", "here"]
    assert not look.send()
    assert sent == [2, 1]
