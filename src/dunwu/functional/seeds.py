"""Seeds and uniform numbers that depend on a name, never on the order in which they are asked for.

Every random draw of a run comes from `derive_seed(run_seed, stage, step, prompt, sample, ...)`. No generator
state is kept anywhere, so a resumed run, another batch size or another number of workers draws the same
numbers. This module does not seed torch or numpy globally. Called by the sampler of tasks, the rollout
engine, the trainer and evaluation.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_NUMBERS_PER_COUNTER = 4  # Philox4x64 gives four 64-bit words for each value of its counter


def derive_seed(run_seed: int, *path: int | str) -> int:
    """Return the seed of the draw that `path` names within a run.

    The numbers and strings are written into one unambiguous byte string (kind, length, content of each) and
    hashed with BLAKE2b; the top bit is dropped so that the result fits every 64-bit signed seed.

    Args:
        run_seed: the run's own seed, any integer.
        path: what the seed is for, from coarse to fine, for example ("r1_zero", step, prompt_id,
            sample_index).
    Returns:
        An integer in [0, 2**63).
    Raises:
        TypeError: a part is neither int nor str (a bool counts as neither: it is most often a swapped
            argument).
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in (run_seed, *path):
        if isinstance(part, bool) or not isinstance(part, (int, str)):
            raise TypeError(f"seed path {path!r} holds {part!r}; every part must be an int or a str")
        content = str(part).encode()
        kind = b"i" if isinstance(part, int) else b"s"
        digest.update(kind + str(len(content)).encode() + b":" + content)
    return int.from_bytes(digest.digest(), "big") >> 1


def uniforms(seed: int, n: int, *, start: int = 0) -> NDArray[np.float64]:
    """Return the numbers `start` to `start + n - 1` of the uniform stream that belongs to a seed.

        u[i] = (top 53 bits of word i of Philox4x64(key=seed)) * 2**-53

    Counter based: number i is computed without the numbers before it, so
    `uniforms(s, 8)[3:] == uniforms(s, 5, start=3)`. Taken from the raw words, which numpy keeps stable over
    versions.

    Args:
        seed: in [0, 2**128), for example from `derive_seed`.
        n: how many, >= 0.
        start: index of the first one, >= 0.
    Returns:
        (n,) float64 in [0, 1).
    Raises:
        ValueError: n, start or seed is negative.
    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
    """
    if n < 0 or start < 0 or seed < 0:
        raise ValueError(f"uniforms(seed={seed}, n={n}, start={start}): none of them may be negative")
    counter, skip = divmod(start, _NUMBERS_PER_COUNTER)
    words = np.random.Philox(key=seed, counter=counter).random_raw(skip + n)[skip:]
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
