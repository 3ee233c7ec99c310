"""Distributions of vectors: normal ones, and several numbers as one event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from thalweg._tensor import Tensor
from thalweg.distributions.distribution import Distribution, Located, given_one_of
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.creation import eye
from thalweg.ops.joining import broadcast_shapes
from thalweg.ops.lift import floating, promote
from thalweg.ops.linalg import cholesky, inv, solve_triangular
from thalweg.ops.random import randn

__all__ = ["Independent", "MultivariateNormal"]


class MultivariateNormal(Located):
    """Normal vectors (..., n) of mean `loc` (..., n) and covariance S (..., n, n).

    One of S, positive definite, its inverse and its lower triangular factor L, S = L L^T, is given.

        p(x) = e^(-(x - loc)^T S^-1 (x - loc) / 2) / sqrt(det(2 pi S))

    Raises `LinAlgError` where a matrix is not positive definite, `ShapeError` for shapes that do
    not fit.

    >>> import thalweg as tw
    >>> S = tw.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> tw.distributions.MultivariateNormal(tw.zeros(2), S).log_prob(tw.zeros(2))
    tensor(-2.3872)
    """

    has_rsample = True
    _parameters: ClassVar[dict[str, int]] = {"loc": 1, "scale_tril": 2}

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name, given = given_one_of(
            "MultivariateNormal",
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )
        mean, matrix = (floating(x) for x in promote(loc, given))
        sizes = matrix._value.shape
        if mean.ndim < 1 or len(sizes) < 2 or sizes[-2:] != 2 * mean._value.shape[-1:]:
            raise ShapeError(
                f"MultivariateNormal: loc (..., n) and {name} (..., n, n) expected, got shapes "
                f"{mean._value.shape} and {sizes}"
            )
        self._batch(mean, self._lower(name, matrix), validate_args)
        if name == "scale_tril":
            lower = self.scale_tril
            is_lower = (lower.diagonal(0, -2, -1) > 0) & lower.triu(1).eq(0).all(-1)
            holds = is_lower.unsqueeze(-1).expand(lower._value.shape)
            self._require(scale_tril=(holds, "a lower triangle with a diagonal above 0"))

    @staticmethod
    def _lower(name: str, matrix: Tensor) -> Tensor:
        if name == "covariance_matrix":
            return cholesky(matrix)
        return matrix if name == "scale_tril" else _factor_of_inverse(matrix)

    def _batch(self, mean: Tensor, lower: Tensor, validate_args: bool | None) -> None:
        sizes = lower._value.shape
        batch = tuple(broadcast_shapes(mean._value.shape[:-1], sizes[:-2]))
        self.loc = mean.expand((*batch, sizes[-1]))
        self.scale_tril = lower.expand((*batch, *sizes[-2:]))
        super().__init__(batch, sizes[-1:], validate_args)

    @property
    def covariance_matrix(self) -> Tensor:
        """S = L L^T."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def precision_matrix(self) -> Tensor:
        """S^-1."""
        return inv(self.covariance_matrix)

    @property
    def variance(self) -> Tensor:
        """The diagonal of S."""
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + L z, z standard normal."""
        z = randn(self._shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self.scale_tril @ z.unsqueeze(-1)).squeeze(-1)

    def _log_volume(self) -> Tensor:
        """log det(2 pi S) / 2."""
        logs = self.scale_tril.diagonal(0, -2, -1).log().sum(-1)
        return logs + 0.5 * self._event_shape[0] * math.log(2 * math.pi)

    def log_prob(self, value: Tensor) -> Tensor:
        """-||L^-1 (x - loc)||^2 / 2 - log det(2 pi S) / 2."""
        gap = (self._checked(value) - self.loc).unsqueeze(-1)
        lead = broadcast_shapes(gap._value.shape[:-2], self.scale_tril._value.shape[:-2])
        factor = self.scale_tril.expand((*lead, *self.scale_tril._value.shape[-2:]))
        z = solve_triangular(factor, gap.expand((*lead, *gap._value.shape[-2:])), upper=False)
        return -0.5 * z.square().sum((-2, -1)) - self._log_volume()

    def entropy(self) -> Tensor:
        """n / 2 + log det(2 pi S) / 2."""
        return self._log_volume() + 0.5 * self._event_shape[0]


def _factor_of_inverse(precision: Tensor) -> Tensor:
    """L of the inverse of L L^T, by the factor of the matrix turned round."""
    turned = cholesky(precision.flip((-2, -1))).flip((-2, -1)).mT
    unit = eye(turned._value.shape[-1], dtype=turned.dtype).expand(turned._value.shape)
    return solve_triangular(turned, unit, upper=False)


class Independent(Distribution):
    """The last `reinterpreted_batch_ndims` dimensions of a batch as those of one event.

    Its logarithms of probabilities are added up over them.

    >>> import thalweg as tw
    >>> both = tw.distributions.Independent(tw.distributions.Normal(tw.zeros(2), 1.0), 1)
    >>> both.event_shape, both.log_prob(tw.zeros(2))
    (Size([2]), tensor(-1.8379))
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        batch, event = base_distribution.batch_shape, base_distribution.event_shape
        count = reinterpreted_batch_ndims
        if not 0 <= count <= len(batch):
            raise ConfigError(
                f"Independent: reinterpreted_batch_ndims={count}; the batch has shape "
                f"{tuple(batch)}: 0 to {len(batch)} expected"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        kept = len(batch) - count
        super().__init__(batch[:kept], (*batch[kept:], *event), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]  # that of what it is made of
        """Whether samples are functions of the parameters."""
        return self.base_dist.has_rsample

    @property
    def mean(self) -> Tensor:
        """That of the distributions."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """That of the distributions."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """That of the distributions."""
        return self.base_dist.variance

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples of the distributions."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples of the distributions."""
        return self.base_dist.rsample(sample_shape)

    def _added(self, x: Tensor) -> Tensor:
        count = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-count, 0))) if count else x

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum of the distributions'."""
        return self._added(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The sum of the distributions'."""
        return self._added(self.base_dist.entropy())

    def expand(self, batch_shape: Sequence[int]) -> Independent:
        """The same distributions, repeated to a batch of that shape."""
        count = self.reinterpreted_batch_ndims
        inner = tuple(self.base_dist.batch_shape)[len(self.base_dist.batch_shape) - count :]
        made = self.base_dist.expand((*batch_shape, *(inner if count else ())))
        return Independent(made, count, self._validates)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"
