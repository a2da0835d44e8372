"""PyTorch's tensors on a GPU, where there is one: the same numbers, no waiting within the step, one transfer a look."""

import pytest
import torch

import onlooker as ol
from onlooker.inside import Look, summarise, torch_triton

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

SIZES = [(64, 3, 7, 7), (64,), (64, 64), (), (0,), (1000, 5), (3, 1, 2), (1025,), (1024,), (7, 4096), (3000, 3000)]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
OTHERS = [torch.int8, torch.int32, torch.int64, torch.bool, torch.complex64, torch.float8_e5m2]


def tensors(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randn(size, generator=generator, dtype=torch.float32).mul(10).to(dtype) for size in SIZES]
    if dtype.is_floating_point and dtype.itemsize > 1:
        found[0][0, 0, 0, :6] = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, 1e-30, 1e-40]).to(dtype)
        found[1].fill_(torch.nan)
        found[2][:, 3] = 0
        found[5].fill_(0.1)
    return found


def look_at(some):
    look = Look()
    assert not look.add_all(dict(enumerate(some)))
    return look.fetch()


def same(found, expected):
    """All is the same but the last digits of sums."""
    for name, value in expected.as_dict().items():
        if name in ("total", "squares"):
            scale = expected.squares if name == "squares" else (expected.squares * expected.finite) ** 0.5
            assert getattr(found, name) == pytest.approx(value, rel=1e-12, abs=1e-12 * scale + 1e-300), name
        else:
            assert repr(found.as_dict()[name]) == repr(value), name


@pytest.fixture(params=["Triton", "PyTorch's operations"], autouse=True)
def way(request, monkeypatch):
    if request.param == "Triton":
        pytest.importorskip("triton")
    else:
        monkeypatch.setattr(torch_triton, "_is_broken", True)
    yield
    assert torch_triton._is_broken == (request.param != "Triton")


@pytest.mark.parametrize("dtype", DTYPES + OTHERS)
def test_numbers_are_those_of_the_cpu(dtype):
    some = tensors(dtype)
    for number, summary in look_at([one.cuda() for one in some]).items():
        same(summary, summarise(some[number]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_differences_are_those_of_the_cpu(dtype):
    now, before = tensors(dtype), tensors(dtype, seed=1)
    found = []
    for place in ("cpu", "cuda"):
        look, kept = Look(), {}
        assert not look.keep_all({key: one.to(place) for key, one in enumerate(before)}, kept)
        assert not look.add_differences({key: one.to(place) for key, one in enumerate(now)}, kept)
        found.append(look.fetch())
    for key, expected in found[0].items():
        same(found[1][key], expected)


def train(callbacks, batches=8, may_wait=False):
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 32, 3), torch.nn.BatchNorm2d(32), torch.nn.ReLU(), torch.nn.Dropout(0.2)]
    model = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(32 * 14 * 14, 10)).cuda()
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = [(torch.randn(16, 3, 16, 16).cuda(), torch.randint(0, 10, (16,)).cuda()) for _ in range(batches)]
    with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
        for x, y in loop.train(loader):
            torch.cuda.set_sync_debug_mode("default" if may_wait else "error")
            try:
                loss = torch.nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
                optimizer.step()
                loop.log(loss=loss)
            finally:
                torch.cuda.set_sync_debug_mode("default")
    return model


def everything():
    return ol.callbacks.Inside(("weights", "gradients", "updates", "activations", "activation_gradients"))


def test_nothing_waits_within_a_step_that_is_looked_at():
    inside = everything()
    train([inside])
    assert inside.latest_step == 8
    assert set(inside.latest) == set(inside.what)


def test_a_look_takes_one_transfer():
    from torch.profiler import ProfilerActivity, profile

    train([everything()])
    found = {}
    for what, callbacks in (("bare", []), ("looked at", [everything()])):
        with profile(activities=[ProfilerActivity.CUDA]) as watched:
            train(callbacks)
        found[what] = sum("DtoH" in event.name for event in watched.events())
    assert found["looked at"] - found["bare"] == 8


def test_observing_changes_nothing():
    torch.use_deterministic_algorithms(True)
    try:
        bare, looked_at = train([]), train([everything(), ol.callbacks.Doctor(), ol.callbacks.FindNaN()])
    finally:
        torch.use_deterministic_algorithms(False)
    for first, second in zip(bare.state_dict().values(), looked_at.state_dict().values(), strict=True):
        assert torch.equal(first, second)


def test_another_default_device_changes_nothing():
    inside = everything()
    with torch.device("cuda"):
        train([inside], may_wait=True)  # Adam does, by itself: it puts its count of steps there
        found = look_at([torch.ones(5), torch.ones(100_000)])
    assert (inside.latest_step, found[0].total, found[1].total) == (8, 5, 100_000)


def test_a_step_that_is_captured_in_a_graph_is_left_alone(way):
    def run(*callbacks):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)).cuda()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, capturable=True)
        x = torch.randn(8, 64, device="cuda")

        def step():
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

        graph = torch.cuda.CUDAGraph()
        side = torch.cuda.Stream()
        with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
            for number in loop.train(range(8)):
                if number < 3:
                    side.wait_stream(torch.cuda.current_stream())
                    with torch.cuda.stream(side):
                        step()
                    torch.cuda.current_stream().wait_stream(side)
                elif number == 3:
                    with torch.cuda.graph(graph):
                        step()
                else:
                    x.copy_(torch.randn(8, 64, device="cuda"))
                    graph.replay()
        return [one.clone() for one in model.parameters()]

    inside = everything()
    bare = run()
    with pytest.warns(ol.OnlookerWarning, match="captured in a graph"):
        found = run(inside)
    for first, second in zip(bare, found, strict=True):
        assert torch.equal(first, second)
    assert inside.latest_step >= 3
