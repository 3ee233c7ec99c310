"""The compiler: from a traced program to one native one.

    trace -> graph -> passes -> plan of kernels -> LLVM IR -> native code

`thalweg.compile` is the door; read `trace`, `graph`, `passes`, `kernels`, `lower`, `program`, in
this order.
"""

__all__: list[str] = []
