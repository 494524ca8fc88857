"""A linear recurrence from the last step to the first: discounted sums of any kind."""

import numpy as np
import torch
from torch import Tensor


def reverse_scan(terms: Tensor, factors: Tensor, dim: int = 0) -> Tensor:
    """Return x with x[t] = terms[t] + factors[t] * x[t + 1], which is 0 after the last step.

    On the CPU NumPy goes through the steps, which takes less time than torch needs to start as many
    operations. Elsewhere see `doubling_scan`.

    Args:
        terms: float, of any shape; without gradient.
        factors: likewise.
        dim: which dimension is t.

    Returns:
        A new tensor like `terms`.
    """
    if terms.device.type != "cpu":
        return doubling_scan(terms.movedim(dim, 0), factors.movedim(dim, 0)).movedim(0, dim)
    own, by = terms.numpy(), factors.numpy()
    result = np.empty_like(own)
    later = np.zeros_like(own.take(0, dim))
    steps = (np.moveaxis(array, dim, 0)[::-1] for array in (own, by, result))
    for term, factor, here in zip(*steps, strict=True):
        np.multiply(factor, later, out=here)
        here += term
        later = here
    return torch.from_numpy(result)


def doubling_scan(terms: Tensor, factors: Tensor) -> Tensor:
    """Return what `reverse_scan` does in log2(T) rounds, for devices that start work slowly.

    In each round every step adds the sum that begins where its own ends, which doubles the number
    of steps that it covers (Hillis and Steele 1986, "Data parallel algorithms"). The products of
    many factors are float64, in which they do not overflow.
    """
    sums, products = terms.double(), factors.double()
    covered = 1
    while covered < len(terms):
        near, far = slice(None, -covered), slice(covered, None)
        sums = torch.cat([torch.addcmul(sums[near], products[near], sums[far]), sums[-covered:]])
        products = torch.cat([products[near] * products[far], products[-covered:]])
        covered *= 2
    return sums.to(terms.dtype)
