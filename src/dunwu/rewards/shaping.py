"""The one place where the rewards that shape writing are matched. Called by `grading`."""

from collections.abc import Iterable

from dunwu.config.output_form import OutputForm
from dunwu.config.reward import RewardConfig
from dunwu.config.shaping import (
    CosineLengthReward,
    LanguageReward,
    LengthReward,
    OverlongReward,
    ReasoningStepsReward,
    RepetitionReward,
    ShapingReward,
    TagCountReward,
)
from dunwu.records import RewardPart
from dunwu.rewards.item import GradingItem
from dunwu.rewards.language import language_part, require_languages
from dunwu.rewards.length import cosine_length_part, length_part, overlong_part
from dunwu.rewards.repetition import repetition_part
from dunwu.rewards.structure import reasoning_steps_part, tag_count_part


def shaping_part(
    reward: ShapingReward, item: GradingItem, form: OutputForm, accuracy: RewardPart | None
) -> RewardPart:
    """Return the part of one shaping reward.

    Args:
        accuracy: the verdict on the answer; there whenever a cosine-length reward is.
    """
    match reward:
        case LanguageReward():
            return language_part(item, reward)
        case RepetitionReward():
            return repetition_part(item, reward)
        case OverlongReward():
            return overlong_part(item, reward)
        case LengthReward():
            return length_part(item, reward)
        case CosineLengthReward():
            assert accuracy is not None, "refused by `reward_fault`"
            return cosine_length_part(item, accuracy, reward)
        case TagCountReward():
            return tag_count_part(item, form)
        case ReasoningStepsReward():
            return reasoning_steps_part(item, reward)
    raise AssertionError(reward)


def require_known_languages(rewards: Iterable[RewardConfig]) -> None:
    """Refuse language rewards whose languages are not known.

    Raises:
        ConfigError: the message names the languages that are.
    """
    for reward in rewards:
        if isinstance(reward, LanguageReward):
            require_languages(reward)
