"""Exact Gaussian process regression with a Matérn kernel."""

import math
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
_STEPS = 10  # of L-BFGS
_JITTER = 1e-6


class GaussianProcess:
    """A Gaussian process with the kernel linear + Matérn 5/2, a length for each input, and noise.

    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, algorithm 2.1 and
    eq. 4.17. Targets are standardized. L-BFGS fits the hyperparameters: they maximize the marginal
    likelihood times a prior, which is that of Hvarfner et al. 2024 (arXiv:2402.02229, eq. 6) for
    lengths: it grows with the number of inputs.

    Args:
        inputs: float64 (N, D), about in [0, 1].
        targets: float64 (N,).
        counts: float64 (N,), how many measurements each target is the mean of.
        fit_on: int64 (M,), rows for the hyperparameters; None: all.
    """

    def __init__(
        self,
        inputs: Floats,
        targets: Floats,
        counts: Floats,
        fit_on: NDArray[np.int64] | None = None,
    ) -> None:
        self._mean = float(targets.mean())
        self._scale = float(targets.std()) or 1.0
        x, y = torch.from_numpy(inputs), torch.from_numpy((targets - self._mean) / self._scale)
        self._counts = torch.from_numpy(counts)
        rows = torch.arange(len(y)) if fit_on is None else torch.from_numpy(fit_on)
        self._hyper = _fit(x[rows], y[rows], self._counts[rows])
        self._condition(x, y)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return the mean (N,) and the standard deviation (N,) of the noiseless function."""
        x = torch.from_numpy(inputs)
        cross = _kernel(self._x, x, self._hyper)  # (N of the data, N)
        mean = cross.T @ self._weights
        solved = torch.linalg.solve_triangular(self._cholesky, cross, upper=False)
        variance = (_variance(x, self._hyper) - (solved**2).sum(0)).clamp(min=1e-12)
        return (
            (mean * self._scale + self._mean).numpy(),
            (variance.sqrt() * self._scale).numpy(),
        )

    def with_points(self, inputs: Floats) -> Self:
        """Add the predicted mean at `inputs` as data: the deviation shrinks there, not the mean."""
        means, _ = self.predict(inputs)
        targets = torch.from_numpy((means - self._mean) / self._scale)
        self._counts = torch.cat([self._counts, torch.ones(len(inputs), dtype=torch.float64)])
        x = torch.cat([self._x, torch.from_numpy(inputs)])
        self._condition(x, torch.cat([self._y, targets]))
        return self

    def _condition(self, x: Tensor, y: Tensor) -> None:
        self._x, self._y = x, y
        covariance = _kernel(x, x, self._hyper) + _noise(self._counts, self._hyper)
        self._cholesky = torch.linalg.cholesky(covariance)
        self._weights = torch.cholesky_solve(y[:, None], self._cholesky)[:, 0]


def _fit(x: Tensor, y: Tensor, counts: Tensor) -> Tensor:
    """Return the logarithms of hyperparameters (D + 3,): lengths, Matérn, linear, noise."""
    # The mode of the density over the length, not over its logarithm: median times exp(-variance).
    length = math.sqrt(2) + math.log(x.shape[1]) / 2 - 3
    center = torch.tensor([length] * x.shape[1] + [0.0, -2.0, -3.0], dtype=torch.float64)
    spread = torch.tensor([math.sqrt(3)] * x.shape[1] + [1.0, 1.0, 1.5], dtype=torch.float64)
    # Standardized by the prior, and at most three deviations from its center.
    z = torch.zeros_like(center, requires_grad=True)
    optimizer = torch.optim.LBFGS([z], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def hyper() -> Tensor:
        return center + spread * 3 * (z / 3).tanh()

    def loss() -> Tensor:
        optimizer.zero_grad()
        covariance = _kernel(x, x, hyper()) + _noise(counts, hyper())
        factor = torch.linalg.cholesky(covariance)
        weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
        value = y @ weights / 2 + factor.diagonal().log().sum() + (z**2).sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    return hyper().detach()


def _kernel(a: Tensor, b: Tensor, hyper: Tensor) -> Tensor:
    lengths, (matern, linear, _) = hyper[:-3].exp(), hyper[-3:].exp().unbind()
    scaled_a, scaled_b = a / lengths, b / lengths
    squared = (scaled_a**2).sum(1)[:, None] + (scaled_b**2).sum(1)[None] - 2 * scaled_a @ scaled_b.T
    r = (5 * squared.clamp(min=1e-12)).sqrt()
    inner = (a - 0.5) @ (b - 0.5).T
    return matern * (1 + r + r**2 / 3) * (-r).exp() + linear * inner


def _variance(x: Tensor, hyper: Tensor) -> Tensor:
    matern, linear, _ = hyper[-3:].exp().unbind()
    return matern + linear * ((x - 0.5) ** 2).sum(1)


def _noise(counts: Tensor, hyper: Tensor) -> Tensor:
    return torch.diag(hyper[-1].exp() / counts + _JITTER)
