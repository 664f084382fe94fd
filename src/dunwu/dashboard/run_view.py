"""How a run stands, from its folder alone: what is whole is shown, what is damaged is said, nothing is raised.

`pipeline.status` answers the same for the command line, strictly and with what running would do; this one is asked every other
second, by pages that must open whatever the folder holds. Called by the routes.
"""

import json
import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dunwu.config.chain import upstream
from dunwu.config.recipe import Recipe
from dunwu.dashboard.headlines import headlines, spark
from dunwu.runs.aside import is_aside
from dunwu.runs.jsonl_tail import JsonlTail
from dunwu.runs.lock import is_locked

_RECENT_STEPS = 32


class RunView:
    """Reads one run folder, again and again; what has not changed is not read twice. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._tails: dict[Path, JsonlTail] = {}
        self._made: dict[tuple[str, ...], tuple[Any, Any]] = {}
        self._files: dict[Path, tuple[tuple[int, int, int], Any, str | None]] = {}

    def tail(self, *parts: str, shallow: bool = False) -> JsonlTail:
        """Return a file of lines of the folder, read up to now; `shallow`: see `JsonlTail`."""
        path = self.path.joinpath(*parts)
        with self.lock:
            tail = self._tails.setdefault(path, JsonlTail(path, shallow=shallow))
            tail.update()
            return tail

    def json(self, *parts: str) -> tuple[Any, str | None]:
        """Return a JSON or TOML file's content and what is wrong with it; None and None if it is not there."""
        path = self.path.joinpath(*parts)
        try:
            facts = path.stat()
        except OSError:
            return None, None
        key = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        with self.lock:
            known = self._files.get(path)
            if known is None or known[0] != key:
                known = (key, *_parse(path))
                self._files[path] = known
            return known[1], known[2]

    def remembered(self, name: tuple[str, ...], key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` made when `key` was last the same; made anew when it is another."""
        with self.lock:
            known = self._made.get(name)
            if known is None or known[0] != key:
                known = self._made[name] = (key, make())
            return known[1]

    def recipe(self) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
        """Return the recipe as plain tables, its stages as {name, kind, reads, start}, and what is wrong."""
        data, fault = self.json("recipe.toml")
        if not isinstance(data, dict):
            missing = f"{self.path / 'recipe.toml'} is missing; stages are listed as their folders are found"
            return {}, self._stages_on_disk(), [fault or missing]
        tables = data.get("stages")
        tables = [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []
        try:
            stages = Recipe.model_validate(data).stages
        except (ValidationError, ValueError) as error:
            first = str(error).splitlines()
            faults = [
                f"{self.path / 'recipe.toml'} is not a recipe of this version of dunwu: {' '.join(first[:3])}"
            ]
            named = [
                {"name": str(t.get("name") or t.get("kind")), "kind": str(t.get("kind")), "reads": []}
                for t in tables
            ]
            return data, named, faults
        return (
            data,
            [
                {
                    "name": stage.name,
                    "kind": stage.kind,
                    "reads": upstream(stage, stages),
                    "start": getattr(stage, "start", None),
                }
                for stage in stages
            ],
            [],
        )

    def overview(self) -> dict[str, Any]:
        """Say how the run and each of its stages stands."""
        recipe, stages, faults = self.recipe()
        events = self.tail("events.jsonl")
        manifest, manifest_fault = self.json("manifest.json")
        faults += events.faults()
        if manifest_fault:
            faults.append(manifest_fault)
        elif manifest is None:
            faults.append(
                f"{self.path / 'manifest.json'} is missing; a run killed in its first second has none yet"
            )
        live = is_locked(self.path)
        records = events.records
        failed = not live and bool(records) and records[-1].get("event") == "failed"
        current = next((e.get("stage") for e in reversed(records) if e.get("event") in _BEGINS), None)
        views = [self._stage(stage, records, live, failed, current, faults) for stage in stages]
        return {
            "title": str(recipe.get("name", self.path.name)),
            "path": str(self.path),
            "seed": recipe.get("seed"),
            "live": live,
            "state": _run_state(views, live, failed, faults),
            "failure": str(records[-1].get("error", "")) if failed else None,
            "started": _first(records, "time"),
            "updated": _first(reversed(records), "time"),
            "versions": manifest.get("versions", {}) if isinstance(manifest, dict) else {},
            "stages": views,
            "faults": faults,
        }

    def _stage(
        self,
        stage: Mapping[str, Any],
        events: Sequence[Mapping[str, Any]],
        live: bool,
        failed: bool,
        current: str | None,
        faults: list[str],
    ) -> dict[str, Any]:
        name = stage["name"]
        manifest, fault = self.json(name, "manifest.json")
        metrics, timings = self.tail(name, "metrics.jsonl"), self.tail(name, "timings.jsonl", shallow=True)
        record, record_fault = self.json(name, "record.json")
        faults += [f for f in (fault, record_fault) if f] + metrics.faults() + timings.faults()
        steps = len(metrics.records)
        begun = isinstance(manifest, dict) or steps > 0
        finished = isinstance(manifest, dict) and manifest.get("made") is not None
        state = "waiting"
        if fault:
            state = "damaged"
        elif finished:
            state = "finished"
        elif begun:
            state = (
                ("running" if live else "failed" if failed else "stopped") if name == current else "stopped"
            )
        num_steps = _num_steps(name, events, self)
        pace = _pace(timings.records)
        left = None
        if state == "running" and num_steps is not None and pace is not None:
            left = pace * max(num_steps - steps, 0)
        return {
            **stage,
            "state": state,
            "steps": steps,
            "num_steps": num_steps if num_steps is not None else (steps if finished else None),
            "seconds_per_step": pace,
            "seconds_left": left,
            "seconds": record.get("wall_seconds") if isinstance(record, dict) else None,
            "started": _stage_time(events, name, _BEGINS),
            "finished": _stage_time(events, name, ("stage finished",)),
            "headlines": headlines(
                record if finished and isinstance(record, dict) else None,
                metrics.records[-1] if metrics.records else None,
            ),
            "spark": self.remembered((name, "spark"), (metrics.epoch, steps), lambda: spark(metrics.records)),
            "has_rollouts": (self.path / name / "rollouts").is_dir(),
            "has_table": (self.path / name / "comparison.json").is_file(),
        }

    def _stages_on_disk(self) -> list[dict[str, Any]]:
        try:
            folders = sorted(self.path.iterdir())
        except OSError:
            return []
        return [
            {"name": folder.name, "kind": "unknown", "reads": []}
            for folder in folders
            if folder.is_dir() and not is_aside(folder.name) and (folder / "metrics.jsonl").is_file()
        ]


_BEGINS = ("stage begun", "stage started")


def _parse(path: Path) -> tuple[Any, str | None]:
    try:
        text = path.read_text(encoding="utf-8")
        return (tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)), None
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, RecursionError) as error:
        return None, f"{path} cannot be read: {error}"


def _run_state(stages: Sequence[Mapping[str, Any]], live: bool, failed: bool, faults: Sequence[str]) -> str:
    if live:
        return "running"
    if failed:
        return "failed"
    if stages and all(stage["state"] == "finished" for stage in stages):
        return "finished"
    if faults:
        return "damaged"
    return "waiting" if all(stage["state"] == "waiting" for stage in stages) else "stopped"


def _num_steps(name: str, events: Sequence[Mapping[str, Any]], view: RunView) -> int | None:
    """What the stage said when it last started; before that what the recipe says, if it does."""
    for event in reversed(events):
        if event.get("stage") == name and event.get("event") == "stage started":
            return _whole(event.get("num_steps"))
        if event.get("stage") == name and event.get("event") in ("stage begun", "stage set aside"):
            break
    data, _ = view.json("recipe.toml")
    tables = data.get("stages", []) if isinstance(data, dict) else []
    for table in tables if isinstance(tables, list) else []:
        if isinstance(table, dict) and (table.get("name") or table.get("kind")) == name:
            return _whole(table.get("num_steps"))
    return None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _pace(timings: Sequence[Mapping[str, Any]]) -> float | None:
    seconds = [
        r["wall_seconds"] for r in timings[-_RECENT_STEPS:] if isinstance(r.get("wall_seconds"), int | float)
    ]
    return sum(seconds) / len(seconds) if seconds else None


def _first(records: Any, key: str) -> Any:
    return next((record[key] for record in records if key in record), None)


def _stage_time(events: Sequence[Mapping[str, Any]], name: str, kinds: Sequence[str]) -> Any:
    found = (e.get("time") for e in reversed(events) if e.get("stage") == name and e.get("event") in kinds)
    return next(found, None)
