"""Estimates without bias of "at least one of k samples", and of "at least K of N", from more samples than that.

Drawing exactly k samples a prompt and counting is right on average but noisy; drawing more, and working out the chance
that k of those at hand, taken without putting back, would have done, has the same mean and less noise. (Plugging the
share of passing samples into 1 - (1 - p)^k instead is biased.) Both are tails of the hypergeometric distribution:

- `pass_at_k`: at least one of k (Chen et al. 2021, arXiv 2107.03374, section 2.1, equation 1).
- `pif_n_k`: at least K of N (PIF-N-K; Epstein et al. 2024, arXiv 2409.18216, for as many samples as N).

They take one number of samples and of passes, or an array of them, one an entry for each prompt: the mean over the
prompts is the estimate, and the entries go into `adhere.bench.figures.mean` for its interval.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING, overload

from adhere.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["pass_at_k", "pif_n_k"]

LARGEST = 100_000  # samples of one prompt; the binomial coefficients beyond have tens of thousands of digits


@overload
def pass_at_k(n: int, c: int, k: int) -> float: ...
@overload
def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> NDArray[np.float64]: ...


def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> float | NDArray[np.float64]:
    """The chance that at least one of k samples passes: 1 - C(n - c, k) / C(n, k).

    Args:
        n: Samples drawn, for each prompt (or the same number for all).
        c: How many of them passed.
        k: Samples that one would have drawn, at most n.

    Returns:
        A number for numbers, else an array of the shape that n and c broadcast to.

    Raises:
        UsageError: for counts that cannot be.

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    return pif_n_k(n, c, k, 1)


@overload
def pif_n_k(n: int, c: int, size: int, least: int) -> float: ...
@overload
def pif_n_k(n: ArrayLike, c: ArrayLike, size: int, least: int) -> NDArray[np.float64]: ...


def pif_n_k(n: ArrayLike, c: ArrayLike, size: int, least: int) -> float | NDArray[np.float64]:
    """The chance that at least `least` (K) of `size` (N) samples are perfect; with n = N it is whether they are.

    Args:
        n: Samples drawn, for each prompt (or the same number for all).
        c: How many of them were perfect: all instructions followed.
        size: N, at most n: the same for every prompt, or the figures would not be comparable.
        least: K, from 1 to N.

    Returns:
        A number for numbers, else an array of the shape that n and c broadcast to.

    Raises:
        UsageError: for counts that cannot be.

    >>> pif_n_k(4, 3, 4, 4), pif_n_k(8, 6, 4, 4)
    (0.0, 0.21428571428571427)
    """
    import numpy as np

    drawn, passed = np.broadcast_arrays(np.asarray(n), np.asarray(c))
    if not 1 <= least <= size:
        raise UsageError(f"at least {least} of {size}: give 1 <= K <= N")
    for counts in (drawn, passed):
        if counts.size and not np.issubdtype(counts.dtype, np.integer):
            raise UsageError("samples are counted in whole numbers")
    if drawn.size and (drawn.min() < size or drawn.max() > LARGEST):
        raise UsageError(
            f"{size} of {drawn.min()} to {drawn.max()} samples cannot be drawn",
            hint=f"Every prompt needs at least {size} samples, and at most {LARGEST:,}",
        )
    if drawn.size and ((passed < 0) | (passed > drawn)).any():
        raise UsageError("more samples passed than were drawn, or fewer than none")
    flat = [_tail(int(a), int(b), size, least) for a, b in zip(drawn.ravel(), passed.ravel(), strict=True)]
    return np.array(flat, dtype=np.float64).reshape(drawn.shape) if drawn.ndim else flat[0]


@lru_cache(maxsize=4096)
def _tail(n: int, c: int, size: int, least: int) -> float:
    """P(X >= least) for X hypergeometric: `size` of n, c of them good. Whole numbers up to the one division."""
    hits = sum(comb(c, good) * comb(n - c, size - good) for good in range(least, min(c, size) + 1))
    return hits / comb(n, size)
