"""R1-Zero end to end on `micro`: it learns, everything is in the run folder, a finished run is not run again."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from dunwu.config.recipe import Recipe
from dunwu.errors import DataError, RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress

RECIPE = Recipe.model_validate(
    {
        "name": "integration",
        "seed": 3,
        "model": {"path": "micro"},
        "stages": [
            {
                "kind": "r1_zero",
                "num_steps": 12,
                "prompts_per_step": 8,
                "group_size": 8,
                "steps_per_rollout": 1,
                "split_rollout_by": "prompt",
                "task": {"kind": "world", "num_train": 256, "num_held_out": 48},
                "sampling": {"max_new_tokens": 128},
                "optimizer": {"learning_rate": 1e-3},
                "evaluation": {"num_problems": 48, "samples_per_problem": 4},
                "checkpoint": {"every_steps": 6},
            }
        ],
    }
)


def changed(**stage: object) -> Recipe:
    data = RECIPE.model_dump()
    data["stages"] = [{**data["stages"][0], **stage}]
    return Recipe.model_validate(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("r1_zero") / "run"
    run_recipe(RECIPE, path, QuietProgress())
    return RunFolder.read(path)


def test_it_learns(run: RunFolder) -> None:
    """12 small steps: far more right answers, longer, more of them checked, and a better format."""
    (record,) = json.loads((run.path / "summary.json").read_text())["stages"]
    before, after = record["before"], record["after"]
    assert record["name"] == "r1_zero"
    assert record["num_problems"] == 48
    assert before["pass_at_1"] < 0.4
    assert after["pass_at_1"] > before["pass_at_1"] + 0.15
    assert after["length_mean"] > before["length_mean"]
    assert after["self_check_frac"] > before["self_check_frac"]
    assert after["cons_at_4"] > before["cons_at_4"]


def test_every_step_is_measured(run: RunFolder) -> None:
    metrics = run.stage("r1_zero").read_metrics()
    assert [record["step"] for record in metrics] == list(range(1, 13))
    for record in metrics:
        assert (
            record["logprob_difference_max"] < 1e-3
        )  # each rollout trains one step: engine and trainer agree
        assert record["ratio_mean"] == pytest.approx(1, abs=1e-4)
        assert record["trained_sequences"] == 64
        assert 0 < record["entropy"] < 5
        assert record["grad_norm"] > 0
    assert metrics[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert metrics[-1]["kl"] > 1e-4
    timings = run.stage("r1_zero").read_timings()
    assert all(record["peak_memory_bytes"] > 0 for record in timings)
    for record in timings:  # each step has a rollout of its own, generated and graded at the same time
        ((start, generated),) = record["timeline"]["generation"]
        assert (start, record["timeline"]["waiting"][0][0]) == (0.0, generated)
        assert 0 < record["timeline"]["first_token"] < generated
        assert 0 < record["timeline"]["grading"][0][0] < generated
        assert 0 < record["grading_overlap_frac"] <= 1
        assert (record["late_gradings"], record["grading_retries"]) == (0, 0)
    assert metrics[0]["reward_accuracy_ok"] == 64


def test_every_rollout_is_on_disk(run: RunFolder) -> None:
    stage = run.stage("r1_zero")
    assert stage.rollout_indices() == list(range(1, 13))
    for group in stage.read_rollouts(5).groups:
        assert len(group.rollouts) == 8
        assert len({r.completion.token_ids for r in group.rollouts}) > 1
        rewards = [r.reward.total for r in group.rollouts]
        for rollout, advantage in zip(group.rollouts, group.advantages, strict=True):
            parts = rollout.reward.parts
            assert rollout.reward.total == parts["accuracy"].value + parts["format"].value
            assert (advantage > 0) == (rollout.reward.total > sum(rewards) / 8)


def test_the_model_is_a_plain_folder(run: RunFolder) -> None:
    folder = run.stage("r1_zero").model_path
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    stored = run.stage("r1_zero").read_evaluation_samples("after")[0]
    ids = torch.tensor([stored.prompt.token_ids])
    assert tokenizer(stored.prompt.text)["input_ids"] == list(stored.prompt.token_ids)
    completion = stored.rollouts[0].completion
    with torch.no_grad():
        row = torch.cat([ids, torch.tensor([completion.token_ids])], dim=1)
        logprobs = model(row).logits[0, ids.shape[1] - 1 : -1].log_softmax(-1)
    chosen = logprobs.gather(1, torch.tensor([completion.token_ids]).T).squeeze(1)
    torch.testing.assert_close(chosen, torch.tensor(completion.logprobs), atol=1e-4, rtol=0)


def test_a_finished_run_is_verified_and_not_run_again(run: RunFolder) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run.path / "r1_zero").rglob("*") if path.is_file()}
    progress = QuietProgress()
    run_recipe(RECIPE, run.path, progress)
    assert "is finished" in progress.messages[0]
    assert before == {path: path.stat().st_mtime_ns for path in before}
    weights = run.stage("r1_zero").model_path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"\x00")
    with pytest.raises(RunError, match=r"model\.safetensors has changed since the stage finished"):
        run_recipe(RECIPE, run.path, QuietProgress())
    weights.write_bytes(content)


def test_two_runs_of_one_seed_are_the_same_and_another_seed_is_another(
    run: RunFolder, tmp_path: Path
) -> None:
    for seed in (3, 4):
        data = {**changed(num_steps=1).model_dump(), "seed": seed}
        run_recipe(Recipe.model_validate(data), tmp_path / str(seed), QuietProgress())
    first = [
        [r.completion.token_ids for r in group.rollouts]
        for group in RunFolder.read(tmp_path / "3").stage("r1_zero").read_rollouts(1).groups
    ]
    other = [
        [r.completion.token_ids for r in group.rollouts]
        for group in RunFolder.read(tmp_path / "4").stage("r1_zero").read_rollouts(1).groups
    ]
    whole = [
        [r.completion.token_ids for r in g.rollouts] for g in run.stage("r1_zero").read_rollouts(1).groups
    ]
    assert first == whole
    assert first != other


@pytest.mark.parametrize(
    "stage",
    [
        {"objective": {"kind": "sequence_grpo"}},
        {"objective": {"kind": "dr_grpo"}, "steps_per_rollout": 2},
        {"objective": {"kind": "dapo"}, "truncated": "mask", "refill_rounds": 1},
        {"objective": {"kind": "gspo"}, "inner_epochs": 2},
        {"objective": {"kind": "cispo"}, "kl": {"coef": 0.0}},
        {"kl": {"coef": 0.01, "placement": "reward", "estimator": "k1"}, "truncated": "zero_reward"},
        {"split_rollout_by": "completion", "steps_per_rollout": 2, "batch": {"gradient_checkpointing": True}},
    ],
)
def test_every_variant_trains(stage: dict[str, object], tmp_path: Path) -> None:
    recipe = changed(
        num_steps=2, prompts_per_step=2, evaluation={"num_problems": 2, "samples_per_problem": 1}, **stage
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    metrics = RunFolder.read(tmp_path / "run").stage("r1_zero").read_metrics()
    assert len(metrics) == 2
    assert any(record.get("grad_norm", 0) > 0 for record in metrics)
    assert ("kl" in metrics[0]) == (stage.get("kl") is None)


def test_too_few_held_out_problems_is_an_error(tmp_path: Path) -> None:
    recipe = changed(evaluation={"num_problems": 49, "samples_per_problem": 1})
    with pytest.raises(DataError, match="49, but the task has 48 held-out problems"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())


def test_an_unusable_reference_stops_the_run_before_training(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "answer": "see above" if i == 3 else str(i)} for i in range(8)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"kind": "file", "train": str(data), "num_held_out": 2, "grader": "numeric"}
    with pytest.raises(DataError, match="see above"):
        run_recipe(changed(task=task, evaluation={"num_problems": 2}), tmp_path / "run", QuietProgress())
