"""The reward models of a stage, each loaded once. Called when an RL stage is set up, and by the comparison of stages."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import torch

from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.reward import PreferenceReward
from dunwu.config.training import ModelConfig
from dunwu.errors import ConfigError, DataError
from dunwu.models.reward_model import RewardModel, conversation_ids, load_reward_model
from dunwu.records import Problem
from dunwu.rewards.preference import Judge, Pair, PreferenceScorer, unjudged_sets
from dunwu.stages.context import StageContext

_JUDGES = {"helpful": "summary", "safety": "response"}
"""What a reward model must have been trained to read, by the set of prompts that it is used for (facts.md section 5)."""


def load_scorer(
    config: OnPolicyConfig, context: StageContext, device: torch.device
) -> PreferenceScorer | None:
    """Load the reward models of a stage's preference rewards, each once; None for a stage without such rewards.

    Raises:
        ModelError: one cannot be loaded, or is no reward model.
        ConfigError: one was trained to read something else than it is to read here, or its scores cannot be scaled.
    """
    preferences = [reward for reward in config.rewards if isinstance(reward, PreferenceReward)]
    if not preferences:
        return None
    named = [
        (f"the reward {reward.part_name}", of_set, name)
        for reward in preferences
        for of_set, name in reward.models.items()
    ]
    judges = load_judges(named, context.models, config.batch.micro_batch_tokens, device)
    return PreferenceScorer(config.rewards, config.output_form, judges)


def load_judges(
    named: Iterable[tuple[str, str, str]],
    models: Mapping[str, ModelConfig],
    max_tokens_per_batch: int,
    device: torch.device | None = None,
) -> dict[str, Judge]:
    """Load reward models, each once.

    Args:
        named: who names a model, for messages, the set of prompts that it is for, and its name.
        models: all models by name.
        device: None: what each model's configuration says.
    Raises: as `load_scorer`, but for scales.
    """
    loaded: dict[str, RewardModel] = {}
    for who, of_set, name in named:
        if name not in loaded:
            loaded[name] = load_reward_model(models[name], device)
        judges = loaded[name].judges
        if judges is not None and judges != _JUDGES[of_set]:
            raise ConfigError(
                f'{who} gives "{name}" prompts of the set "{of_set}", whose {_JUDGES[of_set]} is judged; that model was trained '
                f"to judge the {judges}"
            )
    return {
        name: Judge(partial(_scores, model, max_tokens_per_batch), model.score_mean, model.score_std)
        for name, model in loaded.items()
    }


def require_judged(config: OnPolicyConfig, key: str, problems: Sequence[Problem]) -> None:
    """Refuse general prompts that no reward model scores: only format and language would be learnt from them.

    Args:
        key: of the problems in the stage's configuration, for messages.
    Raises:
        DataError: the message names the sets without a reward model.
    """
    missing = unjudged_sets(problems, config.rewards)
    if missing:
        raise DataError(
            f"{key} has prompts that no rule grades, of the sets {', '.join(missing)}, and no reward has a model for them; add "
            f'{{kind = "preference", {missing[0]} = "NAME"}} to rewards, NAME being one of [models.NAME] or a reward_model stage'
        )


def _scores(model: RewardModel, max_tokens_per_batch: int, pairs: Sequence[Pair]) -> list[float]:
    conversations = [conversation_ids(model.tokenizer, question, text) for question, text in pairs]
    return model.scores(conversations, max_tokens_per_batch)
