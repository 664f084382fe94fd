"""Which steps a rollout serves, and which prompts it takes."""

import pytest

from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.reward import PreferenceReward
from dunwu.config.stage import GeneralRlStage, R1ZeroStage
from dunwu.config.task import FileTask, WorldTask
from dunwu.training.rollout_plan import RolloutSpan, general_begin, num_prompts, rollout_counts, rollout_span

GENERAL_TASK = FileTask(train="x.jsonl", grader="preference", preference_set="helpful")


def stage(steps: int = 400, **keys: object) -> GeneralRlStage:
    general = {"task": GENERAL_TASK.model_dump(), "steps": steps, **keys.pop("general", {})}  # type: ignore[dict-item]
    return GeneralRlStage.model_validate(
        {"task": {"kind": "world"}, "rewards": [PreferenceReward(helpful="rm")], "general": general, **keys}
    )


def all_rollouts(config: OnPolicyConfig) -> list[RolloutSpan]:
    spans: list[RolloutSpan] = []
    while (step := sum(span.num_steps for span in spans)) < config.num_steps:
        spans.append(rollout_span(config, step))
    return spans


@pytest.mark.parametrize(
    "config",
    [
        R1ZeroStage(task=WorldTask(), num_steps=12, steps_per_rollout=2, inner_epochs=2),
        stage(),
        stage(7, num_steps=17, steps_per_rollout=4, general={"share": 0.25}, prompts_per_step=6),
        stage(8, num_steps=8, steps_per_rollout=4, general={"share": 1.0}),
    ],
)
def test_rollouts_are_counted_without_listing_them(config: OnPolicyConfig) -> None:
    counts = rollout_counts(config)
    listed = [(span.num_steps, span.is_general) for span in all_rollouts(config)]
    assert [(span.num_steps, span.is_general) for span, count in counts for _ in range(count)] == listed
    assert all(span in all_rollouts(config) for span, _ in counts)


def test_without_general_prompts_every_rollout_is_whole() -> None:
    config = R1ZeroStage(
        task=WorldTask(), num_steps=12, steps_per_rollout=2, inner_epochs=2, prompts_per_step=3
    )
    assert all_rollouts(config) == [RolloutSpan(start, 4, False) for start in (0, 4, 8)]
    assert rollout_span(config, 7) == RolloutSpan(4, 4, False)
    assert num_prompts(config, rollout_span(config, 0)) == (6, 0)
    assert general_begin(config) is None


def test_the_paper_has_general_prompts_in_exactly_the_last_400_of_1700_steps() -> None:
    config = stage()
    spans = all_rollouts(config)
    assert general_begin(config) == 1300
    assert sum(span.num_steps for span in spans) == 1700
    assert [span.num_steps for span in spans] == [16] * 81 + [4] + [16] * 25
    assert [span.is_general for span in spans] == [False] * 82 + [True] * 25
    assert (spans[82].start, spans[81].start) == (1300, 1296)
    assert num_prompts(config, spans[0]) == (512, 0)
    assert num_prompts(config, spans[81]) == (128, 0)
    assert num_prompts(config, spans[82]) == (256, 256)


def test_every_step_finds_the_rollout_it_belongs_to() -> None:
    config = stage(7, num_steps=17, steps_per_rollout=4, general={"share": 0.25}, prompts_per_step=6)
    spans = all_rollouts(config)
    assert [(s.start, s.num_steps, s.is_general) for s in spans] == [
        (0, 4, False),
        (4, 4, False),
        (8, 2, False),
        (10, 4, True),
        (14, 3, True),
    ]
    for span in spans:
        for step in range(span.start, span.start + span.num_steps):
            assert rollout_span(config, step) == span
    assert num_prompts(config, spans[3]) == (18, 6)
    assert num_prompts(config, spans[4]) == (14, 4)


def test_all_steps_and_all_prompts_may_be_general() -> None:
    config = stage(8, num_steps=8, steps_per_rollout=4, general={"share": 1.0})
    assert [span.is_general for span in all_rollouts(config)] == [True, True]
    assert num_prompts(config, rollout_span(config, 0)) == (0, 128)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"num_steps": 399}, "general.steps is 400, and the stage has 399 steps"),
        (
            {"num_steps": 1701, "inner_epochs": 2},
            "num_steps is 1701; it must be a multiple of inner_epochs = 2",
        ),
        (
            {"num_steps": 900, "general": {"steps": 9}, "inner_epochs": 2},
            "general.steps is 9; it must be a multiple",
        ),
        ({"general": {"share": 0.01}}, "not even one of the 32 prompts of a step"),
        ({"rewards": [{"kind": "accuracy", "answer_from": "text"}]}, "rewards has none for general prompts"),
        (
            {"rewards": [{"kind": "format"}, {"kind": "preference", "helpful": "x", "weight": 0}]},
            "rewards has none",
        ),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stage(**keys)  # type: ignore[arg-type]


def test_the_stage_has_the_papers_figures() -> None:
    config = stage()
    assert (config.num_steps, config.sampling.temperature, config.general.steps) == (1700, 0.7, 400)
    assert (config.objective.clip_low, config.objective.clip_high) == (10.0, 10.0)  # type: ignore[union-attr]
    assert stage(sampling={"max_new_tokens": 64}).sampling.temperature == 0.7
