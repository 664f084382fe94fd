"""Preference data from `micro`, end to end: judged by the embedded world and by a service, every response accounted for."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from preference_recipes import preference_recipe, reward_stage

from dunwu.config.recipe import Recipe
from dunwu.config.reward_model import PreferenceRows
from dunwu.data.preferences import load_preferences
from dunwu.data.tasks import load_problems
from dunwu.data.world.general import is_harmless
from dunwu.errors import ConfigError, DataError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.chunks import ChunkFiles
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress


def rows_of(run: RunFolder, file: str) -> list[dict[str, Any]]:
    path = run.stage("preference_data").data_path / file
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, QuietProgress]:
    path, progress = tmp_path_factory.mktemp("world") / "run", QuietProgress()
    run_recipe(preference_recipe(), path, progress)
    return RunFolder.read(path), progress


def test_rows_are_what_reward_models_read(world: tuple[RunFolder, QuietProgress]) -> None:
    run, _ = world
    for file, loss in (("pairs.jsonl", "pairwise"), ("safety.jsonl", "pointwise")):
        data = PreferenceRows(train=(str(run.stage("preference_data").data_path / file),), num_held_out=1)
        sets = load_preferences(data, loss)  # type: ignore[arg-type]
        assert len(sets.train) + len(sets.held_out) == len(rows_of(run, file))
    for row in rows_of(run, "pairs.jsonl"):
        assert row["margin"] > 0.5
        assert row["chosen"] != row["rejected"]
        assert row["problem_kind"] == "facts"
    for row in rows_of(run, "safety.jsonl"):
        assert row["problem_kind"] == "harmful"


def test_every_response_and_pair_is_accounted_for(world: tuple[RunFolder, QuietProgress]) -> None:
    run, progress = world
    (record,) = run.read_summary()
    files = ChunkFiles(run.stage("preference_data"))
    everything = [row for index in files.indices() for row in files.read(index)]
    assert (record["prompts"], record["samples"]) == (10, 40)
    assert record["num_steps"] == 6 == max(progress.steps)
    by_kind = Counter(row["row"] for row in everything)
    harmful = [row for row in everything if row["problem_kind"] == "harmful"]
    assert by_kind["label"] + sum(row["row"] == "response" for row in harmful) == 4 * len(
        {row["problem_id"] for row in harmful}
    )
    pairs = [row for row in everything if row["row"] == "pair"]
    lost = sum(row["dropped"] is not None for row in pairs) + record["dropped"].get("unbalancing", 0)
    assert record["kinds"]["pairs"] == len(pairs) - lost == len(rows_of(run, "pairs.jsonl"))
    assert record["rows"] == sum(record["kinds"].values())
    assert sum(record["verdicts"].values()) == 2 * len(pairs) + by_kind["label"]
    told = [text for text in progress.messages if "labelled responses from 40 responses" in text]
    assert len(told) == 1


def test_lengths_are_comparable_over_the_whole_set(world: tuple[RunFolder, QuietProgress]) -> None:
    run, progress = world
    (record,) = run.read_summary()
    chosen, rejected = record["lengths"]["chosen"], record["lengths"]["rejected"]
    balanced = abs(chosen - rejected) <= 0.3 * max(chosen, rejected)
    assert balanced != any("the reward model may learn length" in text for text in progress.messages)


def test_without_noise_the_world_labels_what_is_true(tmp_path: Path) -> None:
    task = {"kind": "world", "kinds": ["harmful"], "num_train": 4, "num_held_out": 2}
    recipe = preference_recipe(task=task, judge={"by": {"kind": "world", "noise": 0}})
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    problems = {}
    for problem in load_problems(recipe.stages[0].task, recipe.seed).train:  # type: ignore[union-attr]
        problems[problem.id] = problem
    rows = rows_of(run, "safety.jsonl")
    assert rows
    for row in rows:
        assert row["safe"] == is_harmless(problems[row["problem_id"]], row["response"])
    assert [path.name for path in run.stage("preference_data").data_files()] == ["safety.jsonl"]


def service_recipe(url: str, **changes: Any) -> Recipe:
    by = {"kind": "endpoint", "base_url": url, "model": "judge", "retry_seconds": 0.0}
    return preference_recipe(judge={"by": by, **changes})


def completion(text: str) -> tuple[int, bytes]:
    body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return 200, json.dumps(body).encode()


def test_a_service_judges_each_pair_four_times_in_both_orders(tmp_path: Path, chat_service: Any) -> None:
    """It prefers the longer answer, whatever the order, and calls everything unsafe that is asked about."""

    def respond(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        text = body["messages"][-1]["content"]
        if "[[unsafe]]" in text:
            return completion("[[unsafe]]")
        first, second = (
            text.partition(f"Start of Assistant {name}'s Answer|>\n")[2].partition("\n<|The End")[0]
            for name in "AB"
        )
        return completion("Longer. [[A>>B]]" if len(first) > len(second) else "Longer. [[B>>A]]")

    chat_service.respond = respond
    run_recipe(service_recipe(chat_service.url, max_length_gap="none"), tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    pairs = rows_of(run, "pairs.jsonl")
    assert pairs
    for row in pairs:
        assert row["margin"] <= 2.0
        assert len(row["chosen"]) >= len(row["rejected"])
    assert {"A>>B", "B>>A", "unsafe"} == set(record["verdicts"])
    files = ChunkFiles(run.stage("preference_data"))
    judged = [row for index in files.indices() for row in files.read(index) if row["row"] == "pair"]
    assert all(len(row["verdicts"]) == 4 for row in judged)
    assert any(len(set(row["swapped"])) == 2 for row in judged)
    assert all(not row["safe"] for row in rows_of(run, "safety.jsonl"))


def test_verdicts_that_cannot_be_read_are_counted_and_never_guessed(
    tmp_path: Path, chat_service: Any
) -> None:
    chat_service.respond = lambda number, body: completion("Both are fine.")
    with pytest.raises(DataError, match=r"kept no pair and no label of 40 responses \(.*_unreadable"):
        run_recipe(service_recipe(chat_service.url), tmp_path / "run", QuietProgress())
    files = ChunkFiles(RunFolder.read(tmp_path / "run").stage("preference_data"))
    rows = [row for index in files.indices() for row in files.read(index)]
    judged = [row for row in rows if "verdicts" in row]
    assert {verdict for row in judged for verdict in row["verdicts"]} == {"unparseable"}
    assert {row["dropped"] for row in judged} == {"verdict_unreadable", "label_unreadable"}


def test_a_local_model_can_judge(tmp_path: Path) -> None:
    """`micro` cannot: its answers are no verdicts, and it has no room for the prompt."""
    recipe = preference_recipe(judge={"by": {"kind": "model", "max_new_tokens": 16}})
    with pytest.raises(DataError, match="kept no pair and no label"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())


def test_several_models_answer_each_prompt(tmp_path: Path) -> None:
    recipe = preference_recipe(models=["second"], samples_per_prompt=1, sampling={"max_new_tokens": 32})
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    assert (record["samples"], record["num_steps"]) == (20, 9)  # 3 chunks, sampled by two models, judged once
    files = ChunkFiles(run.stage("preference_data"))
    rows = [row for index in files.indices() for row in files.read(index)]
    assert {row["model"] for row in rows if row["row"] == "label"} == {"base", "second"}
    for row in rows:
        if row["row"] == "pair":
            assert {row["first"]["model"], row["second"]["model"]} == {"base", "second"}
            assert (
                row["first"]["text"] != row["second"]["text"]
            )  # the draws of two models differ, of the same weights too


def test_mistakes_are_told_before_anything_is_sampled(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='prompts of the set "helpful" would have no pair'):
        run_recipe(preference_recipe(samples_per_prompt=1), tmp_path / "one", QuietProgress())
    with pytest.raises(ConfigError, match="lower max_new_tokens to at most"):
        run_recipe(preference_recipe(sampling={"max_new_tokens": 1020}), tmp_path / "long", QuietProgress())
    rows = [{"question": f"{i} + {i}?", "answer": str(2 * i)} for i in range(9)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"kind": "file", "train": str(tmp_path / "sums.jsonl"), "num_held_out": 1}
    recipe = preference_recipe(task=task, judge={"by": {"kind": "model"}})
    with pytest.raises(
        DataError, match=r"8 of 8 prompts are graded by a rule, the first is .* \(grader math\)"
    ):
        run_recipe(recipe, tmp_path / "graded", QuietProgress())


def test_the_chain_from_prompts_to_a_reward_model(tmp_path: Path) -> None:
    rows = {"train": "stage:preference_data/safety.jsonl", "num_held_out": 4}
    stages = [
        preference_recipe().model_dump()["stages"][0],
        reward_stage("", data=rows, loss="pointwise", max_steps=2),
    ]
    recipe = Recipe.model_validate({"name": "chain", "seed": 7, "model": {"path": "micro"}, "stages": stages})
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    summary = RunFolder.read(tmp_path / "run").read_summary()
    assert [record["name"] for record in summary] == ["preference_data", "reward_model"]
    read = summary[1]["train"]["rows"] + summary[1]["held_out"]["rows"]
    assert read == sum(count for kind, count in summary[0]["kinds"].items() if kind != "pairs")
