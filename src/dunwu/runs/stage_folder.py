"""One stage's part of a run folder: metrics, timings, rollouts, checkpoints, evaluations and the final model.

Everything but `timings.jsonl` holds deterministic figures only: a stage that is killed and goes on after
`rewind` ends with the same bytes as one that was never killed. Made by `RunFolder.stage`; called by training,
evaluation and stages, and by whatever shows a run.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunwu.errors import DunwuWarning, RunError
from dunwu.functional.diagnosis.watch import Diagnosis, Watch, diagnoses_of
from dunwu.records import RolloutGroup
from dunwu.runs import checkpoints, evaluations
from dunwu.runs.checkpoints import Checkpoint
from dunwu.runs.files import remove, sync, write_file, write_file_with, write_folder
from dunwu.runs.jsonl import append_line, keep_lines, read_lines
from dunwu.runs.rollout_table import StoredRollouts, read_facts, read_table, write_table
from dunwu.runs.stage_lineage import StageLineage
from dunwu.runs.stage_manifest import DATA_FOLDER

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder

_DATA_SUFFIXES = (".jsonl", ".parquet")


class StageFolder(StageLineage):
    """Reads one stage's files and, in a run that was opened for writing, writes them."""

    def __init__(self, run: "RunFolder", name: str) -> None:
        super().__init__(run, name)
        self._metrics = self.path / "metrics.jsonl"
        self._timings = self.path / "timings.jsonl"
        self._diagnosis = self.path / "diagnosis.jsonl"
        self._rollouts = self.path / "rollouts"
        self.checkpoints_path = self.path / "checkpoints"
        self._evaluations = self.path / "evaluation"
        self._last_step: int | None = None

    # Steps

    def append_metrics(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Add the deterministic figures of one step; steps are written in order, from 1.

        Raises:
            ValueError: `step` does not follow the last step written (a stage that goes on must `rewind`
                first).
            NonFiniteError: a figure is NaN or infinite.
        """
        self.run.require_writable()
        if self._last_step is None:
            self._last_step = max((record["step"] for record in self.read_metrics()), default=0)
        if step != self._last_step + 1:
            raise ValueError(
                f"step {step} cannot follow step {self._last_step} in {self._metrics}; rewind the stage first"
            )
        append_line(self._metrics, {**metrics, "step": step}, f"metrics of step {step}")
        self._last_step = step

    def append_timings(self, step: int, timings: Mapping[str, Any]) -> None:
        """Add the figures of one step that differ from run to run: seconds, tokens per second, memory."""
        self.run.require_writable()
        append_line(self._timings, {**timings, "step": step}, f"timings of step {step}")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read one mapping per step, in order, each with its `step`."""
        return read_lines(self._metrics)

    def read_timings(self) -> list[dict[str, Any]]:
        """Read one mapping per step, in order, each with its `step`."""
        return read_lines(self._timings)

    # Diagnosis

    def note_diagnosis(self, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Add what a watch says after a step (`functional.diagnosis.watch`) and return what was not there yet."""
        self.run.require_writable()
        if not self._diagnosis.exists():
            write_file(self._diagnosis, "")  # an empty record says that the stage was watched
        known = read_lines(self._diagnosis) if records else []
        new = [record for record in records if record not in known]
        for record in new:
            append_line(self._diagnosis, record, f"diagnosis after step {record['step']}")
        return new

    def diagnoses(self) -> list[Diagnosis]:
        """Return the ailments that were named while the stage ran; of a stage that has no record of them, those that its
        figures show now.

        Raises:
            RunError: a file is damaged.
        """
        if self._diagnosis.exists():
            return self._recorded_diagnoses()
        metrics = self.read_metrics()
        if not metrics or "rollout" not in metrics[0]:
            return []  # only stages that learn from their own completions are watched
        records = evaluations.read_evaluations(self._evaluations).values()
        return diagnoses_of(Watch().replay(metrics, records))

    def _recorded_diagnoses(self) -> list[Diagnosis]:
        try:
            return diagnoses_of(read_lines(self._diagnosis))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"{self._diagnosis} is damaged ({error!r}); delete it, and what it held is found again from the metrics"
            ) from error

    # Rollouts

    def write_rollouts(
        self,
        index: int,
        groups: Sequence[RolloutGroup],
        *,
        first_step: int,
        last_step: int,
        dropped: Sequence[RolloutGroup] = (),
    ) -> None:
        """Write the stage's rollout number `index` (from 1), on which the steps first_step..last_step train.

        `dropped` are groups that were sampled but replaced before training; they are kept beside the others.
        """
        self.run.require_writable()
        stored = StoredRollouts(index, first_step, last_step, tuple(groups), tuple(dropped))
        write_file_with(self._rollout_path(index), lambda path: write_table(path, stored))

    def rollout_indices(self) -> list[int]:
        """List the rollouts on disk."""
        return sorted(int(path.stem.rpartition("-")[2]) for path in self._rollouts.glob("rollout-*.parquet"))

    def rollout_index_of_step(self, step: int) -> int | None:
        """Return the rollout on which `step` trained, None if it is not on disk."""
        for index in self.rollout_indices():
            facts = read_facts(self._rollout_path(index))
            if facts["first_step"] <= step <= facts["last_step"]:
                return index
        return None

    def read_rollouts(self, index: int) -> StoredRollouts:
        """Read a rollout as it was written, token ids, log-probs and advantages included.

        Raises:
            RunError: it is not there, or damaged.
        """
        return read_table(self._rollout_path(index))

    def _rollout_path(self, index: int) -> Path:
        return self._rollouts / f"rollout-{index:06d}.parquet"

    # Checkpoints and going on after a kill

    def save_checkpoint(
        self,
        step: int,
        write: Callable[[Path], None],
        keep_last: int,
        *,
        keep_best: bool = False,
        score: float | None = None,
    ) -> Path:
        """Let `write` fill a folder with the whole state after `step`; of the checkpoints the newest `keep_last` stay.

        Args:
            keep_best: let the one with the highest score stay as well.
            score: of this one on held-out data, higher is better; None: it was not measured.
        """
        self.run.require_writable()
        if self._metrics.exists():
            sync(self._metrics)  # a checkpoint must never be newer than the metrics it continues
        retention = checkpoints.Retention(keep_last, keep_best, score)
        return checkpoints.save(self.checkpoints_path, step, write, retention)

    def prune_checkpoints(self, keep_last: int) -> None:
        """Remove all but the newest `keep_last` checkpoints, and the best one if it was to be kept."""
        self.run.require_writable()
        checkpoints.prune(self.checkpoints_path, keep_last)

    def checkpoint_steps(self) -> list[int]:
        """List the steps of the checkpoints on disk, oldest first."""
        return sorted(checkpoint.step for checkpoint in checkpoints.found(self.checkpoints_path))

    def best_checkpoint(self) -> tuple[Checkpoint, float] | None:
        """Return the checkpoint with the highest held-out score, and the score; None if none was measured."""
        return checkpoints.find_best(self.checkpoints_path)

    def latest_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint whose files are as they were written; None if the stage has none.

        A damaged one is passed over with a `DunwuWarning` that names the file: an older one leads to the same
        end.

        Raises:
            RunError: there are checkpoints, and all are damaged.
        """
        damages: list[str] = []
        for checkpoint in checkpoints.found(self.checkpoints_path):
            damage = checkpoints.damage(checkpoint)
            if damage is None:
                for text in damages:
                    warnings.warn(
                        f"{text}; going on from step {checkpoint.step} instead", DunwuWarning, stacklevel=2
                    )
                return checkpoint
            damages.append(f"the checkpoint {checkpoint.path} is damaged: {damage}")
        if damages:
            raise RunError(
                f"no checkpoint of stage {self.name} can be used: {'; '.join(damages)}. "
                f"To start this stage again from its first step, delete {self.path}"
            )
        return None

    def rewind(self, step: int) -> None:
        """Put the folder back to the instant after `step` (0: before the first), so that the stage can go on
        from there.

        Raises:
            RunError: the metrics of a step up to `step` are missing, or a rollout or an evaluation is damaged.
        """
        self.run.require_writable()
        for path in (self._metrics, self._timings, self._diagnosis):
            keep_lines(path, lambda record: record["step"] <= step, path.name)
        present = [record["step"] for record in self.read_metrics()]
        if present != list(range(1, step + 1)):
            missing = sorted(set(range(1, step + 1)) - set(present))
            raise RunError(
                f"{self._metrics} should hold the steps 1 to {step} once each; missing: {missing or 'none'}, "
                f"lines: {len(present)}. Restore the file from a copy, or delete {self.path} to start the "
                "stage again"
            )
        for index in self.rollout_indices():
            if read_facts(self._rollout_path(index))["first_step"] > step:
                remove(self._rollout_path(index))
        evaluations.rewind_evaluations(self._evaluations, step)
        for checkpoint in checkpoints.found(self.checkpoints_path):
            if checkpoint.step > step:
                remove(checkpoint.path)
        remove(self.model_path)
        self._last_step = step
        self.run.log("rewound", stage=self.name, step=step)

    def clean(self) -> None:
        """Remove surplus checkpoints that a killed process left; called when a run is opened. Torn lines are for `rewind`: in a
        stage that does not go on, a finished one above all, a line without its end is damage, and stays to be seen."""
        checkpoints.prune(self.checkpoints_path)

    # Evaluations

    def write_evaluation(
        self, label: str, record: Mapping[str, Any], groups: Sequence[RolloutGroup], *, step: int
    ) -> None:
        """Write the figures and samples of an evaluation made after `step`, for example with the label
        "before".

        The figures must be deterministic; seconds belong in the timings. `step` is added to them.

        Raises:
            ValueError: the label is not a plain file name.
        """
        self.run.require_writable()
        evaluations.write_evaluation(self._evaluations, label, record, groups, step)

    def evaluation_labels(self) -> list[str]:
        """List the finished evaluations, by the step after which they were made."""
        return list(evaluations.read_evaluations(self._evaluations))

    def read_evaluation(self, label: str) -> dict[str, Any] | None:
        """Read an evaluation's figures, with its `step`; None if it was not finished."""
        return evaluations.read_evaluations(self._evaluations).get(label)

    def reward_hacking_notes(self) -> list[dict[str, Any]]:
        """Return what the watch for reward hacking saw at the evaluations so far, each with the `evaluation`'s label and a
        sentence for a person as its `text`."""
        records = evaluations.read_evaluations(self._evaluations)
        return [
            {"evaluation": label, **record["reward_hacking"]}
            for label, record in records.items()
            if record.get("reward_hacking") is not None
        ]

    def read_evaluation_samples(self, label: str) -> tuple[RolloutGroup, ...]:
        """Read an evaluation's samples.

        Raises:
            RunError: they are not there, or damaged.
        """
        return evaluations.read_samples(self._evaluations, label)

    def read_evaluation_columns(self, label: str) -> evaluations.SampleColumns:
        """Read of an evaluation's samples what scores are made of, by column; see `evaluations.SCORED`.

        Raises:
            RunError: they are not there, or damaged.
        """
        return evaluations.read_sample_columns(self._evaluations, label)

    # The end

    def require_samples(self) -> None:
        """Verify that the rollouts from the first to the last, and every evaluation, are there and can be read; to be called
        before `finish`, whose hashes would pass anything off as what the stage made.

        Raises:
            RunError: a file is missing or damaged.
        """
        named = [record.get("rollout", 0) for record in self.read_metrics()]  # steps of data stages name none
        for index in range(1, max([*named, *self.rollout_indices()], default=0) + 1):
            read_facts(self._rollout_path(index))
        evaluations.require_pairs(self._evaluations)

    @property
    def model_path(self) -> Path:
        """The folder of the final model."""
        return self.path / "model"

    def save_model(self, write: Callable[[Path], None]) -> Path:
        """Let `write` fill the folder of the final model."""
        self.run.require_writable()
        write_folder(self.model_path, write)
        return self.model_path

    @property
    def data_path(self) -> Path:
        """The folder of the rows that the stage made for later stages."""
        return self.path / DATA_FOLDER

    def write_data(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a file of rows, for example "train.jsonl": it is there whole or not at all.

        Raises:
            ValueError: the name is not a plain file name that ends in .jsonl or .parquet.
        """
        self.run.require_writable()
        if not evaluations.PLAIN_NAME.fullmatch(name) or not name.endswith(_DATA_SUFFIXES):
            raise ValueError(
                f"the data file {name!r} must be a plain file name that ends in {_DATA_SUFFIXES}"
            )
        write_file_with(self.data_path / name, write)
        return self.data_path / name

    def data_files(self) -> list[Path]:
        """List the files of rows that the finished stage made, by name; none before it has finished."""
        manifest = self.manifest
        made = (manifest.made if manifest else None) or {}
        files = (self.path / name for name in sorted(made))
        return [
            path
            for path in files
            if path.parent == self.data_path and path.name.endswith(_DATA_SUFFIXES) and path.name[0] != "."
        ]
