"""The stage table on the command line: terminal, Markdown and JSON, the report of a run, and the plan."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from dunwu.cli.comparison_view import print_comparison
from dunwu.cli.plan import memory_parts, print_plan
from dunwu.cli.report import print_report
from dunwu.cli.status import key_figures
from dunwu.config.recipe import Recipe
from dunwu.evaluation.comparison import MeasuredColumn, table_rows
from dunwu.evaluation.findings import find
from dunwu.functional.comparison_text import markdown
from dunwu.pipeline.lineage import read_inputs
from dunwu.runs.comparison_files import write_comparison
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache

SETTINGS = {"hidden_size": 10, "num_hidden_layers": 2, "num_attention_heads": 5, "vocab_size": 100}
GENERAL = {
    "general": {"kind": "world", "kinds": ["manners"]},
    "general_judge": {"kind": "pairwise", "by": {"kind": "model"}},
    "num_general": 20,
}
LABELS = ("base", "R1-Zero", "Dev1", "Dev2", "Dev3", "R1", "distilled", "small model by RL")


def make(**changes: Any) -> Recipe:
    stage = {
        "kind": "comparison",
        "task": {"kind": "world"},
        "columns": [{"label": label, "model": "base"} for label in LABELS],
        "num_problems": 100,
        "samples_per_problem": 4,
        "sampling": {"max_new_tokens": 72},
        **changes,
    }
    return Recipe.model_validate({"name": "test", "model": {"path": "micro"}, "stages": [stage]})


def table() -> dict[str, Any]:
    """A table of eight columns in which each is better than the one before."""
    columns = []
    for rank, column in enumerate(make().stages[0].columns):  # type: ignore[union-attr]
        scores = {str(i): float(i < 10 + 10 * rank) for i in range(100)}
        columns.append(MeasuredColumn(column.label, column.plays, {"accuracy": scores, "length": scores}))
    return {
        "name": "comparison",
        "columns": [
            {
                "label": label,
                "model": "base",
                "template": "r1_zero",
                "output_form": "think_answer",
                "answer_from": ["answer_tag"],
                "why": "it has no chat template",
            }
            for label in LABELS
        ],
        "rows": table_rows(columns, 4),
        "findings": find(columns),
        "num_problems": 100,
        "samples_per_problem": 4,
        "num_general": 0,
        "samples_per_general": 1,
        "sampling": {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 72},
        "judged_by": None,
    }


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    found = table()
    recipe = make()
    with RunFolder.open(tmp_path / "compared", recipe) as run:
        stage = run.stage("comparison")
        stage.begin(read_inputs(recipe.stages[0], run, HashCache(None)).reads)
        stage.append_metrics(1, {"accuracy": 0.25})
        write_comparison(stage, found, markdown(found))
        stage.finish({**found, "num_steps": 8, "wall_seconds": 9.0})
        run.write_summary()
    return tmp_path / "compared"


def words(text: str) -> list[str]:
    return [" ".join(line.replace("│", " ").replace("┃", " ").split()) for line in text.splitlines()]


def test_the_table_fits_where_no_window_limits_it(console: Console) -> None:
    print_comparison(console, table())
    lines = words(console.file.getvalue())  # type: ignore[attr-defined]
    assert "base R1-Zero Dev1 Dev2 Dev3 R1 distilled small model by RL" in lines
    assert "right answers (pass@1), % 10.0 20.0 30.0 40.0 50.0 60.0 70.0 80.0" in lines
    intervals = lines[lines.index("right answers (pass@1), % 10.0 20.0 30.0 40.0 50.0 60.0 70.0 80.0") + 1]
    assert intervals.count(" to ") == 8
    assert any(
        line.startswith("R1 is the best of the chain overall holds accuracy: R1 - base = +50.0")
        for line in lines
    )
    assert any("distillation beats RL on the same small model does not hold" in line for line in lines)


def test_a_run_is_shown_again_in_each_form(invoke: Callable[..., Result], compared: Path) -> None:
    shown = invoke("compare", compared)
    assert shown.exit_code == 0, shown.stderr
    assert "R1-Zero is far above the base model" in " ".join(words(shown.stdout))
    as_json = invoke("compare", compared, "--json").stdout
    assert json.loads(as_json) == table()
    assert invoke("compare", compared, "--markdown", "--stage", "comparison").stdout == markdown(table())


def test_what_cannot_be_shown_is_told(
    invoke: Callable[..., Result], compared: Path, finished_run: Path, tmp_path: Path
) -> None:
    assert "choose one" in invoke("compare", compared, "--json", "--markdown").stderr
    assert "no stage of the kind" in invoke("compare", finished_run).stderr
    assert "no comparison 'other'; its comparisons are comparison" in " ".join(
        invoke("compare", compared, "--stage", "other").stderr.split()
    )
    RunFolder.open(tmp_path / "new", make()).close()
    assert "has no table yet" in invoke("compare", tmp_path / "new").stderr
    (compared / "comparison" / "comparison.json").write_text("{}")
    assert "has changed since the stage finished" in " ".join(invoke("compare", compared).stderr.split())
    (compared / "comparison" / "comparison.json").write_text("{")
    assert "is damaged" in " ".join(invoke("compare", compared).stderr.split())


def test_a_table_that_was_altered_is_refused(invoke: Callable[..., Result], compared: Path) -> None:
    file = compared / "comparison" / "comparison.json"
    file.write_text(file.read_text().replace('"value": 0.1', '"value": 0.87', 1))
    json.loads(file.read_text())
    for options in ((), ("--json",), ("--markdown",)):
        refused = invoke("compare", compared, *options)
        assert refused.exit_code == 2
        assert f"{file} has changed since the stage finished" in " ".join(refused.stderr.split())
        assert refused.stdout == ""


def test_other_damage_is_told_before_the_table(invoke: Callable[..., Result], compared: Path) -> None:
    file = compared / "comparison" / "metrics.jsonl"
    file.write_text(file.read_text().replace("0.25", "0.87"))
    line = f"{file} has changed since the stage finished"
    shown = invoke("compare", compared, "--json")
    assert json.loads(shown.stdout) == table()
    assert shown.stderr == f"warning: {line}\n"
    several = invoke("compare", compared, compared, "--json")
    assert [run["faults"] for run in json.loads(several.stdout)["runs"]] == [[line], [line]]


def test_a_table_made_from_something_else_is_shown_with_a_warning_before_it(
    invoke: Callable[..., Result], compared: Path
) -> None:
    recipe = compared / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("num_problems = 100", "num_problems = 50"))
    line = "comparison was made with something else: num_problems: was 100, is now 50"
    shown = invoke("compare", compared)
    assert shown.exit_code == 0
    assert shown.stderr == f"warning: {line}\n"
    several = invoke("compare", compared, compared, "--markdown")
    assert several.stdout.index(line) < several.stdout.index("| key |")


def test_a_run_ends_with_its_table_and_show_has_it_too(
    invoke: Callable[..., Result], console: Console, compared: Path
) -> None:
    print_report(console, compared)
    assert "small model by RL" in console.file.getvalue()  # type: ignore[attr-defined]
    shown = invoke("show", compared)
    assert "small model by RL" in " ".join(shown.stdout.split())
    assert "no rollouts yet" not in shown.stdout
    assert "comparison" in invoke("status", compared).stdout
    assert key_figures(table()) == "8 models side by side, 1 of 5 findings hold"


def test_the_plan_tells_how_each_column_is_asked(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    columns = [
        {"label": "base", "model": "base"},
        {
            "label": "mine",
            "model": "base",
            "template": {"kind": "plain"},
            "output_form": {"kind": "think", "opened_by_prompt": False},
        },
    ]
    print_plan(console, make(columns=columns, **GENERAL), tmp_path, continues=False)
    lines = words(console.export_text())
    for line in (
        "problems 100, 4 completions of each: 400 for each of 2 models, of at most 72 tokens",
        "general prompts 20, 20 completions for each model",
        "judged by the model base, against base",
        "sampled at temperature 0.6, top-p 0.95",
        "base base, as base in the findings: template r1_zero, form think_answer, answer from answer_tag (it has no chat "
        "template)",
        "mine base, in no finding: template plain, form think, answer from boxed, text (as the column says)",
    ):
        assert line in lines, line


def test_a_comparison_needs_weights_and_cache_and_nothing_of_training() -> None:
    recipe = make()
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    # 256 sequences of 128 + 72 tokens; keys and values of 2 layers, 5 heads of size 2; float32
    assert parts["cache while sampling"] == 256 * 200 * 2 * 2 * 5 * 2 * 4
    assert parts["weights"] == 4 * 1000
