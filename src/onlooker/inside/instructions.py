"""What compiled code can have a processor do that Numba has no words for: prefetches, copies past the caches, pointers.

Owns these few instructions, each as a function that only compiled code can call.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

VECTOR = 32
"""Bytes: eight elements. They are copied past the caches, which takes places in memory that are multiples of it."""


@intrinsic
def unsigned_bits(typing_context: Any, value: Any) -> Any:
    """Return the bits of a float32 as an integer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic
def fetch_ahead(typing_context: Any, address: Any) -> Any:
    """Have a line of a core's own cache filled from an address, without waiting for it; any address will do."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, pointer = ir.IntType(32), builder.inttoptr(arguments[0], cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, integer, integer, integer])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        is_write, not_the_nearest, is_data = integer(0), integer(2), integer(1)
        builder.call(prefetch, [pointer, is_write, not_the_nearest, is_data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def copy_vector(typing_context: Any, source: Any, target: Any) -> Any:
    """Copy 32 bytes past the caches, to an address that is a multiple of 32: nobody reads them soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), VECTOR // 4).as_pointer()
        read = builder.load(builder.inttoptr(arguments[0], vector), align=4)
        written = builder.store(read, builder.inttoptr(arguments[1], vector), align=VECTOR)
        written.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def wait_for_copies(typing_context: Any) -> Any:
    """Have all that was copied past the caches be in memory, for other threads to see."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """Make a pointer of an address, which only compiled code can follow."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic
def take_next(typing_context: Any, address: Any) -> Any:
    """Return the int64 at an address and add one to it, which no other thread can come between."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(64)
        counter = builder.inttoptr(arguments[0], integer.as_pointer())
        return builder.atomic_rmw("add", counter, integer(1), "acq_rel")

    return types.int64(types.int64), generate
