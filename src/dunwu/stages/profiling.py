"""Profiles a few rounds of a stage's loop, under `dunwu run --profile`. Called by the loops."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dunwu.runs.profiles import PROFILE_FOLDER, write_profile
from dunwu.stages.context import StageContext
from dunwu.training.step_profile import StepProfile, profile_step

PROFILED_ROUNDS = (2, 3)
"""Counted from where the stage began or went on: the first round makes what is made once."""
_TOLD = 4  # phases that are named aloud


class Profiling:
    """Counts the rounds of a loop: a rollout with its updates, or a step of a stage that goes through epochs."""

    def __init__(self, context: StageContext, device: torch.device) -> None:
        self.context, self.device = context, device
        self._rounds = 0

    @contextmanager
    def round(self, step: int) -> Iterator[None]:
        """One round, whose first step is `step` (from 1)."""
        self._rounds += 1
        if not self.context.profile or self._rounds not in PROFILED_ROUNDS:
            yield
            return
        with profile_step(self.device) as profile:
            yield
        path = write_profile(
            self.context.folder.path / PROFILE_FOLDER,
            step,
            profile.record(),
            profile_table(profile, f"{self.context.folder.name}, from step {step}"),
            profile.write_trace,
        )
        most = ", ".join(f"{100 * p.share:.0f}% {p.name}" for p in profile.phases[:_TOLD])
        self.context.progress.message(f"profile of step {step}: {most}; the whole is in {path}")


def profile_table(profile: StepProfile, title: str) -> str:
    """Write a profile as Markdown."""
    lines = [
        f"# Where the time went: {title}",
        "",
        f"{profile.seconds:.2f} s under the profiler, which slows small operations down: shares mean more than seconds. Each "
        "phase is given without those inside it.",
        "",
        "| phase | share | seconds | calls | most memory in use | operations that took longest |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for phase in profile.phases:
        memory = "" if phase.peak_memory_bytes is None else f"{phase.peak_memory_bytes / 2**20:,.0f} MiB"
        operations = ", ".join(f"`{name}` {seconds:.2f} s" for name, seconds in phase.operations)
        lines.append(
            f"| {phase.name} | {100 * phase.share:.1f}% | {phase.seconds:.3f} | {phase.calls:,} | {memory} | {operations} |"
        )
    return "\n".join(lines) + "\n"
