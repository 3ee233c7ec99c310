"""Contractions as stacks of matrix products, against einsum, in any layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import ShapeError

# fmt: off
SPECS = [
    "nk,k->n", "k,kn->n", "n,m->nm", "n,m->mn", "a,a->a", "ab,ab->", "ab,ba->", ",a->a", "a,->a",
    ",->", "bnk,bkm->bnm", "bnk,bkm->bmn", "bnk,bk->bn", "bk,bnk->bn", "nqhd,nkhd->nhqk",
    "nhqk,nkhd->nqhd", "lnk,mk->lnm", "nhk,ok->noh", "ok,nhk->noh", "nhk,opk->nohp", "nk,mb->nbkm",
    "nchwij,ocij->nohw", "nohw,nchwij->ocij", "nohw,ocij->nchwij", "ngchwij,gocij->ngohw",
    "ngohw,ngchwij->gocij",
]
# fmt: on


def operands(spec: str, size: dict[str, int], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    names = spec.split("->")[0].split(",")
    return [rng.integers(-9, 10, [size[n] for n in part]).astype(np.float64) for part in names]


def assert_equal(a: np.ndarray, b: np.ndarray, spec: str) -> None:
    """Small integers: exact in any order of addition."""
    found = tw.tape.wrap(a).contract(tw.tape.wrap(b), spec).numpy()
    expected = np.einsum(spec, a, b)
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("large", ["", "h", "k", "m", "o", "n", "ho", "nm", "npo"])
@pytest.mark.parametrize("spec", SPECS)
def test_small_and_large(spec: str, large: str) -> None:
    """Of a size where products are stacked, and of one where they are joined."""
    size = dict.fromkeys("abcdghijklmnopqw", 2) | dict.fromkeys(large, 47)
    assert_equal(*operands(spec, size, seed=0), spec)


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_size_and_layout(spec: str, data: st.DataObject) -> None:
    names = sorted({*spec} - {*",->"})
    size = {n: data.draw(st.sampled_from([0, 1, 2, 3, 50]), n) for n in names}
    largest = sorted(names, key=lambda n: -size[n])[2:]
    size |= {n: min(size[n], 3) for n in largest}  # at most two long axes
    arrays = []
    for array in operands(spec, size, seed=1):
        order = data.draw(st.permutations(range(array.ndim)))
        inverse = [order.index(axis) for axis in range(array.ndim)]
        moved = array.transpose(order).copy().transpose(inverse)
        signs = data.draw(st.lists(st.booleans(), min_size=array.ndim, max_size=array.ndim))
        arrays.append(np.flip(moved, [axis for axis, back in enumerate(signs) if back]))
    assert_equal(*arrays, spec)


def test_a_convolution_comes_out_in_order() -> None:
    """What follows it then runs over memory as it lies."""
    x, w = tw.ones(3, 4, 30, 30), tw.ones(8, 4, 3, 3)
    y = x.windows((3, 3), (1, 1), (1, 1)).contract(w, "nchwij,ocij->nohw")
    assert y._value.flags.c_contiguous


def test_sizes_that_differ() -> None:
    with pytest.raises(ShapeError, match=r"dimension 1 of the first \(4\) must equal"):
        tw.ones(2, 4, 3).contract(tw.ones(5, 3), "nkh,kh->n")
    with pytest.raises(ShapeError, match="expected 3 and 2 dimensions"):
        tw.ones(2, 4).contract(tw.ones(5, 3), "nkh,kh->n")


@pytest.mark.parametrize(
    ("spec", "x", "y"),
    [
        ("nchwij,ocij->nohw", (9, 16, 32, 32), (6, 16, 3, 3)),
        ("nohw,nchwij->ocij", (9, 6, 30, 30), (9, 16, 32, 32)),
        ("nohw,ngchwij->ngocij", (9, 6, 30, 30), (9, 2, 8, 32, 32)),
    ],
)
def test_many_windows_are_taken_in_parts(
    spec: str, x: tuple[int, ...], y: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No copy of all windows at once, and the same result."""
    rng = np.random.default_rng(0)
    names = spec.split("->")[0].split(",")
    arrays = []
    for shape, part in zip((x, y), names, strict=True):
        array = tw.tensor(rng.integers(-9, 10, shape).astype(np.float64))
        slid = array.windows((3, 3), (1, 1), (1, 1)) if "hw" in part and "ij" in part else array
        arrays.append(slid._value)
    largest = []
    matmul = np.matmul
    monkeypatch.setattr(
        np, "matmul", lambda a, b: largest.append(max(a.size, b.size)) or matmul(a, b)
    )
    assert_equal(*arrays, spec)
    assert max(a.size for a in arrays) > 1 << 20
    assert len(largest) > 2
    assert max(largest) <= 1 << 18
