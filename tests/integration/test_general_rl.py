"""RL for all scenarios end to end on `micro`: who is asked when, who scores it, what is measured."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from reward_folders import general_recipe, save_random_reward_model

from dunwu.config.output_form import ThinkAnswerForm
from dunwu.config.recipe import Recipe
from dunwu.config.training import ModelConfig
from dunwu.data.tasks import load_problems
from dunwu.errors import ConfigError, DataError, ModelError
from dunwu.functional.reward_hacking import Fall, HeldOut, Rise, Suspicion
from dunwu.models.reward_model import conversation_ids, load_reward_model
from dunwu.pipeline.run import run_recipe
from dunwu.rewards.preference import judged_text
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress
from dunwu.runs.stage_folder import StageFolder
from dunwu.stages import general_evaluation

MIXED = {"kind": "world", "kinds": ["sum", "advice"], "num_train": 20, "num_held_out": 6}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return general_recipe(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def run(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("general") / "run"
    run_recipe(Recipe.model_validate(data), path, QuietProgress())
    return RunFolder.read(path)


@pytest.fixture(scope="module")
def stage(run: RunFolder) -> StageFolder:
    return run.stage("general_rl")


def changed(data: dict[str, Any], **keys: Any) -> Recipe:
    models = {**data["models"], **keys.pop("models", {})}
    return Recipe.model_validate({**data, "models": models, "stages": [{**data["stages"][0], **keys}]})


def test_general_prompts_come_in_the_last_steps_alone(stage: StageFolder) -> None:
    stored = [stage.read_rollouts(index) for index in stage.rollout_indices()]
    assert [(each.first_step, each.last_step) for each in stored] == [(1, 2), (3, 3), (4, 5), (6, 6)]
    graders = [[group.prompt.problem.grader == "preference" for group in each.groups] for each in stored]
    assert graders == [[False] * 8, [False] * 4, [False] * 4 + [True] * 4, [False] * 2 + [True] * 2]
    for each in stored:  # what is refilled is of the same sort
        assert all(
            group.prompt.problem.grader in ("numeric", "math", "operators", "preference")
            for group in each.dropped
        )


def test_scores_are_those_of_the_sets_model(data: dict[str, Any], stage: StageFolder) -> None:
    config = stage.run.recipe.stages[0]
    problems = {problem.id: problem for problem in load_problems(config.general.task, 5).train}  # type: ignore[union-attr]
    seen = set()
    for group in stage.read_rollouts(3).groups:
        for rollout in group.rollouts:
            parts = rollout.reward.parts
            if group.prompt.problem.grader != "preference":
                assert parts["preference"].status == "not_applicable"
                continue
            assert parts["accuracy"].status == "not_applicable"
            problem = problems[group.prompt.problem.id]
            of_set = problem.metadata["set"]
            text = judged_text(problem, rollout.text, ThinkAnswerForm())
            name = {"helpful": "liked", "safety": "safe"}[of_set]
            model = load_reward_model(ModelConfig(path=data["models"][name]["path"]))
            assert model.score_mean is not None
            assert model.score_std is not None
            expected = 0.0
            if text is not None:
                (score,) = model.scores([conversation_ids(model.tokenizer, problem.question, text)], 512)
                expected = 1 / (1 + math.exp(-(score - model.score_mean) / model.score_std))
            assert parts["preference"].value == pytest.approx(expected, abs=1e-4)
            assert parts[f"preference.{of_set}"].value == parts["preference"].value
            paid = [parts[part].value for part in ("format", "language", "preference")]
            assert rollout.reward.total == pytest.approx(
                math.fsum(value for value in paid if value is not None)
            )
            seen.add((of_set, text is None))
    assert seen & {("helpful", True), ("helpful", False)}


def test_every_step_is_measured(stage: StageFolder) -> None:
    metrics = stage.read_metrics()
    assert [record["step"] for record in metrics] == [1, 2, 3, 4, 5, 6]
    assert [record["rollout"] for record in metrics] == [1, 1, 2, 3, 3, 4]
    assert all(record["reward_preference"] is None for record in metrics[:3])
    assert all(0 <= record["reward_preference"] <= 1 for record in metrics[3:])
    assert all(record["grad_norm"] > 0 for record in metrics if "grad_norm" in record)
    assert metrics[3]["reward_preference_ok"] == metrics[3]["reward_accuracy_not_applicable"] == 12
    timings = stage.read_timings()
    assert timings[3]["scoring_seconds"] > 0


def test_both_held_out_sets_are_evaluated(stage: StageFolder) -> None:
    # at every second step, and where general prompts begin
    assert stage.evaluation_labels() == ["before", "step-000002", "step-000003", "step-000004", "after"]
    for label in stage.evaluation_labels():
        figures = stage.read_evaluation(label)
        assert figures is not None
        assert figures["num_problems"] == 3
        assert set(figures["by_kind"]) <= {"sum", "remainder", "operators"}
        assert 0 <= figures["pass_at_1"] <= 1
        general = figures["general"]
        assert (general["num_problems"], general["samples_per_problem"], general["unscored"]) == (6, 2, 0)
        low, high = general["preference_interval"]
        assert 0 <= low <= general["preference"] <= high <= 1
        assert set(general["by_set"]) == {"helpful", "safety"}
        assert general["by_set"]["safety"]["harmlessness"] == general["harmlessness"]
        assert general["by_set"]["safety"]["helpfulness"] is None
        assert 0 <= general["helpfulness"] <= 1
        samples = stage.read_evaluation_samples(label)
        assert [group.prompt.problem.grader == "preference" for group in samples] == [False] * 3 + [True] * 6


def test_the_record_holds_both(run: RunFolder) -> None:
    (record,) = json.loads((run.path / "summary.json").read_text())["stages"]
    assert record["name"] == "general_rl"
    assert record["before"]["general"]["num_problems"] == record["after"]["general"]["num_problems"] == 6
    assert record["reward_hacking"] == []


def test_the_model_differs_from_the_start(run: RunFolder, tmp_path: Path) -> None:
    """And a finished stage is not run again."""
    progress = QuietProgress()
    run_recipe(run.recipe, run.path, progress)
    assert "is finished" in progress.messages[0]


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        (
            {"rewards": [{"kind": "format"}, {"kind": "preference", "helpful": "safe", "safety": "safe"}]},
            ConfigError,
            r'gives "safe" prompts of the set "helpful", whose summary is judged; that model was trained to judge the response',
        ),
        ({"models": {"safe": {"path": "micro"}}}, ModelError, "labels|reward model"),
        (
            {"rewards": [{"kind": "format"}, {"kind": "preference", "helpful": "liked"}]},
            DataError,
            "general.task has prompts that no rule grades, of the sets safety",
        ),
        (
            {"general": {"task": MIXED, "steps": 3, "num_problems": 6}},
            DataError,
            "general.task must hold general prompts only",
        ),
        (
            {"task": MIXED},
            DataError,
            "task must hold problems that a rule can grade",
        ),
        (
            {
                "kind": "reasoning_rl",
                "task": {**MIXED, "kinds": ["advice"]},
                "general": None,
                "rewards": [{"kind": "format"}],
            },
            DataError,
            "task has prompts that no rule grades, of the sets helpful",
        ),
    ],
)
def test_what_cannot_work_is_told_before_training(
    keys: dict[str, Any], error: type[Exception], said: str, data: dict[str, Any], tmp_path: Path
) -> None:
    stage = {**data["stages"][0], **{key: value for key, value in keys.items() if key != "models"}}
    if stage["general"] is None:
        del stage["general"]
    recipe = Recipe.model_validate(
        {**data, "models": {**data["models"], **keys.get("models", {})}, "stages": [stage]}
    )
    with pytest.raises(error, match=said):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
    assert RunFolder.read(tmp_path / "run").stage(recipe.stages[0].name).read_metrics() == []


def test_reward_models_are_inputs_of_the_stage(data: dict[str, Any], run: RunFolder, tmp_path: Path) -> None:
    """Another reward model makes the stage another one."""
    other = save_random_reward_model(tmp_path / "other", "summary", 7)
    with pytest.raises(Exception, match=r"rewards\.3\.helpful"):
        run_recipe(changed(data, models={"liked": {"path": other}}), run.path, QuietProgress())


def test_what_the_watch_sees_is_said_logged_and_kept(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch itself has tests of its own; here it sees what is not there, from the evaluation after step 4 on."""
    asked: list[tuple[dict[str, list[float]], list[int]]] = []

    def suspect(rewards: dict[str, list[float]], held_out: dict[str, list[HeldOut]]) -> Suspicion:
        steps = [figure.step for figure in held_out["pass@1"]]
        asked.append((dict(rewards), steps))
        return Suspicion((Rise("r", 0.1, 0.9),), (Fall("f", *held_out["pass@1"][-2:]),))

    monkeypatch.setattr(general_evaluation, "suspect", suspect)
    progress = QuietProgress()
    run_recipe(
        changed(data, num_steps=5, general={**data["stages"][0]["general"], "steps": 2}), tmp_path, progress
    )
    run = RunFolder.read(tmp_path)
    # general prompts begin after step 3: the first evaluation that is watched is the one after step 4
    assert [steps for _, steps in asked] == [[3, 4], [3, 4, 5]]
    assert all(
        set(rewards) <= {"preference.helpful", "preference.safety"} and rewards for rewards, _ in asked
    )
    said = [text for text in progress.messages if "reward hacking suspected" in text]
    assert [text.partition(":")[0] for text in said] == [
        f"reward hacking suspected at step {step}" for step in (4, 5)
    ]
    events = [event for event in run.read_events() if event["event"] == "reward hacking suspected"]
    assert [(event["stage"], event["step"], event["text"]) for event in events] == [
        ("general_rl", 4, said[0]),
        ("general_rl", 5, said[1]),
    ]
    (record,) = run.read_summary()
    assert [(note["evaluation"], note["text"]) for note in record["reward_hacking"]] == [
        ("step-000004", said[0]),
        ("after", said[1]),
    ]
