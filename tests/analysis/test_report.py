"""The report of a run: whole, unfinished, damaged; safe with hostile text; the same in HTML and Markdown."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dunwu.analysis.examples import answers_side_by_side
from dunwu.analysis.report import _model_words, _parameters, write_report
from dunwu.analysis.report_facts import report_facts
from dunwu.config.recipe import Recipe
from dunwu.evaluation.comparison import MeasuredColumn, table_rows
from dunwu.evaluation.findings import find
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.comparison_files import write_comparison
from dunwu.runs.folder import RunFolder

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> | `x` [a](javascript:b)"
RECIPE = Recipe.model_validate(
    {
        "name": "told",
        "seed": 5,
        "model": {"path": "micro"},
        "stages": [
            {"kind": "r1_zero", "num_steps": 12, "steps_per_rollout": 1, "task": {"kind": "world"}},
            {
                "kind": "comparison",
                "task": {"kind": "world"},
                "columns": [{"label": "base", "model": "base"}, {"label": "R1-Zero", "model": "r1_zero"}],
            },
        ],
    }
)


def group(right: bool, name: str = "p1") -> RolloutGroup:
    problem = Problem(name, "sum", f"What is 1 + 1 in {name}? {HOSTILE}", "2", "exact")
    text = f"two {HOSTILE}" if right else f"three {HOSTILE}"
    rollout = Rollout(
        0,
        Completion((1, 2), (-0.5, -0.5), "stop"),
        text,
        Reward(float(right), {"accuracy": RewardPart(float(right))}),
    )
    return RolloutGroup(Prompt(problem, "Q", (1,)), (rollout,), (0.0,))


def figures(value: float) -> dict[str, Any]:
    low, high = value - 0.05, value + 0.05
    return {
        "pass_at_1": value,
        "pass_at_1_interval": [low, high],
        "num_problems": 40,
        "length_mean": 20.0,
        "self_check_frac": 0.1,
    }


def make_run(
    path: Path,
    *,
    after: float = 0.8,
    table: bool | dict[str, Any] = False,
    truncated: float = 0.0,
) -> RunFolder:
    with RunFolder.open(path, RECIPE) as run:
        stage = run.stage("r1_zero")
        stage.begin({})
        stage.write_evaluation("before", figures(0.2), [group(False)], step=0)
        for step in range(1, 13):
            stage.append_metrics(
                step, {"rollout": step, "accuracy": step / 20, "reward": 1.0, "truncated_frac": truncated}
            )
            stage.append_timings(step, {"wall_seconds": 2.0})
        stage.write_evaluation("after", figures(after), [group(True)], step=12)
        if table:
            record = {
                "name": "r1_zero",
                "before": figures(0.2),
                "after": figures(after),
                "wall_seconds": 24.0,
            }
            stage.finish(record)
            comparison = run.stage("comparison")
            comparison.begin({})
            for name, right in (("base", (True, False)), ("R1-Zero", (True, True))):
                asked = [group(value, f"p{number}") for number, value in enumerate(right)]
                comparison.write_evaluation(name, figures(0.5), asked, step=1)
            made = table if isinstance(table, dict) else make_table()
            write_comparison(comparison, made, "# table\n")
            comparison.finish({**made, "wall_seconds": 3.0})
            run.write_summary()
    return RunFolder.read(path)


def make_table() -> dict[str, Any]:
    worse = {str(i): float(i < 30) for i in range(100)}
    better = {str(i): float(i < 80) for i in range(100)}
    cut = {str(i): 0.1 for i in range(100)}
    columns = [
        MeasuredColumn("base", "base", {"accuracy": worse, "cut": {str(i): 0.0 for i in range(100)}}),
        MeasuredColumn("R1-Zero", "r1_zero", {"accuracy": better, "cut": cut}),
    ]
    told = {
        "model": "base",
        "template": "r1_zero",
        "output_form": "think_answer",
        "answer_from": ["answer_tag"],
        "why": "w",
    }
    return {
        "name": "comparison",
        "columns": [{**told, "label": column.label, "role": column.role} for column in columns],
        "rows": table_rows(columns, 1),
        "findings": find(columns),
        "num_problems": 100,
        "samples_per_problem": 1,
        "num_general": 0,
        "samples_per_general": 0,
        "judged_by": None,
        "sampling": {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 64},
    }


def written(run: RunFolder, folder: Path) -> tuple[str, str]:
    html = write_report(run, folder)
    assert html == folder / "report.html"
    return html.read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8")


def test_a_whole_run_is_told_in_both_forms(tmp_path: Path) -> None:
    html, text = written(make_run(tmp_path / "run", table=True), tmp_path / "out")
    for report in (html, text):
        assert "told: a run of the DeepSeek-R1 recipe" in report
        assert "30.0%" in report
        assert "80.0%" in report
        assert "R1-Zero - base = +50.0 points" in report or "R1-Zero - base = +50.0 points" in report.replace(
            "\\", ""
        )
        assert "one run with one seed (5)" in report
        assert "show none of the 9 well-known ailments" in report
    assert "not finished" not in html
    assert "R1-Zero 10% of the answers" in html
    images = re.findall(r"!\[.*?\]\((report\.images/.*?\.png)\)", text)
    assert images == ["report.images/models.png", "report.images/r1_zero.png"]
    for image in images:
        assert (tmp_path / "out" / image).read_bytes().startswith(b"\x89PNG")


def test_the_same_question_to_every_model_shows_what_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", table=True)
    html, text = written(run, tmp_path / "out")
    assert "The first problem that base answers mostly wrong and R1-Zero mostly right" in html
    shown = text[text.index("## The same question") : text.index("## How the learning went")]
    assert "What is 1 + 1 in p1?" in shown
    assert "What is 1 + 1 in p0?" not in shown, "both answered it"
    assert re.findall(r"^(\S+), (right|wrong):", shown, re.M) == [("base", "wrong"), ("R1-Zero", "right")]
    (facts,) = report_facts(run)["side_by_side"]
    assert (facts["chosen"], facts["everyday"]) == (True, False)


def test_everyday_requests_are_shown_without_a_verdict(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", table={**make_table(), "num_general": 1})
    with RunFolder.open(tmp_path / "run", RECIPE) as opened:
        for name in ("base", "R1-Zero"):
            opened.stage("comparison").write_evaluation(f"{name}.general", {}, [group(True, "g")], step=1)
    problem, request = report_facts(run)["side_by_side"]
    assert (problem["everyday"], request["everyday"], request["reference"]) == (False, True, "")
    assert [answer["right"] for answer in request["answers"]] == [None, None]


def test_without_a_problem_that_tells_them_apart_the_first_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", table=True)
    stage = run.stage("comparison")
    found = answers_side_by_side(stage, ["R1-Zero", "base"], last=1)
    assert found is not None
    assert (found.problem.id, found.chosen) == ("p0", False)


def test_the_size_of_a_model_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", table=True)
    model = run.stage("r1_zero").model_path
    model.mkdir()
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(7, dtype=torch.bfloat16)}, model / "x.safetensors")
    html, text = written(run, tmp_path / "out")
    assert "Its model has 22 parameters." in html
    assert "Its model has 22 parameters." in text
    (model / "x.safetensors").write_bytes(b"broken")
    assert "x.safetensors is damaged" in written(run, tmp_path / "out")[0]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (984_192, "984,192 parameters"),
        (134_515_008, "135 million parameters"),
        (7.6e9, "7.6 billion parameters"),
    ],
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert _parameters(int(count)) == words


@pytest.mark.parametrize(
    ("called", "count", "words"),
    [
        ("", None, ""),
        ("", 22, "Its model has 22 parameters."),
        ("R1", None, "Its model, R1 in the tables below, is measured there."),
        ("R1", 22, "Its model, R1 in the tables below, has 22 parameters."),
    ],
)
def test_which_model_a_stage_made(called: str, count: int | None, words: str) -> None:
    assert _model_words({"called": called, "parameters": count}) == words


def test_a_stage_is_tied_to_its_column(tmp_path: Path) -> None:
    table = make_table()
    table["columns"][1]["model"] = "r1_zero"
    run = make_run(tmp_path / "run", table=table)
    assert [stage["called"] for stage in report_facts(run)["stages"]] == ["R1-Zero", ""]
    for report in written(run, tmp_path / "out"):
        assert "Its model, R1-Zero in the tables below, is measured there." in report


def test_html_stands_alone_and_runs_nothing(tmp_path: Path) -> None:
    html, text = written(make_run(tmp_path / "run", table=True), tmp_path / "out")
    assert "default-src 'none'" in html
    assert "<script" not in html.lower()
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    outside = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?!data:)[a-z]+://""", html)
    assert outside == []
    assert "    What is 1 + 1 in p1? <script>" in text  # a block of code, in which nothing is taken for HTML
    assert not any("<script>" in line and not line.startswith("    ") for line in text.splitlines())


def test_an_unfinished_run_is_told_as_one(tmp_path: Path) -> None:
    html, text = written(make_run(tmp_path / "run"), tmp_path / "out")
    for report in (html, text):
        assert "which is not finished" in report
        assert "20.0%" in report
        assert "The models were not compared on one set of problems" in report
    assert "The run is not finished: r1_zero, comparison are still to be done." in html


def test_a_run_that_has_only_begun_has_a_report(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", RECIPE):
        pass
    html, text = written(RunFolder.read(tmp_path / "run"), tmp_path / "out")
    for report in (html, text):
        assert "there is no result to tell" in report
        assert "there was nothing to watch" in report
    assert not (tmp_path / "out" / "report.images").exists()


def test_ailments_and_a_stage_without_gain_are_shortfalls(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", after=0.22, truncated=1.0)
    told = report_facts(run)["shortfalls"]
    assert any(text.startswith("All truncated in r1_zero, since step 1: 100.0%") for text in told)
    assert any(text.startswith("Stage r1_zero shows in its own evaluation no certain gain") for text in told)
    lost = report_facts(make_run(tmp_path / "lost", after=0.05))["shortfalls"]
    assert any("Stage r1_zero lost right answers: 20.0% before and 5.0% after." in t for t in lost)
    html, _ = written(run, tmp_path / "out")
    assert "raise sampling.max_new_tokens" in html


def test_findings_that_do_not_hold_are_shortfalls(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", table=True)
    told = report_facts(run)
    assert told["headline"]["after_label"] == "R1-Zero"
    assert not any("does not hold here" in text for text in told["shortfalls"])
    table = {**make_table(), "findings": [{**make_table()["findings"][0], "verdict": "does not hold"}]}
    table["findings"][0]["checks"][0]["verdict"] = "does not hold"
    (text, *_) = report_facts(make_run(tmp_path / "other", table=table))["shortfalls"]
    assert text.startswith(
        "The paper's finding that R1-Zero is far above the base model does not hold here (accuracy: R1-Zero"
    )


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("r1_zero/metrics.jsonl", "metrics.jsonl, line 1 is not a JSON object"),
        ("r1_zero/evaluation/after.json", "after.json is damaged"),
        ("r1_zero/evaluation/after.parquet", "after.parquet cannot be read"),
        ("comparison/comparison.json", "the table of stage comparison"),
        ("r1_zero/record.json", "record.json is damaged"),
    ],
)
def test_what_is_damaged_is_said(tmp_path: Path, file: str, said: str) -> None:
    make_run(tmp_path / "run", table=True)
    (tmp_path / "run" / file).write_text("{\n{\n")
    html, text = written(RunFolder.read(tmp_path / "run"), tmp_path / "out")
    assert "Some files of the run could not be read." in html
    assert said in html
    assert said.replace("_", "\\_") in text


def test_the_same_run_gives_the_same_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", table=True)
    assert written(run, tmp_path / "a") == written(run, tmp_path / "b")
