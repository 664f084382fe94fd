"""What a report of a run tells, gathered from its folder as plain data. Draws and writes nothing.

Every part is read by itself: what is damaged becomes a sentence under `faults`, and the rest is told. Called by `report`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dunwu.analysis.examples import SideBySide, answers_side_by_side, find_example
from dunwu.analysis.shortfalls import shortfalls
from dunwu.analysis.stage_words import KIND_WORDS, ROLE_WORDS, STAGE_WORDS
from dunwu.config.chain import upstream
from dunwu.config.comparison import ComparisonStage
from dunwu.config.dump import dump_recipe
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.stage import Stage
from dunwu.errors import RunError
from dunwu.functional.comparison_text import notes
from dunwu.functional.diagnosis.watch import AILMENTS
from dunwu.runs.comparison_files import read_comparison
from dunwu.runs.folder import RunFolder
from dunwu.runs.model_size import count_parameters
from dunwu.runs.stage_folder import StageFolder

MOST_CHARACTERS = 1500
"""Of an example; of an answer beside others a third of that."""
_ENDS = ("r1", "dev3", "dev2", "dev1", "r1_zero")
"""Roles of models at the chain's end, the last first."""
_BESIDES = ("readability", "language", "helpfulness", "harmlessness")


def report_facts(run: RunFolder) -> dict[str, Any]:
    """Gather what there is to tell.

    Returns:
        Plain data: name, seed, path, finished, models, stages, table (the last stage table, None without one), headline,
        example (None if no stage has one), side_by_side (questions with every model's answer), ailments, watched (stages),
        shortfalls, decontamination, versions, recipe (TOML), command, seconds, dates, faults.
    """
    faults: list[str] = []
    stages = [_stage(run, config, faults) for config in run.recipe.stages]
    table = _table(run, faults)
    called = {column["model"]: column["label"] for column in table["columns"]} if table else {}
    stages = [{**stage, "called": called.get(stage["name"], "")} for stage in stages]
    facts: dict[str, Any] = {
        "name": run.recipe.name,
        "seed": run.recipe.seed,
        "path": str(run.path),
        "finished": all(stage["state"] == "finished" for stage in stages),
        "live": run.live,
        "models": [f"{name} is {m.path} ({m.dtype})" for name, m in run.recipe.all_models.items()],
        "stages": stages,
        "table": table,
        "table_notes": [] if table is None else list(notes(table)),
        "headline": _headline(table, stages),
        "example": _first(_example, run, faults),
        "side_by_side": [] if table is None else _side_by_side(run, table, faults),
        "ailments": [{"name": ailment.name, "meaning": ailment.meaning} for ailment in AILMENTS],
        "watched": [s["name"] for s in stages if s["watched"] and s["num_steps"]],
        "decontamination": _decontamination(stages),
        "versions": run.manifest.get("versions", {}),
        "recipe": dump_recipe(run.recipe),
        "command": f"dunwu run recipe.toml --run-dir runs/{run.recipe.name}-again",
        "seconds": sum(stage["seconds"] or 0 for stage in stages),
        "dates": _dates(run, faults),
        "embedded": sorted({m.path for m in run.recipe.all_models.values()} & {"micro", "nano"}),
        "faults": faults,
    }
    facts["shortfalls"] = shortfalls(facts)
    return facts


def _stage(run: RunFolder, config: Stage, faults: list[str]) -> dict[str, Any]:
    folder = run.stage(config.name)
    record = _tried(lambda: folder.read_record() if folder.finished else None, None, faults)
    metrics = _tried(folder.read_metrics, [], faults)
    evaluations = _tried(
        lambda: [e for label in folder.evaluation_labels() if (e := folder.read_evaluation(label))],
        [],
        faults,
    )
    timings = _tried(folder.read_timings, [], faults)
    seconds = (record or {}).get("wall_seconds")
    return {
        "name": config.name,
        "kind": config.kind,
        "words": STAGE_WORDS.get(config.kind, ""),
        "reads": upstream(config, run.recipe.stages),
        "state": "finished" if record else "not finished" if metrics or evaluations else "not begun",
        "num_steps": len(metrics),
        "wanted_steps": getattr(config, "num_steps", None),
        "seconds": seconds if seconds is not None else sum(t.get("wall_seconds", 0) for t in timings) or None,
        "evaluated": [] if isinstance(config, ComparisonStage) else evaluations,
        "record": record or {},
        "parameters": _tried(lambda: count_parameters(folder.model_path), None, faults) if record else None,
        "watched": isinstance(config, OnPolicyConfig),
        "sampled": _sampled(config),
        "draws": isinstance(config, OnPolicyConfig) and len(metrics) > 1,
        "diagnoses": _tried(folder.diagnoses, [], faults),
        "decontamination": _tried(folder.read_decontamination, {}, faults),
    }


def _table(run: RunFolder, faults: list[str]) -> dict[str, Any] | None:
    """The last stage table that is finished."""
    for config in reversed(run.recipe.stages):
        folder = run.stage(config.name)
        if isinstance(config, ComparisonStage) and _tried(partial(_finished, folder), False, faults):
            table = _tried(partial(_read_table, folder), None, faults)
            return None if table is None else _with_words({**table, "stage": config.name}, run)
    return None


def _with_words(table: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """The table with a few words for each column's model."""
    kinds = {stage.name: stage.kind for stage in run.recipe.stages}
    columns = [
        {**c, "words": ROLE_WORDS.get(c["role"]) or KIND_WORDS.get(kinds.get(c["model"], ""), "a model")}
        for c in table["columns"]
    ]
    return {**table, "columns": columns}


def _sampled(config: Stage) -> dict[str, Any]:
    """How a stage's own evaluation samples; nothing for stages that do not."""
    if not isinstance(config, OnPolicyConfig):
        return {}
    sampling = config.evaluation.sampling or config.sampling
    return {
        "temperature": sampling.temperature,
        "max_new_tokens": sampling.max_new_tokens,
        "answers": config.evaluation.samples_per_problem,
    }


def _finished(folder: StageFolder) -> bool:
    return folder.finished


def _read_table(folder: StageFolder) -> dict[str, Any]:
    return read_comparison(folder)[0]


def _headline(table: Mapping[str, Any] | None, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The one figure to tell first: right answers of the base model and of the chain's result, or before and after a stage."""
    if table is not None:
        roles = {column["role"]: index for index, column in enumerate(table["columns"]) if column["role"]}
        last = next((role for role in _ENDS if role in roles), None)
        row = next((row for row in table["rows"] if row["key"] == "accuracy"), None)
        if row and last and "base" in roles and row["cells"][roles["base"]] and row["cells"][roles[last]]:
            return {
                "before": row["cells"][roles["base"]],
                "after": row["cells"][roles[last]],
                "before_label": table["columns"][roles["base"]]["label"],
                "after_label": table["columns"][roles[last]]["label"],
                "before_words": f", {ROLE_WORDS['base']}",
                "after_words": ", the end of the chain",
                "also": _also(row, roles, last, table),
            }
    for stage in stages:
        found = [
            e for e in stage["evaluated"] if e.get("pass_at_1") is not None and e.get("pass_at_1_interval")
        ]
        if len(found) > 1:
            return {
                "before": _cell(found[0]),
                "after": _cell(found[-1]),
                "before_label": f"before {stage['name']}",
                "after_label": f"after step {found[-1]['step']} of {stage['name']}",
                "before_words": "",
                "after_words": "",
                "also": "",
            }
    return None


def _also(row: Mapping[str, Any], roles: Mapping[str, int], last: str, table: Mapping[str, Any]) -> str:
    """What reinforcement learning alone came to, so that the chain's end is not taken for its doing."""
    if last == "r1_zero" or "r1_zero" not in roles or row["cells"][roles["r1_zero"]] is None:
        return ""
    label, end = (table["columns"][roles[role]]["label"] for role in ("r1_zero", last))
    alone, whole = (row["cells"][roles[role]]["value"] for role in ("r1_zero", last))
    rows = [other for other in table["rows"] if other["key"] in _BESIDES]
    pairs = [(other["name"], *(other["cells"][roles[role]] for role in ("r1_zero", last))) for other in rows]
    besides = [
        f"{name} {zero['value']:.1%} and {result['value']:.1%}"
        for name, zero, result in pairs
        if zero and result
    ]
    told = f" What else the two came to, {label} first: {', '.join(besides)}." if besides else ""
    return f"The first stage alone, {label}, comes to {alone:.1%} right answers, {end} to {whole:.1%}.{told}"


def _cell(figures: Mapping[str, Any]) -> dict[str, Any]:
    low, high = figures["pass_at_1_interval"]
    return {
        "value": figures["pass_at_1"],
        "low": low,
        "high": high,
        "num_problems": figures.get("num_problems"),
    }


def _example(folder: StageFolder) -> dict[str, Any] | None:
    found = find_example(folder)
    if found is None:
        return None
    group, wrong, right = found
    return {
        "stage": folder.name,
        "question": group.prompt.problem.question.strip(),
        "reference": group.prompt.problem.reference,
        "before": _cut(wrong.text),
        "after": _cut(right.text),
    }


def _side_by_side(run: RunFolder, table: Mapping[str, Any], faults: list[str]) -> list[dict[str, Any]]:
    """One problem, and one everyday request if there are any, with the first answer of every model of the table."""
    config = next(stage for stage in run.recipe.stages if stage.name == table["stage"])
    assert isinstance(config, ComparisonStage)
    columns = table["columns"]
    roles = [column["role"] for column in columns]
    last = next((roles.index(role) for role in _ENDS if role in roles), len(roles) - 1)
    shown = []
    for suffix in ("", ".general") if table["num_general"] else ("",):
        labels = [name + suffix for name in config.file_names]
        read = partial(answers_side_by_side, run.stage(config.name), labels, last)
        found = _tried(read, None, faults)
        if found is not None:
            ends = {"first": columns[0]["label"], "last": columns[last]["label"]}
            shown.append({**ends, **_told(found, [c["label"] for c in columns], everyday=bool(suffix))})
    return shown


def _told(found: SideBySide, labels: Sequence[str], *, everyday: bool) -> dict[str, Any]:
    """A question and its answers as data; an everyday request has no right answer."""
    answers = [
        {
            "label": label,
            "text": _cut(rollout.text, MOST_CHARACTERS // 3),
            "right": None if everyday else rollout.reward.correct,
        }
        for label, rollout in zip(labels, found.answers, strict=True)
    ]
    return {
        "everyday": everyday,
        "chosen": found.chosen,
        "question": found.problem.question.strip(),
        "reference": "" if everyday else found.problem.reference,
        "answers": answers,
    }


def _first(read: Callable[[StageFolder], Any], run: RunFolder, faults: list[str]) -> Any:
    for config, folder in zip(run.recipe.stages, run.stages(), strict=True):
        if isinstance(config, OnPolicyConfig) and folder.path.is_dir():
            found = _tried(partial(read, folder), None, faults)
            if found is not None:
                return found
    return None


def _cut(text: str, most: int = MOST_CHARACTERS) -> str:
    text = text.strip()
    return text if len(text) <= most else text[:most] + " [...]"


def _decontamination(stages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    reports = [report for stage in stages for report in stage["decontamination"].values()]
    return {
        "samples": sum(report["samples"] for report in reports),
        "removed": sum(report["removed"] for report in reports),
    }


def _dates(run: RunFolder, faults: list[str]) -> tuple[str, str] | None:
    times = [event["time"] for event in _tried(run.read_events, [], faults) if "time" in event]
    return (times[0], times[-1]) if times else None


def _tried(read: Callable[[], Any], otherwise: Any, faults: list[str]) -> Any:
    try:
        return read()
    except RunError as error:
        if str(error) not in faults:
            faults.append(str(error))
        return otherwise
