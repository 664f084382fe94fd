"""One stage's beginning and end in a run folder: what it read, what it worked on, what it made and told about itself.

The part of the stage folder that every kind of stage has. Called by the pipeline; `pin` by the stages.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dunwu.errors import DunwuWarning, RunError
from dunwu.runs.files import canonical_json, write_file
from dunwu.runs.manifest import differences, installed_versions
from dunwu.runs.stage_manifest import StageManifest, find_damage, read_stage_manifest, write_stage_manifest
from dunwu.runs.wall_clock import RECORD_NAME

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder

DECONTAMINATION_NAME = "decontamination.json"


class PinError(RunError):
    """What a stage works on has changed since it began; `changes` names each difference."""

    def __init__(self, message: str, changes: Sequence[str]) -> None:
        super().__init__(message)
        self.changes = tuple(changes)


class StageLineage:
    """Reads a stage's manifest and record and, in a run that was opened for writing, writes them."""

    def __init__(self, run: "RunFolder", name: str) -> None:
        self.run = run
        self.name = name
        self.path = run.path / name

    @property
    def manifest(self) -> StageManifest | None:
        """What the stage read and made; None if it has not begun.

        Raises:
            RunError: it is damaged.
        """
        return read_stage_manifest(self.path)

    def begin(self, reads: Mapping[str, Any]) -> None:
        """Record what the stage reads, as plain data; nothing is written if it began before.

        Warns:
            DunwuWarning: it began with other package versions.
        """
        self.run.require_writable()
        manifest = self.manifest
        if manifest is None:
            write_stage_manifest(self.path, StageManifest(reads, {}, installed_versions()))
            self.run.log("stage begun", stage=self.name)
            return
        changed = differences(manifest.versions, installed_versions())
        if changed:
            warnings.warn(
                f"stage {self.name} is continued with other packages ({'; '.join(changed)}): it goes on, but no longer ends "
                "with the same bytes as one that kept them",
                DunwuWarning,
                stacklevel=2,
            )

    def pin(self, fingerprints: Mapping[str, str]) -> None:
        """Record fingerprints of what the stage works on, or compare them with those recorded before.

        Args:
            fingerprints: what it is, for example "task", to a hash of its content.
        Raises:
            RunError: one has changed; the message names each with both values. Or the stage has not begun.
        """
        self.run.require_writable()
        manifest = self.manifest
        if manifest is None:
            raise RunError(f"stage {self.name} has not begun, so that nothing can be pinned to it")
        compared = {name: value for name, value in fingerprints.items() if name in manifest.pinned}
        changed = differences(manifest.pinned, {**manifest.pinned, **compared})
        if changed:
            raise PinError(
                f"stage {self.name} in {self.run.path} was begun with other data:\n  "
                + "\n  ".join(changed)
                + "\n"
                "Put them back to continue it, or add --rerun-changed to set it aside and begin it anew",
                changed,
            )
        if not fingerprints.keys() <= manifest.pinned.keys():
            pinned = {**manifest.pinned, **fingerprints}
            write_stage_manifest(self.path, replace(manifest, pinned=pinned))

    def confirm(self, readings: Mapping[str, Any]) -> None:
        """Replace readings by others that were found to make no difference to the stage."""
        self.run.require_writable()
        manifest = self.manifest
        assert manifest is not None, "only a stage that has begun has readings"
        if any(manifest.reads.get(key) != value for key, value in readings.items()):
            write_stage_manifest(self.path, replace(manifest, reads={**manifest.reads, **readings}))

    def write_decontamination(self, report: Mapping[str, Any]) -> None:
        """Write which training samples were left out because an evaluation set holds them."""
        self.run.require_writable()
        text = canonical_json(report, f"decontamination of {self.name}", indent=2)
        write_file(self.path / DECONTAMINATION_NAME, text + "\n")

    def read_decontamination(self) -> dict[str, Any]:
        """Read that report, by the key of the configuration that the samples came from; empty if there is none.

        Raises:
            RunError: it is damaged.
        """
        path = self.path / DECONTAMINATION_NAME
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} is damaged ({error}); delete it, and the stage writes it again"
            ) from error

    def finish(self, record: Mapping[str, Any]) -> None:
        """Mark the stage as finished: write its record, and the hashes of all that it made.

        Args:
            record: its entry in summary.json; seconds under the key `wall_seconds` alone.
        """
        self.run.require_writable()
        manifest = self.manifest
        assert manifest is not None, "begin comes before finish"
        text = canonical_json(record, f"record of {self.name}", indent=2)
        write_file(self.path / RECORD_NAME, text + "\n")
        write_stage_manifest(self.path, manifest.finished_with(self.path))
        self.run.log("stage finished", stage=self.name)

    @property
    def finished(self) -> bool:
        """Whether the stage was marked as finished."""
        manifest = self.manifest
        return manifest is not None and manifest.made is not None

    def read_record(self) -> dict[str, Any]:
        """Read the record of a finished stage.

        Raises:
            RunError: it is damaged or not there.
        """
        path = self.path / RECORD_NAME
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} is damaged or missing ({error}); restore it from a copy, or add --rerun-changed to run stage "
                f"{self.name} again"
            ) from error

    def damage(self, *, thorough: bool = False, weigh_model: bool = False) -> list[str]:
        """List the outputs of a finished stage that are missing or have changed, each with its path and what is wrong.

        Args:
            thorough: hash the rollouts too, which are otherwise compared by size.
            weigh_model: compare the model by size only, too, where nothing is computed with it.
        """
        manifest = self.manifest
        made = manifest.made if manifest else None
        if not made:
            return []
        return find_damage(self.path, made, thorough=thorough, weigh_model=weigh_model)
