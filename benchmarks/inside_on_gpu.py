"""What looking inside costs on a GPU, as a share of a training step: Inside, Doctor, and what people do today.

The unit is the bare step, which never waits for the device; each candidate trains the same model on the same batches,
and looks at each step unless it says otherwise. The first two models are those of the benchmark on the CPU, the
ResNet-18 of 11 million parameters and the GPT of 10 million: for a GPU they are so small that a step takes as long as
Python takes to tell the device what to do. The others have sizes that people train: a ResNet-18 on 64 pictures of
224 × 224, and a GPT of 124 million parameters on 8 sequences of 512. Adam, float32. Chunks of steps alternate, and each
ends when the device has done all.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks._paired import Alternating
from benchmarks._results import keep
from benchmarks.inside import CANDIDATES, GPT, Model, bare, gpt, resnet

Made = tuple[Model, list[Any]]


def large_resnet() -> Made:
    model, _ = resnet()
    model[0] = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    model.insert(3, nn.MaxPool2d(3, 2, 1))
    return model, [(torch.randn(64, 3, 224, 224), torch.randint(0, 10, (64,))) for _ in range(2)]


def large_gpt() -> Made:
    torch.manual_seed(0)
    sequences = [torch.randint(0, 25000, (8, 513)) for _ in range(2)]
    batches = [(one[:, :-1], one[:, 1:].flatten()) for one in sequences]
    return GPT(vocabulary=25000, width=768, depth=12, context=512), batches


MODELS: dict[str, tuple[Callable[[], Made], int]] = {
    "ResNet": (resnet, 10),
    "GPT": (gpt, 5),
    "ResNet on 224 × 224": (large_resnet, 10),
    "GPT of 124 M": (large_gpt, 5),
}
"""What is trained, and how many steps a chunk has."""


def on_gpu(make: Callable[[], Made]) -> Callable[[], Made]:
    def made() -> Made:
        model, batches = make()
        return model.cuda(), [(x.cuda(), y.cuda()) for x, y in batches]

    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=8, help="chunks of each candidate (default: %(default)s)")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU here; what was measured on one stays as it is.")
        return
    warnings.simplefilter("ignore")
    rows = []
    for name, (run, period, goals) in CANDIDATES.items():
        row = {"": name}
        is_peer = not goals and "Loop" not in name  # some take seconds a step
        for title, (make, chunk) in MODELS.items():
            steps, chunks, warm_up = (1, 3, 1) if is_peer else (max(chunk, period), given.chunks, 2)
            model, batches = on_gpu(make)()
            baseline = bare(on_gpu(make), steps, torch.cuda.synchronize)
            loader = Alternating(batches, baseline, steps, chunks, warm_up, settle=torch.cuda.synchronize)
            run(model, loader)
            found = loader.ratios.summary(steps)
            low, high = ((quartile - 1) * 100 for quartile in found["wall"]["quartiles"])
            middle = (found["wall"]["ratio"] - 1) * 100
            row[f"{title}, % of a step"] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
            row[f"{title}, step"] = f"{found['baseline_wall_us'] / 1000:.1f} ms"
        row["goal"] = "≤ 2 %" if name == "Inside: weights and gradients" else ""
        print(row, flush=True)
        rows.append(row)
    note = f"{__doc__.partition(chr(10) * 2)[2].strip()}\n\nOn one {torch.cuda.get_device_name()}."
    keep("inside_on_gpu", "Looking inside on a GPU", note, rows, ("torch", "triton", "tensorboard"))


if __name__ == "__main__":
    main()
