"""The pass that Triton compiles for GPUs: run here by Triton's interpreter, and compiled for GPUs that are not here."""

import os
import subprocess
import sys

import pytest
import torch

from onlooker.core.errors import OnlookerWarning
from onlooker.inside import Look, torch_device, torch_triton

pytest.importorskip("triton")
pytestmark = pytest.mark.slow


def run(program, **environment):
    """Run a program in a process of its own, as Triton is told by the environment how to work; return its lines."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


INTERPRETED = """
import torch
from tests.unit.inside.test_torch_device import same
from onlooker.inside import summarise, torch_triton
from onlooker.inside.torch_device import Row, Sent, finish

torch_triton.TILE = 256
torch_triton._STEP = 64

def look_at(tensors, olds=None):
    rows = [Row(tensor, str(tensor.dtype).removeprefix("torch.")) for tensor in tensors]
    for row, parts in zip(rows, torch_triton.go_over(tensors, olds), strict=True):
        row.parts, row.tensor = parts, None
    return finish(rows)

for name in ("float32", "float64", "float16", "bfloat16"):
    dtype = getattr(torch, name)
    generator = torch.Generator().manual_seed(0)
    sizes = [(700,), (), (0,), (16, 16), (257,), (3, 5, 7), (64,), (5,), (9,)]
    now, before = ([torch.randn(size, generator=generator).to(dtype) for size in sizes] for _ in range(2))
    now[0][:9] = torch.tensor([0.0, -0.0, torch.nan, torch.inf, -torch.inf, 1e-30, -8.0, 7.99, 1e-42]).to(dtype)
    now[3][:, 2] = 0
    now[6][:], now[7][:] = torch.nan, torch.inf
    for summary, one in zip(look_at(now), now, strict=True):
        same(summary, summarise(one))
    if dtype.itemsize > 2:  # narrower ones are widened before anything is taken away
        for summary, one, old in zip(look_at(now, before), now, before, strict=True):
            same(summary, summarise(one - old))
    assert look_at([torch.empty(0)])[0].count == 0
    print(name)
"""


def test_numbers_are_those_of_the_cpu():
    assert run(INTERPRETED, TRITON_INTERPRET="1") == ["float32", "float64", "float16", "bfloat16"]


COMPILED = """
import triton
from triton import language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from onlooker.inside import triton_kernel, torch_triton

def compiled(function, pointers, constants, capability):
    source = ASTSource(function, {**pointers, **dict.fromkeys(constants, "constexpr")}, constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32))

for capability, kinds in ((75, [tl.float32]), (90, [tl.float32, tl.float64, tl.float16, tl.bfloat16])):
    for kind in kinds:
        for is_difference in {False, kind == tl.float32}:
            constants = {"kind": kind, "is_difference": is_difference, "step": torch_triton._STEP}
            pointers = {"tiles": "*i64", "addresses": "*i64", "others": "*i64", "lines": "*fp64"}
            compiled(triton_kernel.over_tiles, pointers, constants, capability)
    constants = {"width": 72, "some": torch_triton._SOME_LINES}
    compiled(triton_kernel.over_lines, {"lines": "*fp64", "spans": "*i64", "found": "*fp64"}, constants, capability)
print("compiled")
"""


def test_it_compiles_for_gpus(tmp_path):
    assert run(COMPILED, TRITON_CACHE_DIR=str(tmp_path)) == ["compiled"]


def test_where_triton_fails_pytorchs_operations_do_the_same(monkeypatch):
    def fail(*given):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(torch_triton, "_is_broken", False)
    monkeypatch.setattr(torch_triton, "_launch", fail)
    monkeypatch.setattr(torch_device.torch_triton, "is_possible", lambda device: not torch_triton._is_broken)
    look = Look()
    with pytest.warns(OnlookerWarning, match=r"Triton cannot compile here \(RuntimeError: Failed to find C compiler"):
        look._found["one"] = torch_device.look_at([torch.ones(100_000)], ["float32"])[0]
    assert look.fetch()["one"].total == 100_000
    assert torch_triton._is_broken, "it is not tried again"
