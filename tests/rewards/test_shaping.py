"""The shaping rewards as a stage uses them: beside accuracy and format, by the same output form, each under its name."""

import pytest

from dunwu.config.output_form import SpecialTokenForm, ThinkForm
from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig
from dunwu.config.shaping import (
    CosineLengthReward,
    LanguageReward,
    LengthReward,
    OverlongReward,
    ReasoningStepsReward,
    RepetitionReward,
    TagCountReward,
)
from dunwu.errors import ConfigError
from dunwu.records import Problem
from dunwu.rewards.grading import Grader
from dunwu.rewards.shaping import require_known_languages

PROBLEM = Problem("p", "sum", "3 + 4 等于多少？", "7", "numeric", "zh")
TEXT = "首先，相加。1. so it is\n</think>\n\\boxed{7} the end the end the end"
ALL: list[RewardConfig] = [
    CosineLengthReward(max_tokens=100),
    LanguageReward(),
    RepetitionReward(ngram_size=2),
    OverlongReward(max_tokens=100, cache_tokens=80),
    LengthReward(target_tokens=60),
    TagCountReward(),
    ReasoningStepsReward(),
    AccuracyReward(answer_from=("boxed",)),
    FormatReward(),
]


def test_every_reward_in_one_stage() -> None:
    with Grader(ALL, output_form=ThinkForm()) as grader:
        reward = grader.grade(PROBLEM, TEXT, num_tokens=50)
    values = {name: part.value for name, part in reward.parts.items()}
    assert list(values) == [
        "cosine_length",
        "language",
        "repetition",
        "overlong",
        "length",
        "tag_count",
        "reasoning_steps",
        "accuracy",
        "format",
    ]
    assert values == {
        "cosine_length": pytest.approx(0.75),
        "language": pytest.approx(4 / 7),
        "repetition": pytest.approx(-3 / 25),  # of 26 units; "the end" twice and "end the" once more
        "overlong": pytest.approx(-30 / 80),
        "length": pytest.approx(5 / 6),
        "tag_count": 1.0,
        "reasoning_steps": pytest.approx(1 / 3),
        "accuracy": 1.0,
        "format": 1.0,
    }
    assert reward.total == pytest.approx(sum(value for value in values.values() if value is not None))


def test_language_looks_at_the_chain_of_thought_of_the_output_form() -> None:
    form = SpecialTokenForm(opening="[R]", separator="[S]")
    with Grader([LanguageReward()], output_form=form) as grader:
        assert grader.grade(PROBLEM, "[R]先相加[S]the answer is seven").total == 1.0
        assert grader.grade(PROBLEM, "[R]the sum of it[S]答案是七").total == 0.0
        nothing = grader.grade(PROBLEM, "答案是七")
    assert (nothing.total, nothing.parts["language"].status) == (None, "not_applicable")


def test_cosine_takes_the_first_accuracys_verdict_wherever_it_stands() -> None:
    cosine = CosineLengthReward(max_tokens=100)
    watched = AccuracyReward(answer_from=("text",), weight=0)
    with Grader([cosine, watched]) as grader:
        assert grader.grade(PROBLEM, "7", num_tokens=0).total == 1.0
        assert grader.grade(PROBLEM, "8", num_tokens=0).total == -1.0
        bad = Problem("q", "sum", "?", "no number", "numeric")
        reward = grader.grade(bad, "7", num_tokens=0)
    assert reward.parts["cosine_length"].status == "not_applicable"
    assert reward.total is None


def test_cosine_without_accuracy_is_refused() -> None:
    with pytest.raises(ConfigError, match="takes the verdict of an accuracy reward, and there is none"):
        Grader([CosineLengthReward(max_tokens=100)])


def test_unknown_languages_are_refused_before_anything_is_graded() -> None:
    with pytest.raises(ConfigError, match="'qq' is not known"):
        Grader([LanguageReward(target="qq")])
    require_known_languages([AccuracyReward(), LanguageReward(target="fr")])


def test_two_of_a_kind_need_names() -> None:
    short, long = RepetitionReward(ngram_size=1), RepetitionReward(ngram_size=3, name="loops")
    with Grader([short, long]) as grader:
        parts = grader.grade(PROBLEM, "a b a b a b").parts
    assert (parts["repetition"].value, parts["loops"].value) == (pytest.approx(-4 / 6), -0.5)
    with pytest.raises(ConfigError, match="two rewards are called 'repetition'"):
        Grader([short, RepetitionReward()])
