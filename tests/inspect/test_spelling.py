"""How one operation is written."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from thalweg.inspect.spelling import spell, spell_number
from thalweg.nn.functional.convolution import Grid
from thalweg.primitives import REGISTRY, contraction

Row = tuple[str, str, list[str], dict[str, Any], list[tuple[int, ...]]]

GRID = Grid((2,), (0,), (0,), (0,), (1,))
# fmt: off
TABLE: list[Row] = [
    ("add",          "a + b",                    ["a", "b"],      {}, [(), ()]),
    ("add",          "a + (-2)",                 ["a", "-2"],     {}, [(), ()]),
    ("subtract",     "1 - a",                    ["1", "a"],      {}, [(), ()]),
    ("multiply",     "a * a",                    ["a", "a"],      {}, [(), ()]),
    ("divide",       "a / 2",                    ["a", "2"],      {}, [(), ()]),
    ("power",        "(-2) ** a",                ["-2", "a"],     {}, [(), ()]),
    ("remainder",    "a % b",                    ["a", "b"],      {}, [(), ()]),
    ("negative",     "-a",                       ["a"],           {}, [()]),
    ("scalar_power", "a ** 2",                   ["a"],           {"exponent": 2}, [()]),
    ("scalar_power", "a ** 0.5",                 ["a"],           {"exponent": 0.5}, [()]),
    ("scalar_power", "a ** -1",                  ["a"],           {"exponent": -1.0}, [()]),
    ("logistic",     "sigmoid(a)",               ["a"],           {}, [()]),
    ("maximum",      "maximum(a, 0)",            ["a", "0"],      {}, [(), ()]),
    ("select",       "where(c, a, 0)",           ["c", "a", "0"], {}, [(), (), ()]),
    ("cast",         "cast(a, dtype=float64)",   ["a"],           {"dtype": np.dtype("f8")}, [()]),
    ("sum",          "sum(a)",                   ["a"],           {"axes": (0, 1)}, [(2, 3)]),
    ("sum",          "sum(a)",                   ["a"],           {"axes": ()}, [()]),
    ("sum",          "sum(a, dim=1)",            ["a"],           {"axes": (1,)}, [(2, 3)]),
    ("max",          "amax(a, dim=(0, 2))",      ["a"],           {"axes": (0, 2)}, [(2, 3, 4)]),
    ("cumsum",       "cumsum(a, dim=0)",         ["a"],           {"axis": 0}, [(2,)]),
    ("flip",         "flip(a, dim=0)",           ["a"],           {"axes": (0,)}, [(2,)]),
    ("reshape",      "reshape(a, shape=(2, 3))", ["a"],           {"shape": (2, 3)}, [(6,)]),
    ("broadcast",    "expand(a, shape=(2, 3))",  ["a"],           {"shape": (2, 3)}, [(3,)]),
    ("transpose",    "permute(a, dim=(1, 0))",   ["a"],           {"axes": (1, 0)}, [(2, 3)]),
    ("concatenate",  "cat(a, b, dim=0)",         ["a", "b"],      {"axis": 0}, [(2,), (3,)]),
    ("gather",       "a[i]",                     ["a", "i"],      {"axes": (0,), "wrap": True}, []),
    ("gather",       "a[i, j]",                  ["a", "i", "j"], {"axes": (0, 1)}, []),
    ("gather",       "gather(a, i, dim=1)",      ["a", "i"],      {"axes": (1,)}, []),
    ("relu",         "relu(a)",                  ["a"],           {}, [(2,)]),
    ("log_softmax",  "log_softmax(a, dim=1)",    ["a"],           {"dim": 1}, [(2, 3)]),
    ("convolution",  "convolution(a, w, stride (2,))", ["a", "w"], {"grid": GRID}, []),
    ("loss",         "loss(a, n=2)",             ["a"],           {"weight": None, "n": 2}, [(2,)]),
]
# fmt: on


@pytest.mark.parametrize(("name", "expected", "operands", "attributes", "shapes"), TABLE)
def test_spelling(
    name: str,
    expected: str,
    operands: list[str],
    attributes: dict[str, Any],
    shapes: list[tuple[int, ...]],
) -> None:
    assert spell(name, operands, attributes, shapes) == expected


@pytest.mark.parametrize("name", [n for n, row in REGISTRY.items() if row.vjp is not None])
def test_every_differentiable_primitive_can_be_spelled(name: str) -> None:
    attributes = {
        "contraction": {"spec": "k,k->"},
        "scalar_power": {"exponent": 3},
        "slice": {"starts": (0,), "sizes": (1,), "steps": (1,)},
        "gather": {"axes": (0,)},
    }
    operands = ["a", "b", "c"] if name == "select" else ["a", "b"]
    assert "a" in spell(name, operands, attributes.get(name, {}), [(2,), (2,)])


@pytest.mark.parametrize(
    "key", [":", "1:", ":2", "1:4", "::2", "1::2", "1:4:2", "2:2", ":0", "4:5"]
)
def test_slices_select_what_they_did(key: str) -> None:
    x = np.arange(5.0)
    start, stop, step = eval(
        f"slice({','.join(s or 'None' for s in (key + '::').split(':')[:3])})"
    ).indices(5)
    count = len(range(start, stop, step))
    attributes = {"starts": (start,), "sizes": (count,), "steps": (step,)}
    text = spell("slice", ["x"], attributes, [(5,)])
    np.testing.assert_array_equal(eval(text), x[start:stop:step])


def matrix_specs() -> list[str]:
    """Every product of matrices and vectors in the letters n, k, m, with and without a batch."""
    specs = []
    for left, right in itertools.product(("k", "nk", "kn"), ("k", "km", "mk")):
        kept = [c for c in left + right if c != "k"]
        specs += [f"{left},{right}->{''.join(r)}" for r in itertools.permutations(kept)]
    batched = ["bnk,bkm->bnm", "bnk,bmk->bnm", "abnk,abkm->abnm", "bnk,km->bnm", "bnk,mk->bnm"]
    batched += ["bkn,bkm->bnm", "bnk,bkm->bmn", "bkn,bmk->bmn"]
    return specs + batched


@pytest.mark.parametrize("spec", matrix_specs())
def test_products_of_matrices_mean_what_they_say(spec: str) -> None:
    size = {"n": 2, "k": 3, "m": 4, "a": 2, "b": 5}
    left, right, _ = contraction.parse(spec)
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=[size[c] for c in letters]) for letters in (left, right))

    text = spell("contraction", ["a", "b"], {"spec": spec}, [a.shape, b.shape])
    assert "@" in text
    np.testing.assert_allclose(eval(text), np.einsum(spec, a, b))


@pytest.mark.parametrize(
    "spec",
    [
        "n,m->nm",
        "nk,nk->nk",
        "bnk,bkm->nbm",
        "abk,km->bam",
        "nkl,klm->nm",
        "bkn,km->bnm",
        "bk,bkm->bm",
    ],
)
def test_other_contractions_are_einsum(spec: str) -> None:
    assert spell("contraction", ["a", "b"], {"spec": spec}) == f'einsum("{spec}", a, b)'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), "0.1"),
        (np.float64(0.1), "0.1"),
        (np.float32(1e-8), "1e-08"),
        (np.float32(-3.0), "-3"),
        (np.float64("inf"), "inf"),
        (np.bool_(True), "True"),
        (np.int64(7), "7"),
    ],
)
def test_numbers(value: Any, expected: str) -> None:
    assert spell_number(value) == expected
