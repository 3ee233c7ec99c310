"""The compiler: from a traced program to one native one.

    trace -> graph -> passes -> plan of kernels -> LLVM IR -> native code

`thalweg.compile` is the door; read `graph`, `kernels`, `passes`, `lower`, `program` in this order.
"""
