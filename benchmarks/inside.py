"""What looking inside costs, as a share of a training step: Inside, Doctor, and what people do today.

The unit is the bare step on the CPU, with all threads: a ResNet-18 of 11 million parameters, in its form for pictures
of 32 × 32, and a GPT of 10 million on sequences of 32, both with batches of 32 and Adam. What a look costs depends on
the parameters, and a step on the data too: the ResNet on pictures of 16 × 16 shows how the share grows where steps are
a quarter as long. Each candidate trains the same model on the same batches and looks at each step, unless it says
otherwise. The peers: TensorBoard's histograms of all weights and gradients, and a loop over them that takes mean,
deviation, minimum, maximum and norm by `.item()`. A share is what the step takes more, by the wall's clock: what runs
in another thread beside the step costs nothing but the step's time. On a machine that is shared it is right to within
two or three hundredths of a step; so of Inside and Doctor it also says how long their hooks take, which is nearly all
that they cost, and is disturbed less.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

import onlooker as ol
from benchmarks._paired import Alternating
from benchmarks._results import keep
from benchmarks._spent import Spent
from onlooker.callbacks.inside.looking import Looking

BATCH = 32
WARM_UP = 2
Model = nn.Module


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        around = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        self.around = nn.Sequential(*around) if stride > 1 else nn.Identity()

    def forward(self, x: Any) -> Any:
        inner = self.norms[1](self.second(torch.relu(self.norms[0](self.first(x)))))
        return torch.relu(inner + self.around(x))


def resnet(side: int = 32) -> tuple[Model, list[Any]]:
    torch.manual_seed(0)
    widths = (64, 128, 256, 512)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    inputs = 64
    for place, width in enumerate(widths):
        layers += [Block(inputs, width, 1 if place == 0 else 2), Block(width, width, 1)]
        inputs = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return model, [(torch.randn(BATCH, 3, side, side), torch.randint(0, 10, (BATCH,))) for _ in range(4)]


class GPT(nn.Module):
    """A small decoder."""

    def __init__(self, vocabulary: int = 1000, width: int = 320, depth: int = 8, context: int = 32) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Parameter(torch.zeros(context, width))
        layer = nn.TransformerEncoderLayer(width, 8, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out = nn.Linear(width, vocabulary, bias=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(context))

    def forward(self, x: Any) -> Any:
        return self.out(self.layers(self.tokens(x) + self.places, mask=self.mask, is_causal=True)).flatten(0, 1)


def gpt() -> tuple[Model, list[Any]]:
    torch.manual_seed(0)
    sequences = [torch.randint(0, 1000, (BATCH, 33)) for _ in range(4)]
    return GPT(), [(one[:, :-1], one[:, 1:].flatten()) for one in sequences]


def train_step(model: Model, optimizer: Any, x: Any, y: Any) -> Any:
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    return loss


def bare(
    make: Callable[[], tuple[Model, list[Any]]], steps: int, settle: Callable[[], None] | None = None
) -> Callable[[], None]:
    """Return what trains some steps; with a function that waits for the device only then, else for each loss."""
    model, batches = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    left = iter(range(10**9))

    def work() -> None:
        for _ in range(steps):
            x, y = batches[next(left) % len(batches)]
            loss = train_step(model, optimizer, x, y)
            optimizer.step()
            if settle is None:
                loss.item()
        if settle is not None:
            settle()

    return work


def with_callbacks(model: Model, loader: Iterable[Any], callbacks: list[Any]) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
        for x, y in loop.train(loader):
            loss = train_step(model, optimizer, x, y)
            optimizer.step()
            loop.log(loss=loss)


def tensorboard(model: Model, loader: Iterable[Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    with tempfile.TemporaryDirectory() as directory, SummaryWriter(directory) as writer:
        for step, (x, y) in enumerate(loader):
            train_step(model, optimizer, x, y).item()
            for name, parameter in model.named_parameters():
                writer.add_histogram(f"weights/{name}", parameter, step)
                writer.add_histogram(f"gradients/{name}", parameter.grad, step)
            optimizer.step()


def naive(model: Model, loader: Iterable[Any]) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    seen = {}
    for x, y in loader:
        train_step(model, optimizer, x, y).item()
        for name, parameter in model.named_parameters():
            for what, tensor in (("weight", parameter.detach()), ("gradient", parameter.grad)):
                numbers = tensor.mean(), tensor.std(), tensor.min(), tensor.max(), tensor.norm()
                seen[name, what] = [number.item() for number in numbers]
        optimizer.step()


def inside(*what: str, every: int = 1) -> Callable[[Model, Iterable[Any]], None]:
    def run(model: Model, loader: Iterable[Any]) -> None:
        with_callbacks(model, loader, [ol.callbacks.Inside(what, every=ol.every(steps=every))])

    return run


def doctor(model: Model, loader: Iterable[Any]) -> None:
    looks = ol.callbacks.Inside(("weights", "gradients", "updates"), every=ol.every(steps=1))
    with_callbacks(model, loader, [looks, ol.callbacks.Doctor()])


def nothing(model: Model, loader: Iterable[Any]) -> None:
    with_callbacks(model, loader, [])


LOOKS = ("weights", "gradients")
CANDIDATES: dict[str, tuple[Callable[[Model, Iterable[Any]], None], int, dict[str, str]]] = {
    "Loop, no callback": (nothing, 1, {}),
    "Inside: weights and gradients": (inside(*LOOKS), 1, {"ResNet": "≤ 2 %", "GPT": "≤ 4 %"}),
    "Inside: weights, gradients and updates": (inside(*LOOKS, "updates"), 1, {"ResNet": "≤ 1.5 ×", "GPT": "≤ 1.5 ×"}),
    "Inside: activations, every 10th step": (inside("activations", every=10), 10, {"ResNet": "≤ 1 %", "GPT": "≤ 1 %"}),
    "Inside, not looking at this step": (inside(*LOOKS, every=10**9), 1, {"ResNet": "nothing", "GPT": "nothing"}),
    "Inside with updates, and Doctor": (doctor, 1, {"ResNet": "≤ 0.5 % more", "GPT": "≤ 0.5 % more"}),
    "TensorBoard: histograms of weights and gradients": (tensorboard, 1, {}),
    "by hand: five numbers each, .item()": (naive, 1, {}),
}
"""What runs, how many steps a chunk has, and the goals."""

HOOKS = (
    *((owner, f"on_train_batch_{m}") for owner in (ol.callbacks.Inside, ol.callbacks.Doctor) for m in ("begin", "end")),
    *((Looking, name) for name in ("_before", "_clipped", "_after", "_seen")),
)
"""Where Inside and Doctor spend their time."""

WITH_GOALS = {title for _, _, goals in CANDIDATES.values() for title in goals}
MODELS = {"ResNet": resnet, "GPT": gpt, "ResNet on 16 × 16": lambda: resnet(16)}


def share(
    make: Callable[[], tuple[Model, list[Any]]], run: Any, steps: int, chunks: int
) -> tuple[dict[str, Any], float]:
    """Return the summary of one candidate beside the bare step, and the milliseconds a step in Inside's hooks."""
    model, batches = make()
    loader = Alternating(batches, bare(make, steps), chunk=steps, chunks=max(4, chunks // steps), warm_up=WARM_UP)
    with Spent(*HOOKS) as spent:
        run(model, spent.in_chunks(loader, steps))
    return loader.ratios.summary(steps), spent.seconds(WARM_UP) / steps * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=24, help="steps of each candidate (default: %(default)s)")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, (run, steps, goals) in CANDIDATES.items():
        row = {"": name}
        for title, make in MODELS.items():
            try:
                found, in_hooks_ms = share(make, run, steps, given.chunks)
            except (ImportError, AttributeError) as error:
                row[f"{title}, % of a step"] = f"not there ({error})"
            else:
                low, high = ((quartile - 1) * 100 for quartile in found["wall"]["quartiles"])
                middle = (found["wall"]["ratio"] - 1) * 100
                row[f"{title}, % of a step"] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
                if in_hooks_ms:
                    of_step = in_hooks_ms / found["baseline_wall_us"] * 1000
                    row[f"{title}, in hooks"] = f"{of_step:.1%}, {in_hooks_ms:.1f} ms"
            if title in WITH_GOALS:
                row[f"goal for {title}"] = goals.get(title, "")
        print(row, flush=True)
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    rows = [{column: row.get(column, "") for column in columns} for row in rows]
    keep("inside", "Looking inside", __doc__.partition("\n\n")[2].strip(), rows, ("torch", "numba", "tensorboard"))


if __name__ == "__main__":
    main()
