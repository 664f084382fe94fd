"""Names ailments while a stage trains: says them when they begin, and keeps them in the run folder. Called by the RL loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from dunwu.functional.diagnosis.watch import Watch, spoken
from dunwu.stages.context import StageContext


class Diagnosing:
    """A watch over one stage. It holds nothing but what follows from the run folder, so that a continued stage finds the same."""

    def __init__(self, context: StageContext) -> None:
        """Take in what the stage's folder holds already; it has been rewound to the step from which the stage goes on."""
        self._context = context
        self._watch = Watch()
        folder = context.folder
        evaluations = [
            record
            for label in folder.evaluation_labels()
            if (record := folder.read_evaluation(label)) is not None
        ]
        self._note(self._watch.replay(folder.read_metrics(), evaluations))

    def step(self, metrics: Mapping[str, Any]) -> None:
        """Look at the figures after a step; `metrics` hold its number."""
        self._say(self._note(self._watch.add_step(metrics)))

    def evaluation(self, step: int, figures: Mapping[str, Any]) -> None:
        """Look at the figures of an evaluation; what it warns of was said by whoever made it."""
        self._note(self._watch.add_evaluation(step, figures))

    def _note(self, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        new = self._context.folder.note_diagnosis(records)
        for record in new:
            self._context.folder.run.log(
                f"diagnosis {record['state']}",
                stage=self._context.folder.name,
                step=record["step"],
                name=record["name"],
            )
        return new

    def _say(self, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            self._context.progress.message(spoken(record))
