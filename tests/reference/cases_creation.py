"""Making tensors, their dtypes included, and casting them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.both import Case
from tests.reference.spelling import Samples, call, given, named

__all__ = ["CASES", "LIKES"]

_samples = Samples(2)
normal, integers, truths = _samples.normal, _samples.integers, _samples.truths

_M = normal(3, 4)

LIKES = {
    "zeros_like": [call(_M), call(integers(3)), call(truths(2))],
    "ones_like": [call(_M), call(integers(3)), call(truths(2))],
    "full_like": [call(_M, 2.5), call(integers(3), 2)],
    "new_zeros": [call(_M, 2, 3), call(_M, (2, 3))],
    "new_ones": [call(_M, 2, 3), call(integers(2), (2,))],
    "new_full": [call(_M, (2, 3), 7.0)],
    "new_tensor": [call(_M, [1.0, 2.0])],
    "type_as": [call(_M, integers(2)), call(integers(3), _M)],
    "float": [call(_M), call(integers(3)), call(truths(3))],
    "double": [call(_M), call(integers(3)), call(truths(3))],
    "long": [call(_M * 3), call(truths(3)), call(given(-2.7, -0.5, 0.0, 0.5, 2.7))],
    "int": [call(_M * 3), call(integers(3))],
    "byte": [call(integers(3, low=0)), call(truths(3))],
    "bool": [call(given(0.0, -0.0, 0.5, np.nan)), call(integers(5, low=0, high=2))],
}

# fmt: off
MADE: dict[str, Any] = {
    "tensor":   lambda tw: [tw.tensor(2.5), tw.tensor([1, 2]), tw.tensor([[1.0, 2], [3, 4]]),
                            tw.tensor([True]), tw.tensor([]),
                            tw.tensor([1, 2], dtype=tw.float64),
                            tw.tensor([1.7, -1.7], dtype=tw.int64), tw.tensor([[], []]),
                            tw.tensor(True), tw.tensor(7), tw.tensor([0, 2], dtype=tw.bool),
                            tw.tensor([1, 2.5]), tw.tensor([True, 2])],
    "tensor of arrays": lambda tw: [tw.tensor(np.arange(3)),
                                    tw.tensor(np.ones(2, dtype=np.float32)),
                                    tw.tensor(np.float64(2)),
                                    tw.tensor(np.arange(3, dtype=np.uint8)),
                                    tw.tensor(np.arange(6).reshape(2, 3).T)],
    "as_tensor": lambda tw: [tw.as_tensor([1, 2]),
                             tw.as_tensor(tw.tensor([1.0]), dtype=tw.float64),
                             tw.as_tensor(np.ones(2))],
    "from_numpy": lambda tw: [tw.from_numpy(np.ones((2, 2))),
                              tw.from_numpy(np.arange(3, dtype=np.int32))],
    "Tensor":   lambda tw: [tw.Tensor([1, 2]), tw.Tensor([[1.5]])],
    "zeros":    lambda tw: [tw.zeros(2, 3), tw.zeros((2, 3)), tw.zeros([2]), tw.zeros(0, 3),
                            tw.zeros(()), tw.zeros(2, dtype=tw.int64),
                            tw.zeros(2, dtype=tw.bool), tw.zeros(tw.zeros(2, 3).shape)],
    "ones":     lambda tw: [tw.ones(2, 3), tw.ones((2, 3)), tw.ones(2, dtype=tw.float64),
                            tw.ones(2, dtype=tw.uint8)],
    "new_empty": lambda tw: tuple(tw.ones(2).new_empty(3, 4).shape),
    "empty":    lambda tw: [tuple(tw.empty(2, 3).shape), tuple(tw.empty_like(tw.ones(2)).shape)],
    "full":     lambda tw: [tw.full((2, 3), 7.0), tw.full((2,), 7), tw.full((2,), True),
                            tw.full((), 2.5), tw.full((2,), 1, dtype=tw.float64)],
    "arange":   lambda tw: [tw.arange(5), tw.arange(2, 5), tw.arange(1, 2, 0.25),
                            tw.arange(5, 0, -2), tw.arange(0), tw.arange(5.0),
                            tw.arange(0, 1, 0.1), tw.arange(3, dtype=tw.float64),
                            tw.arange(1, 6, 2, dtype=tw.int32), tw.arange(2.5, 5)],
    "linspace": lambda tw: [tw.linspace(0, 1, 5), tw.linspace(-1, 1, 7), tw.linspace(3, 3, 2),
                            tw.linspace(0, 1, 1), tw.linspace(2, -2, 4),
                            tw.linspace(0, 1, 11, dtype=tw.float64)],
    "logspace": lambda tw: [tw.logspace(0, 3, 4), tw.logspace(-1, 1, 5, base=2.0)],
    "eye":      lambda tw: [tw.eye(3), tw.eye(2, 3), tw.eye(3, 2, dtype=tw.float64), tw.eye(0)],
    "tril_indices": lambda tw: [tw.tril_indices(3, 4), tw.tril_indices(4, 2, offset=-1)],
    "triu_indices": lambda tw: [tw.triu_indices(3, 4), tw.triu_indices(3, 3, offset=1)],
    "one_hot":  lambda tw: [tw.nn.functional.one_hot(tw.tensor([0, 2, 1])),
                            tw.nn.functional.one_hot(tw.tensor([[0], [2]]), 4)],
    "casts":    lambda tw: [tw.tensor([1.5, -1.5]).to(tw.int64), tw.tensor([1]).to(tw.float64),
                            tw.tensor([1]).to(dtype=tw.bool),
                            tw.tensor([300]).to(tw.uint8), tw.tensor([2**31]).to(tw.int32),
                            tw.tensor([1.5]).to("cpu"),
                            tw.tensor([1.0]).to(tw.tensor([1])), tw.tensor([1.5]).type(tw.int32)],
    "storage":  lambda tw: [tw.tensor([1.0, 1 / 3, 65504.0, 1e6, 1e-8]).half().float(),
                            tw.tensor([1.0, 1 / 3, 3e38, 1e-40]).bfloat16().float(),
                            str(tw.tensor([1.0]).half().dtype).rpartition(".")[2],
                            tw.tensor([1 / 3]).half().to(tw.bfloat16).double()],
    "finfo":    lambda tw: [getattr(tw.finfo(getattr(tw, d)), a) for d in ("float32", "float64",
                            "float16", "bfloat16")
                            for a in ("eps", "max", "min", "tiny", "bits")],
    "iinfo":    lambda tw: [getattr(tw.iinfo(getattr(tw, d)), a) for d in ("int32", "int64",
                            "uint8") for a in ("max", "min", "bits")],
    "default dtype": lambda tw: str(tw.get_default_dtype()).rpartition(".")[2],
}
# fmt: on


def _default_double(tw: Any) -> Any:
    tw.set_default_dtype(tw.float64)
    try:
        return [
            tw.tensor(1.5),
            tw.zeros(2),
            tw.arange(2.0),
            tw.tensor([1]) / 2,
            tw.tensor([1]).exp(),
        ]
    finally:
        tw.set_default_dtype(tw.float32)


CASES = [
    *named(LIKES),
    *(Case(name, run, ()) for name, run in MADE.items()),
    Case("set_default_dtype", _default_double, ()),
    Case("casts differentiate", lambda tw, x: x.double().sin() * 2, (_M,)),
]
