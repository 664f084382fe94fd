"""Reward hacking: the preference reward on training prompts goes up while what it should stand for goes down. Pure.

Says when that is seen, and beyond chance; repairs nothing. Called by RL for all scenarios after each evaluation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

MIN_REWARDS = 6
"""Fewest values of a reward of which a rise is told: two for each third."""


@dataclass(frozen=True)
class HeldOut:
    """A held-out figure after a step, with the bounds of its interval."""

    step: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Rise:
    """A reward's mean over the first and over the last third of the rollouts."""

    name: str
    first: float
    last: float


@dataclass(frozen=True)
class Fall:
    """A held-out figure's best before, and now."""

    name: str
    best: HeldOut
    now: HeldOut


@dataclass(frozen=True)
class Suspicion:
    """Rewards that rose while held-out figures fell; neither is empty."""

    rises: tuple[Rise, ...]
    falls: tuple[Fall, ...]

    @property
    def text(self) -> str:
        """The evidence, and what to do, for a person."""
        up = " and ".join(f"{rise.name} rose from {rise.first:.3g} to {rise.last:.3g}" for rise in self.rises)
        down = " and ".join(
            f"{fall.name} fell from {_written(fall.best)} to {_written(fall.now)}" for fall in self.falls
        )
        good = max(fall.best.step for fall in self.falls)
        return (
            f"reward hacking suspected at step {self.falls[0].now.step}: on training prompts {up}, while held-out {down}. The "
            "policy may be learning what the reward model likes instead of what is good. Take the model as it was at step "
            f"{good} (a checkpoint there, or checkpoint.keep_best), give it fewer general.steps, a lower weight of the "
            "preference reward or a higher kl.coef, or train the reward model on responses of this policy"
        )


def reward_rise(name: str, rewards: Sequence[float], *, confidence: float = 0.95) -> Rise | None:
    """Return how a reward rose from the first third of the rollouts to the last; None if it did not, beyond chance.

        last - first > z * sqrt(s_first^2 / n + s_last^2 / n)

    s^2 are the sample variances of the n rollouts' means in each third, z is the one-sided quantile.

    Args:
        rewards: mean reward of each rollout, in order; fewer than `MIN_REWARDS` tell nothing.
    """
    if len(rewards) < MIN_REWARDS:
        return None
    third = len(rewards) // 3
    first, last = rewards[:third], rewards[-third:]
    error = math.sqrt((variance(first) + variance(last)) / third)
    rise = fmean(last) - fmean(first)
    if rise <= max(NormalDist().inv_cdf(confidence) * error, 1e-9):
        return None
    return Rise(name, fmean(first), fmean(last))


def held_out_fall(name: str, history: Sequence[HeldOut]) -> Fall | None:
    """Return how a held-out figure fell below its best; None if it did not, beyond its interval.

    It fell if neither's interval holds the other's mean: now below the best's interval, and the best above that of now.

    Args:
        history: the figure after each evaluation, in order, the first when the reward began to count; the last is now.
    """
    if len(history) < 2:
        return None
    now = history[-1]
    best = max(history[:-1], key=lambda figure: figure.mean)
    return Fall(name, best, now) if now.mean < best.low and now.high < best.mean else None


def suspect(
    rewards: Mapping[str, Sequence[float]], held_out: Mapping[str, Sequence[HeldOut]]
) -> Suspicion | None:
    """Return the rewards that rose and the held-out figures that fell, None unless there are both.

    Args:
        rewards: by name, the mean on training prompts in each rollout since the reward began to count.
        held_out: by name, the figures after each evaluation, as in `held_out_fall`.
    Source: DeepSeek-R1 v2, appendix B.5: the reward goes up while accuracy goes down.
    Departures: when it counts as seen is not stated there.
    """
    rises = [reward_rise(name, values) for name, values in rewards.items()]
    falls = [held_out_fall(name, history) for name, history in held_out.items()]
    rose, fell = tuple(filter(None, rises)), tuple(filter(None, falls))
    return Suspicion(rose, fell) if rose and fell else None


def _written(figure: HeldOut) -> str:
    return f"{figure.mean:.1%} [{figure.low:.1%}, {figure.high:.1%}] (step {figure.step})"
