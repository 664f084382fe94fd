"""What speaks against the figures of a run: files that are no longer what a finished stage made, and stages that were made from
something that has changed since.

Writes nothing. Called by `dunwu report`, `dunwu compare` and at the end of `dunwu run`, which say it before they show figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dunwu.config.chain import upstream
from dunwu.config.stage import Stage
from dunwu.errors import RunError
from dunwu.pipeline.lineage import changes, read_inputs
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import CACHE_NAME, HashCache


@dataclass(frozen=True)
class Doubts:
    """What speaks against a run's figures, a sentence each.

    Args:
        damaged: files of finished stages that are missing or have changed, with their paths.
        outdated: finished stages that were made from something that has changed since, or follow such a stage.
    """

    damaged: tuple[str, ...]
    outdated: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.damaged, *self.outdated)


def find_doubts(run: RunFolder) -> Doubts:
    """Look for what speaks against a run's figures.

    Models and rollouts, of which none are shown, are compared by size. Data that are no longer where a stage read them are no
    change: a run may be looked at elsewhere. Nor is a change of evaluation sets, whose items would have to be compared anew.
    """
    damaged: list[str] = []
    for folder in run.stages():
        try:
            damaged += folder.damage(weigh_model=True)
        except RunError as error:
            damaged.append(str(error))
    hashes = HashCache(run.path / CACHE_NAME)
    outdated: list[str] = []
    unsettled: set[str] = set()
    for stage in run.recipe.stages:
        try:
            lines = list(_outdated(run, stage, hashes, unsettled))
            if lines or not run.stage(stage.name).finished:
                unsettled.add(stage.name)
            outdated += lines
        except RunError as error:
            damaged += [] if str(error) in damaged else [str(error)]
    return Doubts(tuple(damaged), tuple(outdated))


def _outdated(run: RunFolder, stage: Stage, hashes: HashCache, unsettled: set[str]) -> Iterator[str]:
    """Say in what a finished stage's inputs differ from those it was made with, or which changed stages it follows.

    Args:
        unsettled: the stages before it that are outdated, or not finished.
    """
    manifest = run.stage(stage.name).manifest
    if manifest is None or manifest.made is None:
        return
    changed = changes(manifest.reads, read_inputs(stage, run, hashes), stage, absences=False)
    follows = [name for name in upstream(stage, run.recipe.stages) if name in unsettled]
    if changed:
        yield f"{stage.name} was made with something else: {'; '.join(changed)}"
    elif follows:
        yield f"{stage.name} follows a changed stage: {', '.join(follows)}"
