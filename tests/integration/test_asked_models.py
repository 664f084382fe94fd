"""Stages that ask another model: a service that rewrites well, badly or stops serving, one that judges, and a local model."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sampled_recipe import make_recipe

from dunwu.errors import DependencyError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress


def reply(text: str) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()


def solved(body: dict[str, Any]) -> int:
    """The sum that a rewriting prompt is about, worked out from its question."""
    question = body["messages"][0]["content"].partition("## Thought process")[0]
    (expression,) = re.findall(r"\d+(?:[+-]\d+)+", question)
    return int(eval(expression))


def endpoint(service: Any, **changes: Any) -> dict[str, Any]:
    given = {"kind": "endpoint", "base_url": service.url, "model": "m", "num_retries": 1, "retry_seconds": 0}
    return {**given, **changes}


def record_and_rows(path: Path, stage: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    run = RunFolder.read(path)
    (record,) = run.read_summary()
    (data,) = run.stage(stage).data_files()
    return record, [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]


def test_a_service_rewrites_and_what_it_spoils_is_dropped_and_the_next_is_tried(
    chat_service: Any, tmp_path: Path
) -> None:
    def respond(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        wrong = number == 1  # the first summary says another answer than the thinking
        return reply(f"$\\boxed{{{solved(body) + wrong}}}$")

    chat_service.respond = respond
    recipe = make_recipe("cold_start", samples_per_prompt=6, rewriter=endpoint(chat_service, max_parallel=1))
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    record, rows = record_and_rows(tmp_path / "run", "cold_start")
    assert record["dropped"]["rewritten_incorrect"] == 1
    assert record["kept"] + 1 == len(chat_service.requests)  # nobody is asked for what is not needed
    assert all(re.fullmatch(r"\$\\boxed\{-?\d+\}\$", row["messages"][1]["content"]) for row in rows)
    assert all(row["messages"][1]["reasoning_content"] for row in rows)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "rewritten_without_box"),
        ("", "rewrite_empty"),
        ("$\\boxed{1}$ <answer>", "rewritten_stray_marks"),
    ],
)
def test_garbage_is_dropped_by_name(text: str, reason: str, chat_service: Any, tmp_path: Path) -> None:
    chat_service.respond = lambda *_: reply(text)
    own = tmp_path / "own.jsonl"
    own.write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    recipe = make_recipe(
        "cold_start",
        samples_per_prompt=6,
        num_prompts=4,
        rewriter=endpoint(chat_service),
        joined=[{"sources": str(own)}],
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    record, rows = record_and_rows(tmp_path / "run", "cold_start")
    assert (record["kept"], len(rows)) == (0, 1)
    assert record["dropped"][reason] == len(chat_service.requests) > 0


def test_a_service_that_stops_serving_loses_nothing(chat_service: Any, tmp_path: Path) -> None:
    down = True

    def respond(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        return (503, b"") if down else reply(f"$\\boxed{{{solved(body)}}}$")

    chat_service.respond = respond
    recipe = make_recipe("cold_start", samples_per_prompt=6, rewriter=endpoint(chat_service))
    with pytest.raises(DependencyError, match="gave no completion in 2 tries"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
    sampled = RunFolder.read(tmp_path / "run").stage("cold_start").rollout_indices()
    assert sampled == [1, 2]
    down, progress = False, QuietProgress()
    run_recipe(recipe, tmp_path / "run", progress)
    assert progress.steps == [3, 4]  # nothing was sampled again
    record, _ = record_and_rows(tmp_path / "run", "cold_start")
    assert record["kept"] > 0


def test_a_judge_decides_where_the_rule_does_not_accept(chat_service: Any, tmp_path: Path) -> None:
    data = tmp_path / "task.jsonl"
    rows = [{"question": f"Compute {i}+{i + 3}.", "answer": f"the number {2 * i + 3}"} for i in range(8)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def respond(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        said = ("correct", "incorrect", "perhaps")[number % 3]
        return reply(json.dumps({"analysis": "looked at it", "correctness": said}))

    chat_service.respond = respond
    recipe = make_recipe(
        "rejection_sampling",
        samples_per_prompt=6,
        task={"kind": "file", "train": str(data), "num_held_out": 0, "grader": "text"},
        template={"kind": "r1_zero"},
        output_form={"kind": "think_answer"},
        accuracy={"answer_from": "answer_tag"},
        readability={"min_language_share": 0.0, "min_thinking_chars": 0},
        judge={"by": endpoint(chat_service, max_parallel=1)},
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    record, made = record_and_rows(tmp_path / "run", "rejection_sampling")
    asked = [body["messages"][0]["content"] for _, body, _ in chat_service.requests]
    assert all("## Reference answer\n\nthe number " in question for question in asked)
    assert {row["graded_by"] for row in made} == {"judge"}
    assert record["kept"] == sum(number % 3 == 0 for number in range(1, len(asked) + 1))
    assert record["dropped"]["judged_incorrect"] == sum(n % 3 == 1 for n in range(1, len(asked) + 1))
    assert record["dropped"]["judge_unparseable"] == sum(n % 3 == 2 for n in range(1, len(asked) + 1))


def test_a_local_model_is_asked_and_draws_the_same_each_time(tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    rewriter = {"kind": "model", "model": "base", "max_new_tokens": 8, "temperature": 1.0}
    recipe = make_recipe(
        "cold_start", samples_per_prompt=6, num_prompts=4, rewriter=rewriter, joined=[{"sources": str(own)}]
    )
    texts = []
    for name in ("one", "two"):
        run_recipe(recipe, tmp_path / name, QuietProgress())
        texts.append((tmp_path / name / "cold_start" / "chunks" / "chunk-000001.jsonl").read_text())
        record, _ = record_and_rows(tmp_path / name, "cold_start")
        asked = {reason for reason in record["dropped"] if reason.startswith(("rewrite_", "rewritten_"))}
        assert asked  # `micro` cannot rewrite: what it says is dropped, each by its name
    assert texts[0] == texts[1]
