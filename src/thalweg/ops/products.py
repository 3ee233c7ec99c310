"""Matrix products and einsum: all of them the one contraction."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.errors import ShapeError
from thalweg.ops.lift import promote
from thalweg.primitives.contraction import contraction
from thalweg.primitives.core import broadcast_shapes, normalize_axis
from thalweg.tape import TensorBase, bind, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Products", "einsum"]


class Products:
    """Tensor's products."""

    __slots__ = ()

    def matmul(self: Tensor, other: Tensor) -> Tensor:
        """The matrix product, batched over leading dimensions, which broadcast.

        Shapes (..., n, k) @ (..., k, m) -> (..., n, m); a vector (k,) stands for a row on the
        left, a column on the right, and its dimension is dropped from the result.

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 2.0]]) @ tw.tensor([[3.0], [4.0]])
        tensor([[11.]])
        """
        try:
            rank, other_rank = len(self._value.shape), len(other._value.shape)
        except AttributeError:
            raise not_a_tensor("matmul", self, other) from None
        if rank == 0 or other_rank == 0:
            raise ShapeError(
                f"matmul: both operands need at least one dimension, got shapes "
                f"{self._value.shape} and {other._value.shape}; use * to scale"
            )
        if rank <= 2 and other_rank <= 2:
            return self.contract(other, _MATMUL[rank, other_rank])
        return _batched_matmul(self, other)

    __matmul__ = matmul

    def mm(self: Tensor, other: Tensor) -> Tensor:
        """The product of two matrices, (n, k) and (k, m)."""
        return self.contract(other, "nk,km->nm")

    def bmm(self: Tensor, other: Tensor) -> Tensor:
        """The products of two batches of matrices, (b, n, k) and (b, k, m)."""
        return self.contract(other, "bnk,bkm->bnm")

    def mv(self: Tensor, other: Tensor) -> Tensor:
        """The product of a matrix (n, k) and a vector (k,)."""
        return self.contract(other, "nk,k->n")

    def dot(self: Tensor, other: Tensor) -> Tensor:
        """The inner product of two vectors (k,)."""
        return self.contract(other, "k,k->")

    def outer(self: Tensor, other: Tensor) -> Tensor:
        """The outer product of vectors (n,) and (m,): shape (n, m)."""
        return self.contract(other, "n,m->nm")

    def inner(self: Tensor, other: Tensor) -> Tensor:
        """The inner products over the last dimensions: (..., k), (..., k) -> (..., ...)."""
        if not self._value.shape or not other._value.shape:
            return self * other
        return self.tensordot(other.movedim(-1, 0), 1)

    def tensordot(
        self: Tensor, other: Tensor, dims: int | tuple[Sequence[int], Sequence[int]] = 2
    ) -> Tensor:
        """The sum of products over the last `dims` dimensions of self and the first of `other`.

        Or over pairs of dimensions, given as two sequences.
        """
        rank, other_rank = len(self._value.shape), len(other._value.shape)
        if isinstance(dims, int):
            dims = (range(rank - dims, rank), range(dims))
        ours = [normalize_axis("tensordot", i, rank) for i in dims[0]]
        theirs = [normalize_axis("tensordot", i, other_rank) for i in dims[1]]
        if len(ours) != len(theirs):
            raise ShapeError(f"tensordot: {len(ours)} dimensions against {len(theirs)}")
        letters = _letters(rank + other_rank, "")
        left, right = letters[:rank], list(letters[rank:])
        for i, j in zip(ours, theirs, strict=True):
            right[j] = left[i]
        kept = [n for n in (*left, *right) if (n in left) != (n in right)]
        return self.contract(other, f"{left},{''.join(right)}->{''.join(kept)}")

    def addmm(
        self: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
    ) -> Tensor:
        """beta * self + alpha * (mat1 @ mat2)."""
        scaled = self if beta == 1 else self * beta
        return scaled.add(mat1.mm(mat2), alpha=alpha)

    def contract(self: Tensor, other: Tensor, spec: str) -> Tensor:
        """The contraction `spec` of self and other, such as "mk,nk->mn" for x W^T."""
        try:
            if self._value.dtype is not other._value.dtype:
                self, other = promote(self, other)
        except AttributeError:
            raise not_a_tensor("a product", self, other) from None
        return bind(contraction, self, other, spec=spec)


_MATMUL = {(1, 1): "k,k->", (1, 2): "k,km->m", (2, 1): "nk,k->n", (2, 2): "nk,km->nm"}


def _batched_matmul(a: Tensor, b: Tensor) -> Tensor:
    if len(a._value.shape) == 1:
        return _batched_matmul(a.unsqueeze(0), b).squeeze(-2)
    if len(b._value.shape) == 1:
        return _batched_matmul(a, b.unsqueeze(1)).squeeze(-1)
    left, right = a._value.shape[:-2], b._value.shape[:-2]
    if not right:  # one matrix for the whole batch: a single large product
        names = _letters(len(left), "nkm")
        return a.contract(b, f"{names}nk,km->{names}nm")
    try:
        lead = broadcast_shapes("matmul", left, right)
    except ShapeError:
        raise ShapeError(
            f"matmul: the leading dimensions of {a._value.shape} and {b._value.shape}, {left} and "
            f"{right}, do not broadcast"
        ) from None
    names = _letters(len(lead), "nkm")
    a = a.expand((*lead, *a._value.shape[-2:]))
    b = b.expand((*lead, *b._value.shape[-2:]))
    return a.contract(b, f"{names}nk,{names}km->{names}nm")


def _letters(count: int, taken: str) -> str:
    return "".join(c for c in string.ascii_letters if c not in taken)[:count]


def einsum(equation: str, *operands: Any) -> Tensor:
    """Einstein summation: sum the product of the operands over the indices not in the result.

    `equation` names each operand's dimensions by letters, "ij,jk->ik"; without "->" the result
    holds, in alphabetical order, the letters that occur once. A letter twice in one operand takes
    its diagonal. "..." stands for any further dimensions, which broadcast; without "->" they come
    first. Operands are contracted from left to right.

    >>> import thalweg as tw
    >>> a = tw.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tw.einsum("ij->j", a), tw.einsum("ii", a), tw.einsum("ij,ij->", a, a)
    (tensor([4., 6.]), tensor(5.), tensor(30.))
    """
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    if not all(isinstance(x, TensorBase) for x in operands):
        raise not_a_tensor("einsum", *operands)
    if "..." in equation:
        equation, operands = _without_ellipsis(equation, operands)
    names, result = _parse_einsum(equation, operands)
    terms = [_diagonals(x, n) for x, n in zip(operands, names, strict=True)]
    x, have = terms[0]
    for position, (y, other) in enumerate(terms[1:], start=1):
        later = set(result).union(*(n for _, n in terms[position + 1 :]))
        x, have = _pair(x, have, y, other, later)
    x, have = _sum_out(x, have, set(result))
    return x.permute(tuple(have.index(n) for n in result))


def _without_ellipsis(
    equation: str, operands: tuple[Tensor, ...]
) -> tuple[str, tuple[Tensor, ...]]:
    """The equation with letters in place of "...", and the operands expanded to agree in them."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        once = Counter(left.replace(",", "").replace(".", ""))
        result = "..." + "".join(sorted(n for n, count in once.items() if count == 1))
    pairs = list(zip(terms, operands, strict=False))
    spread = [_dotted(equation, term, x) for term, x in pairs]
    lead = broadcast_shapes(f"einsum {equation!r}", *spread)
    letters = _letters(len(lead), equation)
    for k, ((term, x), own) in enumerate(zip(pairs, spread, strict=True)):
        if "..." in term:
            at, shape = term.index("..."), x._value.shape
            wide = (*shape[:at], *lead[len(lead) - len(own) :], *shape[at + len(own) :])
            terms[k] = term.replace("...", letters[len(lead) - len(own) :])
            operands = (*operands[:k], x.expand(wide), *operands[k + 1 :])
    return f"{','.join(terms)}->{result.replace('...', letters)}", operands


def _dotted(equation: str, term: str, x: Tensor) -> tuple[int, ...]:
    """The sizes of the dimensions that "..." stands for in one term."""
    if "..." not in term:
        return ()
    at = term.index("...")
    shape: tuple[int, ...] = x._value.shape
    count = len(shape) - len(term.replace("...", ""))
    if count < 0:
        raise ShapeError(
            f"einsum {equation!r}: {term!r} names more dimensions than an operand of shape {shape}"
        )
    return shape[at : at + count]


def _parse_einsum(equation: str, operands: tuple[Tensor, ...]) -> tuple[list[str], str]:
    left, arrow, result = equation.replace(" ", "").partition("->")
    names = left.split(",")
    if not arrow:
        counts = Counter(left.replace(",", ""))
        result = "".join(sorted(n for n, count in counts.items() if count == 1))
    if len(names) != len(operands):
        raise ShapeError(
            f"einsum {equation!r} names {len(names)} operands, {len(operands)} were given"
        )
    for n, x in zip(names, operands, strict=True):
        if not (n.isalpha() or not n) or len(n) != len(x._value.shape):
            raise ShapeError(
                f"einsum {equation!r}: {n!r} names {len(n)} dimensions "
                f"(letters only) of an operand of shape {x._value.shape}"
            )
    missing = set(result) - set("".join(names))
    if missing or len(set(result)) != len(result):
        raise ShapeError(
            f"einsum {equation!r}: each letter of the result must occur in an operand, and once "
            "in the result"
        )
    return names, result


def _diagonals(x: Tensor, names: str) -> tuple[Tensor, str]:
    for name, count in Counter(names).items():
        for _ in range(count - 1):
            first = names.index(name)
            second = names.index(name, first + 1)
            x = x.diagonal(0, first, second)
            names = names[:first] + names[first + 1 : second] + names[second + 1 :] + name
    return x, names


def _sum_out(x: Tensor, names: str, keep: set[str]) -> tuple[Tensor, str]:
    gone = tuple(i for i, n in enumerate(names) if n not in keep)
    return (x.sum(gone) if gone else x), "".join(n for n in names if n in keep)


def _pair(x: Tensor, left: str, y: Tensor, right: str, later: set[str]) -> tuple[Tensor, str]:
    """Contract two operands, keeping the indices that are needed later."""
    x, left = _sum_out(x, left, later | set(right))
    y, right = _sum_out(y, right, later | set(left))
    joined = left + "".join(n for n in right if n not in left)
    result = "".join(n for n in joined if n in later)
    return x.contract(y, f"{left},{right}->{result}"), result
