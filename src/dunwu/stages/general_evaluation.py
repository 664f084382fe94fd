"""The general half of an evaluation in RL for all scenarios: held-out general prompts, and a watch for reward hacking.

Called by the loop after each evaluation of reasoning; what it finds goes into the same figures.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from statistics import fmean
from typing import Any

from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.reward import PreferenceReward
from dunwu.evaluation.general import general_figures
from dunwu.evaluation.run import evaluate
from dunwu.functional.reward_hacking import HeldOut, suspect
from dunwu.records import RolloutGroup
from dunwu.rollout.collection import sampling_params
from dunwu.runs.stage_folder import StageFolder
from dunwu.stages.context import StageContext
from dunwu.stages.rl_setup import GeneralParts, RlParts
from dunwu.training.rollout_plan import general_begin

Figure = tuple[float | None, Sequence[float] | None]
"""A held-out figure and its interval, None where there is none."""


def _general(figures: Mapping[str, Any], name: str) -> Figure:
    general = figures.get("general") or {}
    return general.get(name), general.get(f"{name}_interval")


WATCHED: Mapping[str, Callable[[Mapping[str, Any]], Figure]] = {
    "pass@1": lambda figures: (figures.get("pass_at_1"), figures.get("pass_at_1_interval")),
    "helpfulness": lambda figures: _general(figures, "helpfulness"),
    "harmlessness": lambda figures: _general(figures, "harmlessness"),
}
"""The held-out figures whose fall, while the reward rises, is told."""


def evaluate_general(
    config: OnPolicyConfig,
    context: StageContext,
    parts: RlParts,
    general: GeneralParts,
    on_progress: Callable[[int, int], None],
) -> tuple[dict[str, Any], tuple[RolloutGroup, ...]]:
    """Sample and score the held-out general prompts.

    Returns:
        The figures under the key "general" of an evaluation (`evaluation.general`), and the samples.
    """
    result = evaluate(
        parts.collector,
        general.held_out,
        num_samples=config.evaluation.samples_per_problem,
        sampling=sampling_params(config.evaluation.sampling or config.sampling, parts.state.policy),
        run_seed=context.seed,
        seed_path=(context.folder.name, "evaluation"),
        on_progress=on_progress,
    )
    figures = general_figures(
        result.groups,
        preferences={reward.part_name: reward.scale == "sigmoid" for reward in _preferences(config)},
        form=config.output_form,
        world=general.of_world,
    )
    return figures, result.groups


def watch(
    config: OnPolicyConfig, folder: StageFolder, step: int, figures: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Look for reward hacking after an evaluation: preference rewards on training prompts up, held-out figures down.

    Compared are the evaluations from the last one before general prompts began; all is read from the run folder, so that a
    continued stage finds the same.

    Args:
        step: after which the evaluation is made.
        figures: its figures, those of general prompts among them.
    Returns:
        What was seen, ready for JSON, with a sentence for a person under "text"; None if nothing was.
    """
    begin = general_begin(config)
    if begin is None or step <= begin:
        return None
    evaluations = [
        record for label in folder.evaluation_labels() if (record := folder.read_evaluation(label))
    ]
    earlier = [record for record in evaluations if record["step"] < step]
    start = max((record["step"] for record in earlier if record["step"] <= begin), default=begin)
    history = [record for record in earlier if record["step"] >= start] + [{**figures, "step": step}]
    held_out = {name: list(_held_out(history, read)) for name, read in WATCHED.items()}
    suspicion = suspect(_rewards(config, folder, begin), held_out)
    return None if suspicion is None else {"step": step, "text": suspicion.text, **asdict(suspicion)}


def _preferences(config: OnPolicyConfig) -> list[PreferenceReward]:
    return [reward for reward in config.rewards if isinstance(reward, PreferenceReward)]


def _rewards(config: OnPolicyConfig, folder: StageFolder, begin: int) -> dict[str, list[float]]:
    """The mean of each preference reward, by set, in each rollout with general prompts."""
    metrics = [record for record in folder.read_metrics() if record["step"] > begin]
    names = [
        f"{reward.part_name}.{of_set}"
        for reward in _preferences(config)
        if reward.weight > 0
        for of_set in reward.models
    ]
    found: defaultdict[str, list[float]] = defaultdict(list)
    for _, of_rollout in groupby(metrics, key=lambda record: record["rollout"]):
        steps = list(of_rollout)
        for name in names:
            values = [value for record in steps if (value := record.get(f"reward_{name}")) is not None]
            if values:
                found[name].append(fmean(values))
    return found


def _held_out(
    history: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Figure]
) -> Iterator[HeldOut]:
    for record in history:
        mean, interval = read(record)
        if mean is not None and interval is not None:
            low, high = interval
            yield HeldOut(record["step"], mean, low, high)
