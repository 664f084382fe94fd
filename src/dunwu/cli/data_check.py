"""`dunwu data check`: what is wrong with a data set, told before anything is trained on it."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dunwu.cli.errors import reports_errors
from dunwu.cli.score import token_counter
from dunwu.config.task import FileTask, PreferenceSet
from dunwu.errors import ConfigError
from dunwu.records import Problem

EXIT_FOUND = 1
_SHOWN = 10

data_app = typer.Typer(help="Look at data before training on them.", no_args_is_help=True)


@data_app.callback()
def data() -> None:
    """Look at data before training on them."""


@data_app.command("check")
@reports_errors
def data_check(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A .jsonl or .parquet file, a data set folder, or a hub name."),
    ],
    question_column: Annotated[
        str | None, typer.Option(show_default="question, prompt, problem, query or instruction")
    ] = None,
    answer_column: Annotated[
        str | None, typer.Option(show_default="answer, reference, solution or target")
    ] = None,
    task_column: Annotated[
        str | None, typer.Option(help="Holds task objects.", show_default="task, where there is no answer")
    ] = None,
    kind_column: Annotated[str | None, typer.Option(help="Count problems by this column.")] = None,
    grader: Annotated[
        str, typer.Option(help="Judges answers where there are no task objects: math, numeric, exact, ...")
    ] = "math",
    preference_set: Annotated[
        PreferenceSet | None,
        typer.Option(help="Of prompts that no rule can grade, with --grader preference."),
    ] = None,
    split: Annotated[str, typer.Option(help="Of a folder or hub data set.")] = "train",
    model: Annotated[str | None, typer.Option(help="Count tokens by this model's tokenizer too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check a data set: ungradable references, repeated questions, languages, lengths.

    Ends with exit code 1 if a row cannot be read or a reference cannot be graded.
    """
    from dunwu.data.inspection import find_columns, present_columns

    given = {
        "train": file,
        "question_column": question_column,
        "answer_column": answer_column,
        "task_column": task_column,
        "kind_column": kind_column,
        "split": split,
    }
    task = FileTask.model_validate({key: value for key, value in given.items() if value is not None})
    if (grader == "preference") != (preference_set is not None):
        raise ConfigError(
            "--grader preference and --preference-set helpful or safety go together; give both or none"
        )
    task = task if preference_set else find_columns(task, present_columns(file))
    task = task.model_copy(update={"grader": grader, "preference_set": preference_set})
    report = check_data(task, None if model is None else token_counter(model))
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        print_report(Console(), report)
    if report["bad_rows"] or report["ungradable"]:
        raise typer.Exit(EXIT_FOUND)


def _judged_by(task: FileTask) -> dict[str, str]:
    if task.task_column:
        return {"task": task.task_column}
    return {} if task.preference_set else {"answer": task.answer_column}


def check_data(task: FileTask, count_tokens: Callable[[str], int] | None) -> dict[str, Any]:
    """Return the report on a task's training file, ready for JSON.

    Raises:
        DataError, DependencyError: the file cannot be read at all.
        ConfigError: the grader is not known.
    """
    from dunwu.config.reward import AccuracyReward
    from dunwu.data.inspection import describe, read_problems, repeated_questions
    from dunwu.rewards.accuracy import GRADERS
    from dunwu.rewards.grading import Grader

    if task.grader not in GRADERS:
        raise ConfigError(f"no grader is called {task.grader!r}; there are {', '.join(GRADERS)}")
    problems, bad_rows = read_problems(task)
    with Grader([AccuracyReward()]) as judge:
        ungradable = judge.check_gradable(problems)
    by_kind: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem)
    repeated = repeated_questions(problems, exact=False)
    bad_by_kind = {kind: sum(item.problem.kind == kind for item in ungradable) for kind in by_kind}
    return {
        "file": task.train,
        "columns": {
            "question": task.question_column,
            **_judged_by(task),
        },
        "num_rows": len(problems) + len(bad_rows),
        "bad_rows": [asdict(row) for row in bad_rows],
        "ungradable": [
            {
                "where": str(item.problem.metadata["where"]),
                "grader": item.problem.grader,
                "reference": item.problem.reference,
                "why": item.why,
            }
            for item in ungradable
        ],
        "repeated_exactly": _extra(repeated_questions(problems, exact=True)),
        "repeated": _extra(repeated),
        "contradictory": sum(len(each.references) > 1 for each in repeated),
        "repeated_questions": [asdict(each) for each in repeated],
        "all": {**describe(problems, count_tokens), "ungradable": len(ungradable)},
        "by_kind": {
            kind: {**describe(of_kind, count_tokens), "ungradable": bad_by_kind[kind]}
            for kind, of_kind in by_kind.items()
        },
    }


def _extra(repeated: Sequence[Any]) -> int:
    """Rows that a data set without repetitions would not have."""
    return sum(len(each.where) - 1 for each in repeated)


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print a report of `check_data` for people."""

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    columns = ", ".join(f"{name} from {column!r}" for name, column in report["columns"].items())
    say(f"{report['file']}: {report['num_rows']:,} rows; {columns}", "bold")
    bad, ungradable = report["bad_rows"], report["ungradable"]
    _list(say, f"{len(bad):,} rows cannot be read", [f"{row['where']}: {row['why']}" for row in bad])
    _list(
        say,
        f"{len(ungradable):,} references cannot be graded",
        [f"{row['where']} (grader {row['grader']}): {row['why']}" for row in ungradable],
    )
    if not bad and not ungradable:
        say("every row can be read and every reference graded", "green")
    if report["repeated"]:
        say(
            f"{report['repeated']:,} rows repeat a question ({report['repeated_exactly']:,} letter by letter), "
            f"{report['contradictory']:,} questions with references that differ",
            "yellow",
        )
        for each in report["repeated_questions"][:_SHOWN]:
            answers = f" -> {' | '.join(each['references'])}" if len(each["references"]) > 1 else ""
            say(f"  {', '.join(each['where'][:4])}: {each['question'][:80]!r}{answers[:80]}")
    if report["num_rows"] > len(bad):
        console.print(_table(report))


def _list(say: Callable[..., None], title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    say(title, "red")
    for line in lines[:_SHOWN]:
        say(f"  {line}")
    if len(lines) > _SHOWN:
        say(f"  ... and {len(lines) - _SHOWN:,} more; --json lists all")


def _table(report: dict[str, Any]) -> Table:
    """One column for all problems and one for each kind, if there is more than one."""
    kinds = report["by_kind"] if len(report["by_kind"]) > 1 else {}
    columns = {"all": report["all"], **kinds}
    table = Table()
    table.add_column("")
    for name in columns:
        table.add_column(Text(name), justify="right")
    for key in report["all"]:
        label = key.replace("_", " ")
        if isinstance(report["all"][key], dict) and "median" in report["all"][key]:
            label += ": min / median / p95 / max"
        table.add_row(label, *(_written(figures[key]) for figures in columns.values()))
    return table


def _written(value: Any) -> str:
    if isinstance(value, dict) and "median" in value:
        return f"{value['min']:,} / {value['median']:,g} / {value['p95']:,} / {value['max']:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return "-" if value is None else f"{value:,}"
