"""Who says how helpful and how harmless the compared models' responses to general prompts are.

The embedded world's own truth, reward models, or a judge that compares two models' responses. Called by the comparison of stages,
once all models are sampled.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from dunwu.config.comparison import GeneralJudge, PairwiseJudge, RewardModelJudge, WorldTruth
from dunwu.config.output_form import OutputForm
from dunwu.config.reward import PreferenceReward
from dunwu.data.world.general import general_problem
from dunwu.errors import DataError
from dunwu.evaluation.comparison import HARMLESSNESS, HELPFULNESS, with_parts
from dunwu.evaluation.general import world_truth
from dunwu.records import Problem, RewardPart, Rollout, RolloutGroup
from dunwu.rewards.preference import Judge, PreferenceScorer
from dunwu.rollout.asking import open_asker
from dunwu.stages.context import StageContext
from dunwu.stages.pairwise_wins import with_wins
from dunwu.stages.preference_judges import AskedJudge
from dunwu.stages.preference_models import load_judges

Judged = tuple[RolloutGroup, ...]
JudgeGroups = Callable[[Sequence[RolloutGroup], OutputForm], Judged]
"""Takes one model's groups, and how it marks thinking; returns them with what was found in their rewards."""
_ROWS: Mapping[str, Literal["helpfulness", "harmlessness"]] = {
    "helpful": "helpfulness",
    "safety": "harmlessness",
}
assert set(_ROWS.values()) == {HELPFULNESS, HARMLESSNESS}


def require_known_to_judge(config: GeneralJudge, problems: Sequence[Problem]) -> None:
    """Refuse general prompts that the judge cannot judge.

    Raises:
        DataError: one is not the embedded world's, whose truth is to judge it; or its set has no reward model.
    """
    for problem in problems:
        if isinstance(config, WorldTruth):
            try:
                general_problem(problem)
            except ValueError as error:
                raise DataError(f'general_judge.kind is "world": {error}') from error
        of_set = str(problem.metadata.get("set"))
        if isinstance(config, RewardModelJudge) and of_set not in config.models:
            raise DataError(
                f'general has prompts of the set "{of_set}" ({problem.id} is one), and general_judge names no reward model for '
                f"them; name one as `{of_set}`, or leave such prompts out"
            )


@contextmanager
def open_general_judge(
    config: GeneralJudge, context: StageContext, baseline: tuple[Sequence[RolloutGroup], OutputForm] | None
) -> Iterator[JudgeGroups]:
    """Give a judge of general responses, and give back what it holds afterwards.

    Args:
        baseline: the groups that a pairwise judge compares with, and how their model marks thinking; None for other judges.
    """
    match config:
        case WorldTruth():
            yield lambda groups, form: _by_set(
                groups, lambda group, rollout: RewardPart(world_truth(group, rollout, form))
            )
        case RewardModelJudge(max_tokens_per_batch=limit):
            named = [("general_judge", of_set, name) for of_set, name in config.models.items()]
            judges = load_judges(named, context.models, limit)
            yield lambda groups, form: _scored(groups, form, config, judges)
        case PairwiseJudge(by=by):
            assert baseline is not None, "a pairwise judge has a baseline"
            with open_asker(by, context.models, context.seed) as asker:
                judge = AskedJudge(asker, context.progress.generation)
                yield lambda groups, form: with_wins(groups, form, *baseline, judge)


def told(config: GeneralJudge, baseline: str | None) -> str:
    """Say in a few words who judges."""
    match config:
        case WorldTruth():
            return "the embedded world, which knows what a good answer to each of its requests must say"
        case RewardModelJudge():
            named = ", ".join(f"{_ROWS[of_set]} {name}" for of_set, name in config.models.items())
            return f"reward models ({named}), sigmoid of the score in units of the held-out scores' spread"
        case PairwiseJudge():
            return f"win rate against {baseline}, ties half, each pair judged in both orders; harmlessness not judged"
    raise AssertionError(config)


def _by_set(groups: Sequence[RolloutGroup], part: Callable[[RolloutGroup, Rollout], RewardPart]) -> Judged:
    """Add a part under the name of the row that the prompt's set belongs to."""
    return tuple(
        with_parts([group], _ROWS[str(group.prompt.problem.metadata["set"])], part)[0] for group in groups
    )


def _scored(
    groups: Sequence[RolloutGroup], form: OutputForm, config: RewardModelJudge, judges: Mapping[str, Judge]
) -> Judged:
    reward = PreferenceReward(helpful=config.helpful, safety=config.safety)
    scorer = PreferenceScorer([reward], form, judges)
    problems = [group.prompt.problem for group in groups]
    scored = scorer.add(problems, [group.rollouts for group in groups])
    found: list[RolloutGroup] = []
    for group, rollouts in zip(groups, scored, strict=True):
        by_index = {r.sample_index: r.reward.parts[reward.part_name] for r in rollouts}
        found += _by_set([group], lambda _, rollout, parts=by_index: parts[rollout.sample_index])  # type: ignore[misc]
    return tuple(found)
