"""The rarer operations of a tensor, and second names of frequent ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.ops.algebra import Algebra
from thalweg.ops.arithmetic import Arithmetic
from thalweg.ops.arranging import Arranging
from thalweg.ops.maths import Maths
from thalweg.ops.placing import Placing
from thalweg.ops.running import Running
from thalweg.ops.searching import Searching
from thalweg.ops.special import Special

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Rarer"]


class Rarer(Algebra, Arranging, Placing, Running, Searching, Special):
    """Tensor's rarer operations, a family a file; here second names, which PyTorch has too."""

    __slots__ = ()

    arccos = Maths.acos
    arccosh = Maths.acosh
    arcsin = Maths.asin
    arcsinh = Maths.asinh
    arctan = Maths.atan
    arctan2 = Maths.atan2
    arctanh = Maths.atanh
    fix = Maths.trunc
    sgn = Maths.sign
    greater = Arithmetic.gt
    greater_equal = Arithmetic.ge
    less = Arithmetic.lt
    less_equal = Arithmetic.le
    not_equal = Arithmetic.ne
    true_divide = Arithmetic.div

    def positive(self: Tensor) -> Tensor:
        """The tensor itself: +x."""
        return self
