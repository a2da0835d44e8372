"""A program for a process of its own: Triton's interpreter runs the pass on tensors on the CPU, and NumPy checks it.

It needs `TRITON_INTERPRET=1` in the environment before Triton is loaded. Prints each type of tensors that is right.
"""

import torch
from tests.unit.inside.test_torch_device import same

from onlooker.inside import summarise, torch_device, torch_triton
from onlooker.inside.torch_device import finish, look_at, look_at_differences

SIZES = [(700,), (), (0,), (16, 16), (257,), (3, 5, 7), (64,), (5,), (9,)]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def looked_at(tensors, olds, together):
    """Look at tensors, or at their differences to others, together or one by one."""
    kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in tensors]
    look, given = (look_at, (tensors, kinds)) if olds is None else (look_at_differences, (tensors, olds, kinds))
    if together:
        return finish(look(*given))
    return finish([look(*([one] for one in some))[0] for some in zip(*given, strict=True)])


def check(dtype):
    generator = torch.Generator().manual_seed(0)
    now, before = ([torch.randn(size, generator=generator).to(dtype) for size in SIZES] for _ in range(2))
    now[0][:9] = torch.tensor([0.0, -0.0, torch.nan, torch.inf, -torch.inf, 1e-30, -8.0, 7.99, 1e-42]).to(dtype)
    now[3][:, 2] = 0
    now[6][:], now[7][:] = torch.nan, torch.inf
    for together in (True, False):
        for summary, one in zip(looked_at(now, None, together), now, strict=True):
            same(summary, summarise(one))
        if dtype.itemsize > 2:  # narrower ones are widened before anything is taken away
            for summary, one, old in zip(looked_at(now, before, together), now, before, strict=True):
                same(summary, summarise(one - old))


def main():
    torch_triton.TILE, torch_triton._STEP, torch_device.LITTLE = 256, 64, 10
    torch_triton.is_possible = lambda tensors: True
    del torch_device.go_over  # the other way must not be taken
    for dtype in DTYPES:
        check(dtype)
        print(dtype)


if __name__ == "__main__":
    main()
