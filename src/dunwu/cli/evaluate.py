"""`dunwu eval`: measures a model on held-out problems. The options are short forms of a recipe's keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dunwu.cli.errors import error_console, reports_errors
from dunwu.cli.figures import share
from dunwu.cli.generate import TemplateChoice, template_of
from dunwu.cli.libraries import quiet_libraries
from dunwu.cli.model_source import ModelSource, find_model
from dunwu.cli.run import Overrides
from dunwu.cli.views import run_view
from dunwu.config.check import check_recipe
from dunwu.config.dump import plain
from dunwu.config.load import build_recipe
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.recipe import Recipe
from dunwu.config.reward import PreferenceReward
from dunwu.config.sft import SftConfig
from dunwu.config.stage import RlConfig
from dunwu.errors import ConfigError

_ASKED_AS = ("task", "template", "output_form", "rewards", "grading", "sampling", "engine", "evaluation")
"""The keys by which a stage that is not a plain RL stage says how its model is asked and graded."""


@reports_errors
def evaluate(
    model: Annotated[
        str, typer.Argument(help="micro, smollm2, a model folder, a hub name, or a run folder.")
    ],
    task: Annotated[
        str | None,
        typer.Option(
            help="world, reasoning_gym:NAME, a .jsonl or .parquet file, or a TOML table like a recipe's.",
            show_default="the run's own",
        ),
    ] = None,
    num_problems: Annotated[int | None, typer.Option(show_default="the run's own, else 512")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Per problem.", show_default="the run's own, else 16")
    ] = None,
    temperature: Annotated[float | None, typer.Option(show_default="the run's own, else 1")] = None,
    top_p: Annotated[float | None, typer.Option(show_default="the run's own, else 1")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(show_default="the run's own, else 512")] = None,
    template: Annotated[
        TemplateChoice | None, typer.Option(show_default="the run's own, else r1_zero")
    ] = None,
    answer_from: Annotated[
        str | None,
        typer.Option(help="answer_tag, boxed or text.", show_default="answer_tag with r1_zero, else text"),
    ] = None,
    seed: Annotated[int | None, typer.Option(show_default="the run's own, else 1")] = None,
    set_: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a model: pass@k, majority vote, lengths and more, with 95% intervals."""
    given = {
        "num_problems": num_problems,
        "samples_per_problem": samples,
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
    }
    data = recipe_data(
        find_model(model), task, template, answer_from, {k: v for k, v in given.items() if v is not None}
    )
    if seed is not None:
        data["seed"] = seed
    recipe = build_recipe(data, set_ or [], source="this evaluation")
    check_recipe(recipe)
    _evaluate(recipe, as_json=as_json)


def recipe_data(
    source: ModelSource,
    task: str | None,
    template: TemplateChoice | None,
    answer_from: str | None,
    given: dict[str, Any],
) -> dict[str, Any]:
    """Write the options down as the data of a recipe with one stage, which then is validated like any other.

    Args:
        given: keys of the evaluation and of its sampling that the user gave.
    """
    data: dict[str, Any] = {"name": "eval", "model": {"path": source.path}}
    stage: dict[str, Any] = {"kind": "r1_zero", "sampling": {"max_new_tokens": 512}}
    if source.recipe is not None:
        data = plain(source.recipe)
        data["model"]["path"] = source.path
    has_task = isinstance(source.stage, OnPolicyConfig)
    if isinstance(source.stage, RlConfig) and not _asks_reward_models(source.stage):
        stage = {**plain(source.stage), "start": "base"}  # the model itself is [model] of this recipe
    elif isinstance(source.stage, OnPolicyConfig):
        found = plain(source.stage)
        stage |= {key: found[key] for key in _ASKED_AS}
        rules = [reward for reward in found["rewards"] if reward["kind"] != "preference"]
        stage["rewards"] = rules or [{"kind": "accuracy"}, {"kind": "format"}]
    elif isinstance(source.stage, SftConfig) and template is None:
        template = template_of(source.stage)
    data["stages"] = [stage]
    evaluation = stage.setdefault("evaluation", {})
    if task is not None:
        stage["task"] = _task_data(task, given.get("num_problems"))
    elif not has_task:
        raise ConfigError("--task is missing; for example --task world, or --task reasoning_gym:chain_sum")
    if template is not None:
        stage["template"] = _template_data(template)
    if answer_from is not None or template is not None or not has_task:
        usual = "answer_tag" if template in (None, TemplateChoice.R1_ZERO) else "text"
        stage["rewards"] = [{"kind": "accuracy", "answer_from": answer_from or usual}, {"kind": "format"}]
    sampling = evaluation.get("sampling")
    sampling = dict(sampling) if isinstance(sampling, dict) else dict(stage["sampling"])
    for key, value in given.items():
        (evaluation if key in ("num_problems", "samples_per_problem") else sampling)[key] = value
    if evaluation.get("samples_per_problem") is None and sampling.get("temperature") == 0:
        evaluation["samples_per_problem"] = 1
    evaluation["sampling"] = sampling
    return data


def _asks_reward_models(stage: RlConfig) -> bool:
    return stage.general_prompts is not None or any(isinstance(r, PreferenceReward) for r in stage.rewards)


def _task_data(task: str, num_problems: int | None) -> dict[str, Any]:
    import tomllib

    kind, _, name = task.partition(":")
    wanted = {} if num_problems is None else {"num_held_out": num_problems}
    if task.startswith("{"):
        try:
            return dict(tomllib.loads(f"task = {task}")["task"])
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"--task {task} is not a TOML table: {error}") from None
    if kind == "reasoning_gym" and name:
        return {"kind": kind, "dataset": name, **wanted}
    if Path(task).suffix in (".jsonl", ".json", ".parquet"):
        return {"kind": "file", "train": task, **wanted}
    return {"kind": task, **wanted}


def _template_data(template: TemplateChoice) -> dict[str, Any]:
    if template is TemplateChoice.NONE:
        return {"kind": "plain", "text": "{question}"}
    return {"kind": template.value}


def _evaluate(recipe: Recipe, *, as_json: bool) -> None:
    from dunwu.runs.files import canonical_json

    stage = recipe.stages[0]
    assert isinstance(stage, RlConfig), "recipe_data writes a stage with a task"
    with run_view(error_console(), plain=as_json) as view:
        from dunwu.evaluation.run import evaluate_model

        quiet_libraries()
        result = evaluate_model(
            model=recipe.model,
            task=stage.task,
            template=stage.template,
            output_form=stage.output_form,
            rewards=stage.rewards,
            evaluation=stage.evaluation,
            sampling=stage.evaluation.sampling or stage.sampling,
            seed=recipe.seed,
            progress=view,
        )
    if as_json:
        typer.echo(canonical_json(result.figures, "figures", indent=2))
    else:
        Console().print(figures_table(result.figures))


def figures_table(figures: Mapping[str, Any]) -> Table:
    """Set the figures of an evaluation in a table, one column for all problems and one for each kind of
    problem."""
    columns = {"all": figures, **figures.get("by_kind", {})}
    if len(columns) == 2:
        columns = {"all": figures}
    table = Table()
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for key, value in figures.items():
        if key == "by_kind" or key.endswith("_interval"):
            continue
        if isinstance(value, int | float) or value is None:
            interval = figures.get(f"{key}_interval")
            first = _written(key, value) + (
                f"  [{share(interval[0])}, {share(interval[1])}]" if interval else ""
            )
            others = [_written(key, column.get(key)) for column in columns.values()][1:]
            table.add_row(key, Text(first), *others)
    return table


def _written(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key.endswith("_frac") or key == "format" or key.startswith(("pass_at_", "cons_at_")):
        return share(value)
    return f"{value:.1f}" if isinstance(value, float) else str(value)
