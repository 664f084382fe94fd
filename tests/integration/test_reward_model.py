"""A reward model on `micro`, end to end: it learns, everything is in the run folder, transformers gives the same scores."""

import json
from pathlib import Path

import pytest
import torch
from preference_recipes import reward_recipe, write_labels, write_pairs
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from dunwu.config.training import ModelConfig
from dunwu.errors import ConfigError, DataError
from dunwu.models.reward_model import conversation_ids, load_reward_model
from dunwu.pipeline.run import run_recipe
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress


@pytest.fixture(scope="module")
def helpful(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, QuietProgress]:
    path, progress = tmp_path_factory.mktemp("helpful"), QuietProgress()
    run_recipe(reward_recipe(write_pairs(path / "pairs.jsonl")), path / "run", progress)
    return RunFolder.read(path / "run"), progress


def test_it_learns_which_response_is_better(helpful: tuple[RunFolder, QuietProgress]) -> None:
    run, progress = helpful
    (record,) = run.read_summary()
    before, after = record["before"], record["after"]
    assert after["accuracy"] == 1.0
    assert after["loss"] < 0.5 * before["loss"]
    low, high = after["accuracy_interval"]
    assert 0.4 < low < high == 1.0  # four questions say little
    assert (after["num_samples"], after["num_questions"]) == (8, 4)
    assert record["num_steps"] == 10
    assert record["loss_kind"] == "pairwise"
    assert record["train"] == {"rows": 40, "left_out": {}}
    assert progress.steps == list(range(1, 11))
    assert any(text.startswith("training data: 40 rows") for text in progress.messages)


def test_every_step_is_measured(helpful: tuple[RunFolder, QuietProgress]) -> None:
    stage = helpful[0].stage("reward_model")
    metrics = stage.read_metrics()
    assert [record["epoch"] for record in metrics] == [1] * 5 + [2] * 5
    assert all(record["samples"] == 8 and record["grad_norm"] > 0 for record in metrics)
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert metrics[-1]["margin"] > metrics[0]["margin"]
    assert stage.evaluation_labels() == ["before", *(f"step-{n:06d}" for n in (2, 4, 6, 8)), "after"]


def test_the_model_is_a_plain_sequence_classifier(helpful: tuple[RunFolder, QuietProgress]) -> None:
    run, _ = helpful
    path = run.stage("reward_model").model_path
    ours = load_reward_model(ModelConfig(path=str(path)))
    ids = [
        conversation_ids(ours.tokenizer, "Is red 9 a word?", text)
        for text in ("yes, red is", "no, it is not")
    ]
    scores = ours.scores(ids, 256)
    assert scores[0] > scores[1]
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(path),
        AutoTokenizer.from_pretrained(path),
    )
    longest = max(map(len, ids))
    padded = [[*found, *[tokenizer.pad_token_id] * (longest - len(found))] for found in ids]
    mask = [[1] * len(found) + [0] * (longest - len(found)) for found in ids]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(padded), attention_mask=torch.tensor(mask)).logits[:, 0]
    assert logits.tolist() == pytest.approx(scores, abs=1e-4)
    (record,) = run.read_summary()
    assert (ours.score_mean, ours.score_std) == (record["after"]["score_mean"], record["after"]["score_std"])
    assert ours.judges == "summary"


def test_safety_is_learnt_from_whole_responses(tmp_path: Path) -> None:
    train = write_labels(tmp_path / "labels.jsonl")
    run_recipe(reward_recipe(train, loss="pointwise", num_epochs=4), tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    after = record["after"]
    assert after["accuracy"] == 1.0
    assert after["safe_score"] > 0 > after["unsafe_score"]
    assert load_reward_model(ModelConfig(path=str(run.stage("reward_model").model_path))).judges == "response"


def test_rows_that_hold_an_evaluation_item_are_left_out(tmp_path: Path) -> None:
    train = write_pairs(tmp_path / "pairs.jsonl", 24)
    (tmp_path / "bench.jsonl").write_text(json.dumps({"question": "Is red 0 a word?"}) + "\n")
    recipe = reward_recipe(train, max_steps=1)
    recipe = type(recipe).model_validate(
        {**recipe.model_dump(), "decontamination": {"against": [str(tmp_path / "bench.jsonl")]}}
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    report = RunFolder.read(tmp_path / "run").stage("reward_model").read_decontamination()
    assert report["data"]["removed"] in (0, 2)  # the question may be one of those held out
    held_out = RunFolder.read(tmp_path / "run").read_summary()[0]["held_out"]["rows"]
    assert report["data"]["samples"] + held_out == 24


def test_mistakes_are_told(tmp_path: Path) -> None:
    train = write_pairs(tmp_path / "pairs.jsonl")
    slow = {"learning_rate": 1e-4, "schedule": {"warmup_steps": 10}}
    with pytest.raises(ConfigError, match="warmup_steps is 10, and 40 rows give 10 steps"):
        run_recipe(reward_recipe(train, optimizer=slow), tmp_path / "slow", QuietProgress())
    with pytest.raises(DataError, match=r"has a conversation of .* tokens, and max_tokens is 8"):
        run_recipe(reward_recipe(train, max_tokens=8, too_long="error"), tmp_path / "long", QuietProgress())
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    rows[0]["chosen"] = "word " * 2000
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = reward_recipe(train, max_tokens=8192, batch={"micro_batch_tokens": 16384})
    with pytest.raises(ConfigError, match="and the model has 1024 positions; set max_tokens to at most 1024"):
        run_recipe(recipe, tmp_path / "positions", QuietProgress())


def test_a_stage_that_keeps_the_best_checkpoint_keeps_that_of_the_lowest_loss(tmp_path: Path) -> None:
    checkpoint = {"every_steps": 2, "keep_best": True}
    train = write_pairs(tmp_path / "pairs.jsonl")
    run_recipe(reward_recipe(train, checkpoint=checkpoint), tmp_path / "run", QuietProgress())
    stage = RunFolder.read(tmp_path / "run").stage("reward_model")
    best = stage.best_checkpoint()
    assert best is not None
    losses = [
        stage.read_evaluation(label)["loss"] for label in stage.evaluation_labels() if label[:4] == "step"
    ]  # type: ignore[index]
    assert best[1] == -min(losses)
