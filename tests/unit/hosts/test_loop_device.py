"""What logging costs where values are on a device: no transfer unless somebody reads, one for each hook that does."""

import gc
import json
import warnings

import pytest
import torch
from tests.unit.hosts.fake_device import Elsewhere, elsewhere, traffic

import onlooker as ol
from onlooker.core.hooks import HOOKS
from onlooker.core.pending import LENGTH

ENDS = ("on_train_batch_end", "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end")


@pytest.fixture(autouse=True)
def no_traffic_yet():
    traffic.clear()


class Model(torch.nn.Module):
    """A weight elsewhere."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(elsewhere(torch.ones(3)))

    def forward(self, x):
        return self.weight * x


def callback(hooks, read):
    """A callback that has some hooks, and does something with the logs of each."""
    made = ol.Callback()
    for hook in hooks:
        if HOOKS[hook].index is None:
            setattr(made, hook, lambda logs: read(logs))
        else:
            setattr(made, hook, lambda index, logs: read(logs))
    return made


def train(callbacks, epochs=2, batches=4, tests=3):
    """A real training, of which everything is elsewhere."""
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
        for _ in loop.epochs(epochs):
            for number in loop.train(range(batches)):
                prediction = model(elsewhere(torch.ones(3) * number))
                loss = (prediction - 1).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss, largest=prediction.max())
                loop.outputs = prediction
            for number in loop.test(range(tests)):
                loop.log(loss=model(elsewhere(torch.ones(3) * number)).mean(), here=float(number))
            loop.log(norm=model.weight.norm())
    return loop


def test_the_fake_device_counts_each_way_to_read():
    for read in (
        lambda value: value.item(),
        float,
        bool,
        int,
        lambda value: value.tolist(),
        lambda value: value.cpu(),
        lambda value: value.to("cpu"),
        lambda value: value.to("cpu", torch.float64),
        lambda value: value.detach().cpu().numpy(),
        lambda value: value > 0 and None,
    ):
        traffic.clear()
        read(elsewhere(1.5))
        assert traffic.transfers == [1], read
    traffic.clear()
    value = elsewhere(1.5)
    _ = (value * 2 + 1).to(torch.float64).detach().clone().reshape(()), torch.stack([value, value])
    assert traffic.transfers == []
    assert isinstance(value * 2, Elsewhere)
    with pytest.raises(TypeError):
        value.numpy()


def test_nobody_there():
    train([])
    assert traffic.transfers == []


READS_NOTHING = {
    "nothing": lambda logs: None,
    "names": lambda logs: (list(logs), "loss" in logs, len(logs), sorted(logs), list(logs.batch), bool(logs)),
    "keeping": (kept := []).append,
    "assigning": lambda logs: logs.update(score=1.0),
    "deleting": lambda logs: logs.pop if not logs else logs.__delitem__(next(iter(logs))),
}


@pytest.mark.parametrize("read", READS_NOTHING.values(), ids=READS_NOTHING)
def test_a_training_in_which_no_hook_reads_waits_for_nothing(read):
    train([callback(HOOKS, read) for _ in range(3)])
    assert traffic.transfers == []


def test_what_is_kept_can_be_read_after_the_training():
    logs_of = {hook: [] for hook in ENDS}
    train([callback([hook], logs_of[hook].append) for hook in ENDS])
    assert traffic.transfers == []
    on_cpu = {hook: [] for hook in ENDS}
    train(
        [callback([hook], lambda logs, hook=hook: on_cpu[hook].append((dict(logs), dict(logs.batch)))) for hook in ENDS]
    )
    for hook in ENDS:
        assert [(dict(logs), dict(logs.batch)) for logs in logs_of[hook]] == on_cpu[hook]


READS = {
    "one value": lambda logs: logs["loss"],
    "one value of the batch": lambda logs: logs.batch.get("loss", logs["loss"]),
    "all": dict,
    "json": json.dumps,
    "one after the other": lambda logs: [logs[name] + logs.batch.get(name, 0.0) for name in logs],
    "formatting": lambda logs: "{loss:.3f}".format(**logs),
    "comparing": lambda logs: logs == {},
    "showing": str,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("hook", ENDS)
def test_a_hook_that_reads_costs_one_transfer_for_all_values(hook, read):
    calls = []

    def count(logs):
        before = len(traffic.transfers)
        read(logs)
        calls.append(len(traffic.transfers) - before)

    train([callback([hook], count)])
    assert calls == [1] * len(calls)
    assert calls
    # All together: means and the batch's own values.
    numbers = {"on_train_batch_end": 4, "on_test_batch_end": 2, "on_test_end": 1, "on_epoch_end": 4, "on_train_end": 4}
    assert traffic.transfers == [numbers[hook]] * len(calls)


def test_several_callbacks_that_read_one_hook_cost_no_more():
    train([callback(["on_train_batch_end"], dict) for _ in range(5)], epochs=1)
    assert traffic.transfers == [4] * 4


def test_what_one_hook_has_fetched_the_train_end_need_not():
    train([callback(["on_epoch_end", "on_train_end"], dict)], epochs=1)
    assert traffic.transfers == [4]


def test_what_a_test_has_fetched_its_epoch_need_not():
    train([callback(["on_test_end", "on_epoch_end"], dict)], epochs=1)
    assert traffic.transfers == [1, 3]


def test_reading_now_and_then():
    """A progress bar that looks at every second batch."""
    every = ol.every(batches=2)
    bar = ol.Callback()
    bar.on_train_batch_end = every(lambda batch, logs: logs["loss"])
    train([bar])
    assert len(traffic.transfers) == 4


def test_a_test_within_a_hook_waits_for_nothing():
    class Tests(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            stage = loop.test([1, 2])
            for _ in stage:
                loop.log(loss=elsewhere(1.0))
            kept.append(stage.logs)

    with ol.Loop(None, callbacks=[Tests()]) as loop:
        for _ in loop.epochs(1):
            list(loop.train([1]))
    assert traffic.transfers == []
    assert kept.pop() == {"loss": 1.0}


def test_nan_is_found_without_waiting_for_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ol.Loop(None, callbacks=[callback(HOOKS, lambda logs: None)]) as loop:
            for _ in loop.train([1, 2]):
                loop.log(loss=elsewhere(float("nan")))
    assert traffic.transfers == []


def test_wrong_values_are_refused_without_waiting_for_them():
    with ol.Loop(None) as loop:
        for _ in loop.train([1]):
            with pytest.raises(ol.OnlookerError, match=r"an array of shape \(3,\)"):
                loop.log(loss=elsewhere(torch.ones(3)))
    assert traffic.transfers == []


def test_a_weight_is_found_from_shapes_alone():
    with ol.Loop(None, callbacks=[callback(["on_train_end"], kept.append)]) as loop:
        for batch in loop.train([elsewhere(torch.ones(3, 2)), elsewhere(torch.zeros(1, 2))]):
            loop.log(loss=batch.mean())
    assert traffic.transfers == []
    assert kept.pop() == {"loss": 0.75}


def test_precision_does_not_suffer_elsewhere():
    """Ten thousand times 0.1 in float32 is off in the fourth digit if it is added up in float32."""
    with ol.Loop(None, callbacks=[callback(["on_train_end"], kept.append)]) as loop:
        for _ in loop.train(range(2000)):
            loop.log(loss=elsewhere(torch.tensor(0.1)))
    assert kept.pop()["loss"] == pytest.approx(float(torch.tensor(0.1)), rel=1e-12)


# Memory.


TENSORS = {torch.Tensor, torch.nn.Parameter, Elsewhere}


def live_tensors():
    gc.collect()
    return sum(type(thing) in TENSORS for thing in gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize("place", ["here", "elsewhere"])
@pytest.mark.parametrize("is_listening", [True, False])
def test_a_thousand_batches_with_graphs_do_not_grow(place, is_listening):
    """Each loss has its graph attached; graph nodes are counted through a tensor that each graph alone holds."""
    put = elsewhere if place == "elsewhere" else torch.clone
    weight = torch.nn.Parameter(put(torch.ones(8)))
    counts = []
    callbacks = [callback(HOOKS, lambda logs: None)] if is_listening else []
    with ol.Loop(None, callbacks=callbacks) as loop:
        for _ in loop.epochs(1):
            for number in loop.train(range(1001)):
                saved = put(torch.full((8,), float(number)))  # what backward needs, and nobody else
                loop.log(loss=(weight * saved).exp().mean(), other=(weight + saved).mean())
                del saved
                if number in (10, 10 + 15 * LENGTH, 10 + 30 * LENGTH):  # as many wait to be added up
                    counts.append(live_tensors())
    assert max(counts) - min(counts) <= 4, counts


def test_a_kept_logs_holds_no_graph():
    kept_logs = []
    weight = torch.nn.Parameter(elsewhere(torch.ones(8)))
    before = live_tensors()
    with ol.Loop(None, callbacks=[callback(["on_train_batch_end"], kept_logs.append)]) as loop:
        for _ in loop.train(range(50)):
            loop.log(loss=(weight * elsewhere(torch.ones(8))).exp().mean())
    # For each kept hook: the batch's own value with the tensor that it wraps; and the sum before each chunk.
    assert live_tensors() - before <= 50 * 2 + 8
    for logs in kept_logs:
        for value in dict.values(logs.batch):
            assert value.array.grad_fn is None
            assert not value.array.requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_on_a_real_device_nothing_waits_either():
    values = torch.rand(8, device="cuda")
    fetched = []
    reading = callback(
        ["on_epoch_end"], lambda logs: (torch.cuda.set_sync_debug_mode("default"), fetched.append(dict(logs)))
    )
    try:
        with ol.Loop(None, callbacks=[callback(HOOKS, kept.append), reading]) as loop:
            for _ in loop.epochs(1):
                torch.cuda.set_sync_debug_mode("error")
                for number in loop.train(range(8)):
                    loop.log(loss=values[number])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert fetched[0]["loss"] == pytest.approx(values.mean().item())
