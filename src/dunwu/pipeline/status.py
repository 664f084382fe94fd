"""How a run stands, from its folder alone, also while it is running: states, steps, time left, sizes, and what to do next.

Writes nothing. Called by `dunwu status`.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dunwu.functional.diagnosis.watch import Diagnosis
from dunwu.pipeline.plan import Link, plan_chain
from dunwu.pipeline.selection import Selection
from dunwu.runs.files import folder_bytes
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import CACHE_NAME, HashCache
from dunwu.runs.stage_folder import StageFolder

Situation = Literal[
    "waiting", "running", "stopped", "failed", "finished", "changed", "follows a changed stage"
]
_RECENT_STEPS = 32  # for the pace: enough to even out rollouts that serve several steps


@dataclass(frozen=True)
class StageStatus:
    """One stage.

    Args:
        changes: why what is there no longer holds.
        follows: stages it reads that will be made anew; only then it shows whether what is there still holds.
        num_steps: None where the stage has not said yet how many it has.
        seconds_left: of its steps at the present pace, evaluations not counted; None: not running, or no pace yet.
        figures: of the last step; of the stage's record once it is finished.
        checkpoint_steps: of the checkpoints on disk.
        removed: by the key they came from, how many training samples decontamination left out, of how many.
        best_step: of the checkpoint with the best held-out figure, where that was to be kept.
        warnings: what the stage warned of at its evaluations, a sentence each.
    """

    name: str
    kind: str
    situation: Situation
    changes: tuple[str, ...]
    steps: int
    num_steps: int | None
    seconds_left: float | None
    figures: Mapping[str, Any]
    num_bytes: int
    checkpoint_bytes: int
    checkpoint_steps: tuple[int, ...]
    best_step: int | None
    removed: Mapping[str, tuple[int, int]]
    warnings: tuple[str, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    follows: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunStatus:
    """A run.

    Args:
        live: whether a process is writing it now.
        failure: with what the last process failed, if the last one failed.
        aside: the bytes of each folder that was set aside.
        strays: the bytes of each stage's folder that the recipe does not have any more.
        next_action: a command, or a sentence.
    """

    name: str
    path: Path
    live: bool
    failure: str | None
    stages: tuple[StageStatus, ...]
    aside: Mapping[str, int]
    strays: Mapping[str, int]
    num_bytes: int
    next_action: str


def run_status(path: Path, *, verify: bool = False) -> RunStatus:
    """Look at a run.

    Args:
        verify: hash everything that finished stages made.
    Raises:
        RunError: there is no run folder, or a file in it is damaged.
    """
    run = RunFolder.read(path)
    live = run.live
    events = run.read_events()
    failed = not live and bool(events) and events[-1]["event"] == "failed"
    links = plan_chain(
        run, Selection(), HashCache(path / CACHE_NAME), outputs="check all" if verify else "trust"
    )
    begun = (
        event["stage"] for event in reversed(events) if event["event"] in ("stage begun", "stage started")
    )
    current = next(begun, None)
    stages = tuple(
        _stage_status(run, link, events, live=live, failed=failed, current=current) for link in links
    )
    return RunStatus(
        name=run.recipe.name,
        path=path,
        live=live,
        failure=events[-1]["error"] if failed else None,
        stages=stages,
        aside={folder.name: folder_bytes(folder) for folder in run.aside()},
        strays={folder.name: folder_bytes(folder) for folder in run.strays()},
        num_bytes=folder_bytes(path),
        next_action=_next_action(path, stages, live=live),
    )


def _stage_status(
    run: RunFolder,
    link: Link,
    events: Sequence[Mapping[str, Any]],
    *,
    live: bool,
    failed: bool,
    current: str | None,
) -> StageStatus:
    folder = run.stage(link.name)
    metrics = folder.read_metrics()
    steps = len(metrics)
    num_steps = _num_steps(link, events)
    running = live and link.state == "begun" and link.name == current
    best = folder.best_checkpoint()
    finished = link.state == "finished" and not link.damage
    return StageStatus(
        name=link.name,
        kind=link.stage.kind,
        situation=_situation(link, running=running, failed=failed and link.name == current),
        changes=link.reasons,
        steps=steps,
        num_steps=num_steps,
        seconds_left=_seconds_left(folder, steps, num_steps) if running else None,
        figures=folder.read_record() if finished else (metrics[-1] if metrics else {}),
        num_bytes=folder_bytes(folder.path),
        checkpoint_bytes=folder_bytes(folder.checkpoints_path),
        checkpoint_steps=tuple(folder.checkpoint_steps()),
        best_step=best[0].step if best is not None and _keeps_best(link) else None,
        removed={
            key: (report["removed"], report["samples"])
            for key, report in folder.read_decontamination().items()
        },
        warnings=tuple(str(note["text"]) for note in folder.reward_hacking_notes()),
        diagnoses=tuple(folder.diagnoses()),
        follows=link.follows,
    )


def _situation(link: Link, *, running: bool, failed: bool) -> Situation:
    if link.state == "waiting":
        return "waiting"
    if running:
        return "running"
    if link.reasons:
        return "changed"
    if link.state == "finished":
        return "follows a changed stage" if link.follows else "finished"
    return "failed" if failed else "stopped"


def _num_steps(link: Link, events: Sequence[Mapping[str, Any]]) -> int | None:
    """What the stage said when it last started; before that what the recipe says, if it does."""
    for event in reversed(events):
        if event.get("stage") == link.name:
            if event["event"] == "stage started":
                return int(event["num_steps"])
            if event["event"] in ("stage begun", "stage set aside"):
                break
    return getattr(link.stage, "num_steps", None)


def _seconds_left(folder: StageFolder, steps: int, num_steps: int | None) -> float | None:
    seconds = [record["wall_seconds"] for record in folder.read_timings()[-_RECENT_STEPS:]]
    if num_steps is None or not seconds:
        return None
    return sum(seconds) / len(seconds) * max(num_steps - steps, 0)


def _keeps_best(link: Link) -> bool:
    checkpoint = getattr(link.stage, "checkpoint", None)
    return checkpoint is not None and checkpoint.keep_best


def _next_action(path: Path, stages: Sequence[StageStatus], *, live: bool) -> str:
    folder = shlex.quote(str(path))
    again = f"dunwu run {shlex.quote(str(path / 'recipe.toml'))} --run-dir {folder}"
    if live:
        return f"it is running; see its rollouts with: dunwu show {folder}"
    if any(stage.situation == "changed" for stage in stages):
        return f"run what has changed again: {again} --rerun-changed"
    if any(stage.situation != "finished" for stage in stages):
        return f"go on: {again}"
    return f"everything is finished; see it with: dunwu show {folder}"
