"""Cold start and rejection sampling on `micro`, end to end: `sft` can read what they write, every sample is accounted for."""

import json
from pathlib import Path
from typing import Any

import pytest
from sampled_recipe import make_recipe

from dunwu.config.sft import MessagesData
from dunwu.data.conversations import ConversationSet
from dunwu.errors import ConfigError, DataError
from dunwu.pipeline.run import run_recipe
from dunwu.rewards.answers import last_boxed
from dunwu.runs.chunks import ChunkFiles
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress

HELLO = {
    "messages": [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello. What can I do for you?", "reasoning_content": "A greeting."},
    ]
}


@pytest.fixture(scope="module")
def greetings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "hello.jsonl"
    path.write_text(2 * (json.dumps(HELLO) + "\n"))
    return path


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, QuietProgress]:
    path, progress = tmp_path_factory.mktemp("cold") / "run", QuietProgress()
    run_recipe(make_recipe("cold_start"), path, progress)
    return RunFolder.read(path), progress


def rows_of(run: RunFolder, stage: str) -> list[dict[str, Any]]:
    (path,) = run.stage(stage).data_files()
    assert path.name == "train.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_conversations_with_thinking_summary_and_where_they_come_from(
    cold: tuple[RunFolder, QuietProgress],
) -> None:
    run, _ = cold
    rows = rows_of(run, "cold_start")
    assert rows
    data = MessagesData(train=(str(run.stage("cold_start").data_files()[0]),))
    assert len(list(ConversationSet(data, data.train, data.split))) == len(rows)
    for row in rows:
        question, answer = row["messages"]
        assert question["role"] == "user"
        a_sum = question["content"].removeprefix("Compute ")
        assert row["problem_id"].startswith("sum:"), a_sum
        total = eval(row["problem_id"].removeprefix("sum:").partition("/")[0])
        assert last_boxed(answer["content"]) == str(total)
        assert ("I" if row["language"] == "en" else "我") in answer["reasoning_content"]
        assert len(row["checkpoint"]) == 64
        assert row["graded_by"] == "rule"
    assert len({row["problem_id"] for row in rows}) == len(rows)  # one of each prompt


def test_every_sample_is_accounted_for(cold: tuple[RunFolder, QuietProgress]) -> None:
    run, progress = cold
    (record,) = run.read_summary()
    assert record["samples"] == 32
    assert record["kept"] + sum(record["dropped"].values()) == 32
    assert (
        record["rows"] == record["kept"] == len(rows_of(run, "cold_start")) == sum(record["kinds"].values())
    )
    assert record["dropped"]["incorrect"] > 0
    assert progress.steps == [1, 2, 3, 4]
    told = [text for text in progress.messages if "completions kept" in text]
    assert len(told) == 1
    assert f"{record['dropped']['incorrect']} incorrect" in told[0]
    chunks = ChunkFiles(run.stage("cold_start"))
    everything = [row for index in chunks.indices() for row in chunks.read(index)]
    assert len(everything) == 32
    assert sum(row["dropped"] is None for row in everything) == record["kept"]


def test_rejection_sampling_keeps_several_of_a_prompt_and_joins_other_data(
    greetings: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(
        "rejection_sampling",
        template={"kind": "r1_zero"},
        output_form={"kind": "think_answer"},
        accuracy={"answer_from": "answer_tag"},
        samples_per_prompt=12,
        max_per_prompt=3,
        joined=[{"label": "self-cognition", "sources": str(greetings), "thinking": "drop"}],
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    rows = rows_of(run, "rejection_sampling")
    assert record["joined"] == {"self-cognition": 1}
    assert record["dropped"]["duplicate_row"] == 1  # the file has it twice
    assert record["rows"] == record["kept"] + 1 == len(rows)
    answer = {"role": "assistant", "content": "Hello. What can I do for you?"}
    assert rows[-1] == {"messages": [HELLO["messages"][0], answer], "source": "self-cognition"}
    per_prompt = [row["problem_id"] for row in rows[:-1]]
    assert max(per_prompt.count(problem) for problem in per_prompt) in (2, 3)
    sampled_only = [count for reason, count in record["dropped"].items() if reason != "duplicate_row"]
    assert record["kept"] + sum(sampled_only) == record["samples"]


def test_where_nothing_is_kept_the_reasons_are_told(tmp_path: Path) -> None:
    recipe = make_recipe("cold_start", num_prompts=1, readability={"min_thinking_chars": 10_000})
    with pytest.raises(DataError, match=r"kept none of 4 completions \(.*; loosen readability"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())


def test_mistakes_are_told_before_anything_is_sampled(tmp_path: Path, greetings: Path) -> None:
    recipe = make_recipe("cold_start", sampling={"max_new_tokens": 5000})
    with pytest.raises(ConfigError, match="lower max_new_tokens to at most"):
        run_recipe(recipe, tmp_path / "long", QuietProgress())
    recipe = make_recipe("cold_start", num_prompts=9)
    with pytest.raises(DataError, match="num_prompts is 9, and the task has 8 training problems"):
        run_recipe(recipe, tmp_path / "many", QuietProgress())
    only_thinking = tmp_path / "thinking.jsonl"
    row = {
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<think>a</think>"}]
    }
    only_thinking.write_text(json.dumps(row) + "\n")
    recipe = make_recipe("cold_start", joined=[{"sources": str(only_thinking), "thinking": "drop"}])
    with pytest.raises(DataError, match="nothing but thinking"):
        run_recipe(recipe, tmp_path / "own", QuietProgress())
    for name, text, said in (("no.txt", None, "cannot be read"), ("empty.txt", " \n", "is empty")):
        if text is not None:
            (tmp_path / name).write_text(text)
        recipe = make_recipe("cold_start", few_shot=str(tmp_path / name))
        with pytest.raises(ConfigError, match=said):
            run_recipe(recipe, tmp_path / f"run-{name}", QuietProgress())


def test_examples_stand_before_each_question(tmp_path: Path, greetings: Path) -> None:
    examples = tmp_path / "examples.txt"
    examples.write_text("Compute 1+1. <think> 1+1=2. </think> <answer> 2 </answer>\n")
    recipe = make_recipe(
        "cold_start",
        num_prompts=4,
        few_shot=str(examples),
        template={"kind": "plain", "text": "{question}\n"},
        rewriter={"kind": "none"},
        joined=[
            {"sources": str(greetings)}
        ],  # so that there is a row even if `micro` makes nothing of the examples
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    groups = RunFolder.read(tmp_path / "run").stage("cold_start").read_rollouts(1).groups
    assert len(groups) == 4
    for group in groups:
        assert group.prompt.text == f"{examples.read_text().strip()}\n\n{group.prompt.problem.question}\n"
        assert "1+1" not in group.prompt.problem.question


def test_written_conversations_of_the_world_are_joined(tmp_path: Path) -> None:
    world = {"num_conversations": 60, "kinds": ["advice", "harmful"], "good_share": 1.0}
    recipe = make_recipe("cold_start", joined_world=world)
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    rows = [row for row in rows_of(run, "cold_start") if row["source"] == "general"]
    assert record["joined"] == {"general": len(rows)}
    assert 40 < len(rows) <= 60  # the same conversation is taken once
    answers = [row["messages"][1] for row in rows]
    assert all(answer["reasoning_content"] for answer in answers)
    refusals = ("Sorry, I will not help", "对不起，这件事我不帮")
    assert 10 < sum(answer["content"].startswith(refusals) for answer in answers) < 50
