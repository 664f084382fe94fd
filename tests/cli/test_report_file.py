"""`dunwu report` on the command line, and the report that a run ends with."""

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from dunwu.runs.digest import comparable_digest

Invoke = Callable[..., Result]


def test_it_is_written_into_the_run_folder_or_elsewhere(
    invoke: Invoke, finished_run: Path, tmp_path: Path
) -> None:
    before = comparable_digest(finished_run)
    result = invoke("report", finished_run)
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [f"{finished_run / 'report.html'}", f"{finished_run / 'report.md'}"]
    assert comparable_digest(finished_run) == before
    assert invoke("report", finished_run, "-o", tmp_path / "new" / "folder").exit_code == 0
    assert (tmp_path / "new" / "folder" / "report.html").read_bytes() == (
        finished_run / "report.html"
    ).read_bytes()


def assert_told_first(invoke: Invoke, run: Path, line: str) -> None:
    """The report is written, and says this line on stderr and before its figures."""
    result = invoke("report", run)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"warning: {line}\n"
    text = (run / "report.md").read_text().replace("\\_", "_")
    assert text.index(line) < text.index("## In short")
    assert line in (run / "report.html").read_text()


def test_a_file_that_was_altered_is_told_first(invoke: Invoke, finished_run: Path) -> None:
    file = finished_run / "r1_zero" / "metrics.jsonl"
    file.write_text(file.read_text().replace("0.25", "0.75"))
    line = f"{file} has changed since the stage finished"
    assert_told_first(invoke, finished_run, line)


def test_a_stage_made_from_something_else_is_told_first(invoke: Invoke, finished_run: Path) -> None:
    recipe = finished_run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("num_steps = 4", "num_steps = 8"))
    line = "r1_zero was made with something else: num_steps: was 4, is now 8"
    assert_told_first(invoke, finished_run, line)


def test_where_it_cannot_be_written_or_read(invoke: Invoke, finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = invoke("report", finished_run, "-o", tmp_path / "file")
    assert result.exit_code != 0
    assert "cannot be written to" in result.stderr
    result = invoke("report", tmp_path / "nothing")
    assert result.exit_code != 0
    assert "is not a run folder" in result.stderr
