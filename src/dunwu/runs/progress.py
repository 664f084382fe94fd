"""How a running stage tells someone how far it is. Views live in the command line; nothing here prints.

A view looks for these metrics and shows those it finds: `reward`, `accuracy` (shares of right answers),
`format`, `length_mean` (tokens), `self_check_frac`, `zero_spread_frac`, `truncated_frac`, `kl`, `entropy`,
`nll` (of fine-tuning, nats per token); and for these timings: `wall_seconds`,
`generation_tokens_per_second`, `training_tokens_per_second`, `peak_memory_bytes`. A metric may be None where
there was nothing to measure.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """What a run reports, in the order in which it happens. Calls are cheap and never fail."""

    def stage_started(self, name: str, num_steps: int, done_steps: int = 0) -> None:
        """A stage begins, or goes on after `done_steps` of its `num_steps` steps."""

    def evaluation(self, label: str, done: int, total: int) -> None:
        """`done` of an evaluation's `total` samples are finished; called first with 0."""

    def generation(self, done: int, total: int) -> None:
        """`done` of a rollout's `total` completions are finished; called first with 0."""

    def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        """One policy update was made; `step` counts from 1."""

    def message(self, text: str) -> None:
        """Something a person should read: a diagnosis, a decision, an explanation of a zero."""

    def stage_finished(self, name: str, record: Mapping[str, Any]) -> None:
        """A stage ended; `record` is its entry in summary.json."""


class QuietProgress:
    """Says nothing and keeps what it was told, for tests and for programs that watch the run folder
    instead."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.steps: list[int] = []

    def stage_started(self, name: str, num_steps: int, done_steps: int = 0) -> None:
        pass

    def evaluation(self, label: str, done: int, total: int) -> None:
        pass

    def generation(self, done: int, total: int) -> None:
        pass

    def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        self.steps.append(step)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def stage_finished(self, name: str, record: Mapping[str, Any]) -> None:
        pass
