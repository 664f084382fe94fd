"""The run folder: the only writer and the only reader of a run's files.

    RUN/recipe.toml     the resolved recipe, every default written out
    RUN/manifest.json   package versions, fingerprints of model and data, what each stage read and made
    RUN/events.jsonl    started, resumed, failed, finished, with wall-clock times
    RUN/summary.json    before and after of each stage
    RUN/<stage>/        see stage_folder.py

It does not know what a stage computes. Called by pipeline, stages and the command line.
"""

import json
import time
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from dunwu.config.dump import dump_recipe, plain
from dunwu.config.recipe import Recipe
from dunwu.errors import DunwuWarning, RunError
from dunwu.runs.files import TEMPORARY_PREFIX, canonical_json, remove_leftovers, write_file
from dunwu.runs.jsonl import append_line, cut_torn_line, read_lines
from dunwu.runs.lock import LOCK_NAME, FolderLock
from dunwu.runs.manifest import differences, installed_versions, new_manifest, read_manifest, write_manifest
from dunwu.runs.stage_folder import StageFolder

_RECIPE, _MANIFEST, _EVENTS, _SUMMARY = "recipe.toml", "manifest.json", "events.jsonl", "summary.json"


class RunFolder:
    """One run on disk. Open it for writing with `open`, as a context manager; read it with `read`."""

    def __init__(self, path: Path, recipe: Recipe, manifest: dict[str, Any], lock: FolderLock | None) -> None:
        self.path = path
        self.recipe = recipe
        self.manifest = manifest
        self._lock = lock

    @classmethod
    def open(cls, path: Path, recipe: Recipe, *, fingerprints: Mapping[str, str] | None = None) -> Self:
        """Create the run folder at `path`, or continue the one that is there.

        What a killed process left half-written is removed. Package versions that changed give a
        `DunwuWarning`.

        Args:
            fingerprints: of the model and data that the run reads, see `pin`.
        Raises:
            RunError: another process writes it; it was started with another recipe, model or data; it is not
                empty and not a run folder; a file in it is damaged.
        """
        continues = ensure_continues(path, recipe)
        path.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(path)
        try:
            remove_leftovers(path)
            cut_torn_line(path / _EVENTS)
            if continues:
                manifest = read_manifest(path / _MANIFEST)
                _warn_of_versions(path, manifest["versions"])
            else:
                manifest = new_manifest(installed_versions())
                write_file(path / _RECIPE, dump_recipe(recipe))
                write_manifest(path / _MANIFEST, manifest)
            run = cls(path, recipe, manifest, lock)
            for stage in run.stages():
                stage.clean()
            run.pin(fingerprints or {})
            run.log("resumed" if continues else "started", versions=installed_versions())
        except BaseException:
            lock.release()
            raise
        return run

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open an existing run folder for reading only; it may be running.

        Raises:
            RunError: there is no run folder, or a file in it is damaged.
        """
        if not is_run_folder(path):
            raise RunError(
                f"{path} is not a run folder: it has no {_MANIFEST}; give the folder that `dunwu run` printed"
            )
        return cls(path, _read_recipe(path), read_manifest(path / _MANIFEST), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.log("failed", error=f"{type(error).__name__}: {error}")
        self.close()

    def close(self) -> None:
        """Let other processes write the folder; afterwards this object only reads."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def require_writable(self) -> None:
        """Raise RunError if the folder was opened for reading only, or closed."""
        if self._lock is None:
            raise RunError(
                f"{self.path} was opened for reading only; open it with RunFolder.open to write it"
            )

    def pin(self, fingerprints: Mapping[str, str]) -> None:
        """Record fingerprints of what the run reads, or compare them with those recorded before.

        Args:
            fingerprints: what it is ("model", "r1_zero.task") to a hash of its content, see
                `files.fingerprint`.
        Raises:
            RunError: one has changed; the message names each with both values.
        """
        self.require_writable()
        recorded = self.manifest["fingerprints"]
        compared = {name: value for name, value in fingerprints.items() if name in recorded}
        changed = differences(recorded, {**recorded, **compared})
        if changed:
            raise RunError(
                f"{self.path} was started with other data or another model:\n  " + "\n  ".join(changed) + "\n"
                "Put them back to continue this run, or start a new one with another --run-dir"
            )
        if not fingerprints.keys() <= recorded.keys():
            self._write_manifest({**self.manifest, "fingerprints": {**recorded, **fingerprints}})

    def record_stage(self, name: str, record: Mapping[str, Any]) -> None:
        """Put a finished stage's inputs and outputs into the manifest."""
        self._write_manifest({**self.manifest, "stages": {**self.manifest["stages"], name: dict(record)}})

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        self.require_writable()
        write_manifest(self.path / _MANIFEST, manifest)
        self.manifest = manifest

    def log(self, event: str, **details: Any) -> None:
        """Append to the wall-clock log, which is the one file that tells a killed run from one never
        killed."""
        self.require_writable()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        append_line(self.path / _EVENTS, {"time": now, "event": event, **details}, f"event {event}")

    def read_events(self) -> list[dict[str, Any]]:
        """Read the wall-clock log, oldest first."""
        return read_lines(self.path / _EVENTS)

    def stage(self, name: str) -> StageFolder:
        """Return the folder of one of the recipe's stages.

        Raises:
            RunError: the recipe has no such stage.
        """
        names = [stage.name for stage in self.recipe.stages]
        if name not in names:
            raise RunError(f"the run {self.path} has no stage {name!r}; its stages are {', '.join(names)}")
        return StageFolder(self, name)

    def stages(self) -> list[StageFolder]:
        """Return the folders of all stages in the recipe's order, whether begun or not."""
        return [StageFolder(self, stage.name) for stage in self.recipe.stages]

    def write_summary(self, stages: Sequence[Mapping[str, Any]]) -> None:
        """Replace summary.json: one record per finished stage, in order."""
        self.require_writable()
        text = canonical_json({"stages": list(stages)}, "summary", indent=2)
        write_file(self.path / _SUMMARY, text + "\n")

    def read_summary(self) -> list[dict[str, Any]]:
        """Read the records of the finished stages; none before the first stage has finished.

        Raises:
            RunError: the file is damaged.
        """
        path = self.path / _SUMMARY
        if not path.exists():
            return []
        try:
            return list(json.loads(path.read_text(encoding="utf-8"))["stages"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path} is damaged ({error!r}); delete it, and the same command writes it again"
            ) from error


def is_run_folder(path: Path) -> bool:
    """Whether there is a run folder at `path`."""
    return (path / _MANIFEST).is_file() and (path / _RECIPE).is_file()


def ensure_continues(path: Path, recipe: Recipe) -> bool:
    """Say whether a run at `path` would continue one (True) or start anew (False), without writing anything.

    Raises:
        RunError: `path` holds a run of another recipe, or something that is no run folder.
    """
    if not (path / _MANIFEST).exists():
        own = {LOCK_NAME, _RECIPE, _EVENTS}  # a run killed before its first second has no more than these
        strangers = sorted(p.name for p in path.iterdir() if p.name not in own) if path.is_dir() else []
        strangers = [name for name in strangers if not name.startswith(TEMPORARY_PREFIX)]
        if strangers or (path.exists() and not path.is_dir()):
            raise RunError(
                f"{path} exists and is not a run folder (it holds {', '.join(strangers[:5]) or 'a file'}); "
                "choose another --run-dir"
            )
        return False
    changed = differences(plain(_read_recipe(path)), plain(recipe))
    if changed:
        raise RunError(
            f"{path} was started with another recipe:\n  " + "\n  ".join(changed) + "\n"
            f"Undo the change to continue this run (its own recipe is {path / _RECIPE}), or start a new one "
            "with another --run-dir"
        )
    return True


def _read_recipe(path: Path) -> Recipe:
    try:
        return Recipe.model_validate(tomllib.loads((path / _RECIPE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RunError(
            f"{path / _RECIPE} is missing; restore it from a copy, or start a new run folder"
        ) from None
    except (ValidationError, ValueError) as error:
        raise RunError(
            f"{path / _RECIPE} cannot be read by this version of dunwu ({error}); use the version that "
            f"{path / _MANIFEST} names, or start a new run folder"
        ) from error


def _warn_of_versions(path: Path, recorded: Mapping[str, str]) -> None:
    changed = differences(recorded, installed_versions())
    if changed:
        warnings.warn(
            f"{path} is continued with other packages ({'; '.join(changed)}): the run goes on, but no longer "
            "ends with the same bytes as one that kept them",
            DunwuWarning,
            stacklevel=3,
        )
