"""The pass that Triton compiles for GPUs: run here by Triton's interpreter, and compiled for GPUs that are not here."""

import os
import subprocess
import sys

import pytest
import torch

from onlooker.core.errors import OnlookerWarning
from onlooker.inside import torch_device, torch_triton

pytest.importorskip("triton")
FAILS = r"Triton cannot compile here \(RuntimeError: Failed to find C compiler"


def run(*arguments, **environment):
    """Run Python in a process of its own, as Triton is told by the environment how to work; return what it prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
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


@pytest.mark.slow
def test_it_compiles_for_gpus(tmp_path):
    assert run("-c", COMPILED, TRITON_CACHE_DIR=str(tmp_path)) == ["compiled"]


def fail(*given, **named):
    raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")


@pytest.fixture
def unbroken(monkeypatch):
    monkeypatch.setattr(torch_triton, "_is_broken", False)
    monkeypatch.setattr(torch_device.torch_triton, "is_possible", lambda tensors: not torch_triton._is_broken)


@pytest.mark.usefixtures("unbroken")
def test_where_triton_fails_pytorchs_operations_do_the_same(monkeypatch):
    monkeypatch.setattr(torch_triton, "_launch_tiles", fail)
    with pytest.warns(OnlookerWarning, match=FAILS):
        rows = torch_device.look_at([torch.ones(100_000)], ["float32"])
    assert torch_device.finish(rows)[0].total == 100_000
    assert torch_triton._is_broken, "it is not tried again"


@pytest.mark.usefixtures("unbroken")
def test_where_triton_fails_in_the_end_nothing_is_lost(monkeypatch):
    """As where the first kernel was compiled in an earlier process, and the second one cannot be."""
    monkeypatch.setattr(torch_triton, "_launch_lines", fail)
    table = torch.full((5, 128), 7.0, dtype=torch.float64)
    table[:, 0], table[:, 1] = torch.arange(5), -torch.arange(5)
    some = [torch_triton.Lines(table, 0, 2, 40_000), torch_triton.Lines(table, 2, 3, 70_000)]
    with pytest.warns(OnlookerWarning, match=FAILS):
        first, second = torch_triton.join(some)
    assert (first.length, second.length, torch_triton._is_broken) == (40_000, 70_000, True)
    assert first.numbers[first.place].tolist() == [1, 0, *[14] * 70]
    assert second.numbers[second.place].tolist() == [4, -2, *[21] * 70]


def test_a_triton_that_cannot_be_loaded_is_said_once(monkeypatch):
    monkeypatch.setattr(torch_triton, "_is_broken", False)
    monkeypatch.setattr(torch_triton, "_kernel", None)
    monkeypatch.delattr("onlooker.inside.triton_kernel", raising=False)
    monkeypatch.setitem(sys.modules, "onlooker.inside.triton_kernel", None)
    assert torch_triton._get_kernel() is None, "it is not there, which is no reason for a word"
    monkeypatch.setattr(torch_triton, "_is_broken", False)
    monkeypatch.delitem(sys.modules, "onlooker.inside.triton_kernel")
    monkeypatch.setattr("triton.jit", fail)
    with pytest.warns(OnlookerWarning, match=FAILS):
        assert torch_triton._get_kernel() is None
    assert torch_triton._get_kernel() is None
    assert torch_triton._is_broken
