"""Which rewards `dunwu score` uses: named on the command line, or those of a recipe's stage."""

import re
from collections.abc import Sequence
from typing import Any

from dunwu.config.keys import models_of, nearest
from dunwu.config.load import build_recipe, load_recipe
from dunwu.config.reward import RewardConfig
from dunwu.config.stage import RlConfig
from dunwu.errors import ConfigError

REWARD_KINDS = tuple(
    kind for kind in models_of(RewardConfig) if kind != "preference"
)  # that one needs whole rollouts
_STAGE = re.compile(r"stages\.(r1_zero|0)(\.|\n +)")  # the user knows of no stage here
_ANYWHERE = ["answer_tag", "boxed", "text"]


def parse_rewards(given: Sequence[str]) -> list[tuple[str, float | None]]:
    """Read NAME[=WEIGHT],... into names and weights, None where no weight is given.

    Raises:
        ConfigError: a weight is no number, or a name is empty.
    """
    found: list[tuple[str, float | None]] = []
    for entry in ",".join(given).split(","):
        name, equals, weight = (part.strip() for part in entry.partition("="))
        try:
            found.append((name, float(weight) if equals else None))
        except ValueError:
            raise ConfigError(f"--reward {entry}: the weight {weight!r} is not a number") from None
        if not name:
            raise ConfigError(f"--reward {','.join(given)}: a name is empty; write NAME or NAME=WEIGHT")
    return found


def score_config(
    given: Sequence[str], recipe: str | None, stage: str | None, overrides: Sequence[str]
) -> RlConfig:
    """Return an RL stage whose rewards, output form and grading are the ones to score with."""
    if recipe is not None:
        return _from_recipe(given, recipe, stage, overrides)
    if not given:
        raise ConfigError(
            f"--reward is missing; give for example --reward accuracy,format, or --recipe. Known: {', '.join(REWARD_KINDS)}"
        )
    rewards = [_reward_data(name, weight) for name, weight in parse_rewards(given)]
    data = {
        "name": "score",
        "model": {"path": "micro"},
        "stages": [{"kind": "r1_zero", "task": {"kind": "world"}, "rewards": rewards}],
    }
    try:
        built = build_recipe(data, [f"stages.0.{override}" for override in overrides], source="this command")
    except ConfigError as error:
        raise ConfigError(_STAGE.sub("", str(error))) from None
    (only,) = built.stages
    assert isinstance(only, RlConfig)
    return only


def _reward_data(name: str, weight: float | None) -> dict[str, Any]:
    data: dict[str, Any] = {} if weight is None else {"weight": weight}
    if ":" in name:
        return {"kind": "function", "path": name, "name": name.rpartition(":")[2], **data}
    if name not in REWARD_KINDS:
        near = nearest(name, REWARD_KINDS)
        guess = f"did you mean {near}? " if near else ""
        raise ConfigError(
            f"there is no reward {name!r}; {guess}Known: {', '.join(REWARD_KINDS)}, or file.py:function"
        )
    if name == "accuracy":
        data["answer_from"] = _ANYWHERE
    return {"kind": name, **data}


def _from_recipe(given: Sequence[str], recipe: str, stage: str | None, overrides: Sequence[str]) -> RlConfig:
    loaded = load_recipe(recipe, overrides)
    stages = {each.name: each for each in loaded.stages if isinstance(each, RlConfig)}
    if stage is None and len(stages) != 1:
        raise ConfigError(
            f"{recipe} has {len(stages)} RL stages; choose one: --stage {' or '.join(stages) or '...'}"
        )
    name = stage or next(iter(stages))
    if name not in stages:
        raise ConfigError(f"{recipe} has no RL stage {name!r}; it has {', '.join(stages) or 'none'}")
    chosen = stages[name]
    if not given:
        return chosen
    known = {reward.part_name: reward for reward in chosen.rewards}
    rewards = []
    for part, weight in parse_rewards(given):
        if part not in known:
            raise ConfigError(f"stage {name} of {recipe} has no reward {part!r}; it has {', '.join(known)}")
        rewards.append(known[part] if weight is None else known[part].model_copy(update={"weight": weight}))
    return chosen.model_copy(update={"rewards": tuple(rewards)})
