"""Ask the processor for a line of memory that will be needed soon."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _prefetch(typing_context, array, index):
    """Fetch the line of an element, or of a row, into the caches without waiting for it; nothing is changed.

    LLVM's ``llvm.prefetch``, for reading, to be kept in all caches. The index must not be negative.
    """
    del typing_context

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, arguments[0])
        place = context.cast(builder, arguments[1], signature.args[1], types.intp)
        zero = context.get_constant(types.intp, 0)
        pointer = cgutils.get_item_pointer(context, builder, kind, view, [place] + [zero] * (kind.ndim - 1))
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        kind_of_call = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind_of_call)
        builder.call(function, [builder.bitcast(pointer, byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


prefetch: Any = intrinsic(_prefetch)
