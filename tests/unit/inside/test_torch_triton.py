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


def run(*arguments, **environment):
    """Run Python in a process of its own, as Triton is told by the environment how to work; return what it prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def test_numbers_are_those_of_the_cpu():
    found = run("-m", "tests.unit.inside.triton_interpreted", TRITON_INTERPRET="1")
    assert found == ["torch.float32", "torch.float64", "torch.float16", "torch.bfloat16"]


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
            for is_single in {False, kind != tl.float64}:
                tensor = f"*{kind.name}" if is_single else "*i64"
                pointers = {"tiles": "*i64", "tensors": tensor, "others": tensor, "lines": "*fp64", "length": "i32"}
                constants = {"kind": kind, "is_difference": is_difference, "is_single": is_single}
                constants |= {"size": torch_triton.TILE, "step": torch_triton._STEP}
                compiled(triton_kernel.over_tiles, pointers, constants, capability)
    constants = {"width": 72, "some": torch_triton._SOME_LINES}
    compiled(triton_kernel.over_lines, {"spans": "*i64", "found": "*fp64"}, constants, capability)
print("compiled")
"""


def test_it_compiles_for_gpus(tmp_path):
    assert run("-c", COMPILED, TRITON_CACHE_DIR=str(tmp_path)) == ["compiled"]


def test_where_triton_fails_pytorchs_operations_do_the_same(monkeypatch):
    def fail(*given):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(torch_triton, "_is_broken", False)
    monkeypatch.setattr(torch_triton, "_launch_tiles", fail)
    monkeypatch.setattr(torch_device.torch_triton, "is_possible", lambda tensors: not torch_triton._is_broken)
    look = Look()
    with pytest.warns(OnlookerWarning, match=r"Triton cannot compile here \(RuntimeError: Failed to find C compiler"):
        look._found["one"] = torch_device.look_at([torch.ones(100_000)], ["float32"])[0]
    assert look.fetch()["one"].total == 100_000
    assert torch_triton._is_broken, "it is not tried again"
