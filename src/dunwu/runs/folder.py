"""The run folder: the only writer and the only reader of a run's files.

    RUN/recipe.toml     the resolved recipe, every default written out
    RUN/manifest.json   what marks a run folder, and the package versions it was started with
    RUN/events.jsonl    started, resumed, interrupted, failed, finished, with wall-clock times
    RUN/summary.json    the records of the finished stages
    RUN/<stage>/        see stage_folder.py; what it read and made is in its own manifest.json
    RUN/<stage>.replaced-1/   a stage that was set aside and run again

It does not know what a stage computes. Called by pipeline, stages and the command line.
"""

import json
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from dunwu.config.dump import dump_recipe, plain
from dunwu.config.recipe import Recipe
from dunwu.errors import DiskError, RunError
from dunwu.runs.aside import aside_folders, is_aside
from dunwu.runs.disk import disk_faults
from dunwu.runs.files import TEMPORARY_PREFIX, canonical_json, remove_leftovers, write_file
from dunwu.runs.jsonl import append_line, cut_torn_line, read_lines
from dunwu.runs.lock import LOCK_NAME, FolderLock, is_locked
from dunwu.runs.manifest import differences, installed_versions, new_manifest, read_manifest, write_manifest
from dunwu.runs.stage_folder import StageFolder
from dunwu.runs.stage_manifest import MANIFEST_NAME

_RECIPE, _MANIFEST, _EVENTS, _SUMMARY = "recipe.toml", "manifest.json", "events.jsonl", "summary.json"


class RunFolder:
    """One run on disk. Open it for writing with `open`, as a context manager; read it with `read`."""

    def __init__(self, path: Path, recipe: Recipe, manifest: dict[str, Any], lock: FolderLock | None) -> None:
        self.path = path
        self.recipe = recipe
        self.manifest = manifest
        self._lock = lock

    @classmethod
    def open(cls, path: Path, recipe: Recipe) -> Self:
        """Create the run folder at `path`, or continue the one that is there.

        What a killed process left half-written is removed. Whether the recipe fits what the folder holds is for the caller
        to find out, who then calls `adopt_recipe`.

        Raises:
            RunError: another process writes it; it is not empty and not a run folder; a file in it is damaged.
            DiskError: it cannot be made or written.
        """
        continues = continues_run(path)
        with disk_faults(path):
            path.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(path)
        try:
            remove_leftovers(path)
            cut_torn_line(path / _EVENTS)
            if continues:
                manifest = read_manifest(path / _MANIFEST)
                _read_recipe(path)
            else:
                manifest = new_manifest(installed_versions())
                write_file(path / _RECIPE, dump_recipe(recipe))
                write_manifest(path / _MANIFEST, manifest)
            run = cls(path, recipe, manifest, lock)
            for stage in run.stages():
                stage.clean()
            run.log("resumed" if continues else "started", versions=installed_versions())
        except BaseException:
            lock.release()
            raise
        return run

    @classmethod
    def read(cls, path: Path, recipe: Recipe | None = None) -> Self:
        """Open an existing run folder for reading only; it may be running.

        Args:
            recipe: look at the folder as one of this recipe, as `open` would; None: its own.
        Raises:
            RunError: there is no run folder, or a file in it is damaged.
        """
        if not (path / _MANIFEST).exists():
            raise RunError(
                f"{path} is not a run folder: it has no {_MANIFEST}; give the folder that `dunwu run` printed"
            )
        if not (path / _RECIPE).exists() and is_run_folder(path.absolute().parent):
            raise RunError(f"{path} is the folder of a stage; give that of its run, {path.absolute().parent}")
        return cls(path, recipe or _read_recipe(path), read_manifest(path / _MANIFEST), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(DiskError):  # what ended the run is told, not that a full disk cannot log it
            if isinstance(error, KeyboardInterrupt):
                self.log("interrupted")
            elif error is not None:
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

    def adopt_recipe(self) -> None:
        """Let recipe.toml hold the recipe with which the folder was opened; the log keeps what changed."""
        self.require_writable()
        changed = differences(plain(_read_recipe(self.path)), plain(self.recipe))
        if changed:
            write_file(self.path / _RECIPE, dump_recipe(self.recipe))
            self.log("recipe changed", changes=changed)

    @property
    def live(self) -> bool:
        """Whether a process is writing the folder now."""
        return self._lock is not None or is_locked(self.path)

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

    def aside(self) -> list[Path]:
        """List the folders of stages that were set aside."""
        return aside_folders(self.path)

    def strays(self) -> list[Path]:
        """List the folders of stages that the recipe does not have any more."""
        names = {stage.name for stage in self.recipe.stages}
        found = (path for path in self.path.iterdir() if (path / MANIFEST_NAME).is_file())
        return sorted(path for path in found if path.name not in names and not is_aside(path.name))

    def write_summary(self) -> None:
        """Bring summary.json up to the finished stages' records, in the recipe's order.

        Raises:
            RunError: a record is damaged.
        """
        self.require_writable()
        records = [stage.read_record() for stage in self.stages() if stage.finished]
        text = canonical_json({"stages": records}, "summary", indent=2) + "\n"
        path = self.path / _SUMMARY
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_file(path, text)

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
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path} is damaged ({error!r}); delete it, and the same command writes it again"
            ) from error

    def check_summary(self) -> None:
        """Verify that summary.json says what the stages that it names recorded.

        Raises:
            RunError: it does not, or is damaged.
        """
        finished = {stage.name: stage for stage in self.stages() if stage.finished}
        for record in self.read_summary():
            stage = finished.get(record.get("name", ""))
            if stage is not None and stage.read_record() != record:
                raise RunError(
                    f"{self.path / _SUMMARY} has changed: it does not say what stage {stage.name} recorded; delete it, and the "
                    "same command writes it again"
                )


def is_run_folder(path: Path) -> bool:
    """Whether there is a run folder at `path`."""
    return (path / _MANIFEST).is_file() and (path / _RECIPE).is_file()


def continues_run(path: Path) -> bool:
    """Say whether a run at `path` would continue one (True) or start anew (False), without writing anything.

    Raises:
        RunError: `path` holds something that is no run folder.
    """
    if (path / _MANIFEST).exists():
        return True
    own = {LOCK_NAME, _RECIPE, _EVENTS}  # a run killed before its first second has no more than these
    strangers = sorted(p.name for p in path.iterdir() if p.name not in own) if path.is_dir() else []
    strangers = [name for name in strangers if not name.startswith(TEMPORARY_PREFIX)]
    if strangers or (path.exists() and not path.is_dir()):
        raise RunError(
            f"{path} exists and is not a run folder (it holds {', '.join(strangers[:5]) or 'a file'}); "
            "choose another --run-dir"
        )
    return False


def _read_recipe(path: Path) -> Recipe:
    try:
        return Recipe.model_validate(tomllib.loads((path / _RECIPE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RunError(
            f"{path / _RECIPE} is missing; restore it from a copy, or start a new run folder"
        ) from None
    except OSError as error:
        raise RunError(
            f"{path / _RECIPE} is damaged ({error}); restore it from a copy, or start a new run folder"
        ) from error
    except (ValidationError, ValueError) as error:
        raise RunError(
            f"{path / _RECIPE} cannot be read by this version of dunwu ({error}); use the version that "
            f"{path / _MANIFEST} names, or start a new run folder"
        ) from error
