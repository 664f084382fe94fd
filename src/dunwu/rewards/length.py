"""Rewards for the length of a completion, always in tokens, the end-of-sequence token included."""

import math

from dunwu.config.shaping import CosineLengthReward, LengthReward, OverlongReward
from dunwu.records import PartStatus, RewardPart
from dunwu.rewards.item import GradingItem

_NOT_COUNTED = RewardPart(None, "not_gradable", "the completion's tokens were not counted")


def overlong_part(item: GradingItem, config: OverlongReward) -> RewardPart:
    """Return a penalty for a completion that is too long.

        value = -min(1, max(0, n - (max_tokens - cache_tokens)) / cache_tokens)

    for n tokens; with cache_tokens = 0, -1 if n > max_tokens or the completion was cut at the token limit, else 0.

    Returns:
        "not_gradable" if nobody counted the tokens.
    Source: DAPO (arXiv 2503.14476), eq. 13.
    Departures: the hard form counts a cut completion as too long. Generation ends at the limit, so n > max_tokens alone, as in
        TRL with a cache of 0, would never be true where max_tokens is that limit.
    """
    if item.num_tokens is None:
        return _NOT_COUNTED
    if config.cache_tokens == 0:
        was_cut = item.finish_reason == "length"
        return (
            RewardPart(-1.0, detail=f"{item.num_tokens} tokens")
            if was_cut or item.num_tokens > config.max_tokens
            else RewardPart(0.0)
        )
    over = item.num_tokens - (config.max_tokens - config.cache_tokens)
    if over <= 0:
        return RewardPart(0.0)
    return RewardPart(
        -min(1.0, over / config.cache_tokens), detail=f"{item.num_tokens} tokens, {over} in the cache"
    )


def length_part(item: GradingItem, config: LengthReward) -> RewardPart:
    """Return how close a completion's length is to the wanted one.

        value = max(0, 1 - distance / scale_tokens)

    where distance is abs(n - target), with wanted = "at_most" max(0, n - target), for n tokens; scale_tokens is the target
    where it is left out.

    Returns:
        "not_gradable" if nobody counted the tokens, or if neither the recipe nor the problem's `target_tokens` (a whole number
        above 0 in its metadata) names a target.
    Source: the form follows L1 (arXiv 2503.04697), eq. 1 and 2.
    Departures: a number from 0 to 1 of its own, apart from the answer's being right; there the distance times a constant is
        taken off, or multiplied with, that verdict.
    """
    if item.num_tokens is None:
        return _NOT_COUNTED
    target = (
        config.target_tokens
        if config.target_tokens is not None
        else item.problem.metadata.get("target_tokens")
    )
    if isinstance(target, bool) or not isinstance(target, int) or target <= 0:
        return RewardPart(
            None, "not_gradable", f"the problem's target_tokens is {target!r}, not a whole number above 0"
        )
    distance = item.num_tokens - target
    distance = abs(distance) if config.wanted == "exact" else max(0, distance)
    value = max(0.0, 1.0 - distance / (config.scale_tokens or target))
    return RewardPart(value, detail=f"{item.num_tokens} tokens, wanted {target}")


def cosine_length_part(item: GradingItem, accuracy: RewardPart, config: CosineLengthReward) -> RewardPart:
    """Return a value that depends on whether the answer is right, and moves with length along half a cosine wave.

        value = long + (short - long) * (1 + cos(pi * min(1, n / max_tokens))) / 2

    for n tokens, short and long being those of right or of wrong answers; `exceeded`, where it is given, for a completion that
    was cut or has max_tokens or more.

    Args:
        accuracy: the verdict on the same completion; right is a value of 1 or more.
    Returns:
        "not_applicable" if the reference cannot be graded against, "error" if the grading failed; "not_gradable" if nobody
        counted the tokens.
    Source: Yeo et al., Demystifying Long Chain-of-Thought Reasoning (arXiv 2502.03373), section 4 and appendix C.1.
    Departures: open-r1 counts characters, pays 1 for references that cannot be read, and lets the wave rise again past
        max_tokens; neither it nor TRL has the paper's value for exceeding, which is off here unless given.
    """
    if accuracy.value is None:
        status: PartStatus = "error" if accuracy.status == "error" else "not_applicable"
        return RewardPart(None, status, f"accuracy was not computed: {accuracy.detail}")
    if item.num_tokens is None:
        return _NOT_COUNTED
    right = accuracy.value >= 1.0
    detail = f"{'right' if right else 'wrong'}, {item.num_tokens} tokens"
    if config.exceeded is not None and (
        item.finish_reason == "length" or item.num_tokens >= config.max_tokens
    ):
        return RewardPart(config.exceeded, detail=detail)
    short, long = (
        (config.right_short, config.right_long) if right else (config.wrong_short, config.wrong_long)
    )
    wave = (1.0 + math.cos(math.pi * min(1.0, item.num_tokens / config.max_tokens))) / 2.0
    return RewardPart(long + (short - long) * wave, detail=detail)
