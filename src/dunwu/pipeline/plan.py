"""What running a recipe in a run folder would do to each stage, and why. Reads only; imports no torch.

Called by the pipeline before it runs, by `dunwu run --dry-run` and by `dunwu status`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dunwu.config.chain import upstream
from dunwu.config.recipe import Recipe
from dunwu.config.stage import Stage
from dunwu.errors import RunError
from dunwu.pipeline.leaks import EVALUATION_SETS, evaluation_fingerprint, leak_changes
from dunwu.pipeline.lineage import changes, read_inputs
from dunwu.pipeline.selection import Selection
from dunwu.runs.folder import RunFolder, continues_run
from dunwu.runs.hash_cache import CACHE_NAME, HashCache
from dunwu.stages.decontamination import Decontamination

State = Literal["waiting", "begun", "finished"]
Action = Literal["keep", "run", "continue", "rerun", "compare", "leave"]


@dataclass(frozen=True)
class Link:
    """One stage of the chain as it stands in the run folder.

    Args:
        changes: in what its inputs differ from those it was made with, one line each.
        damage: which of its files are no longer what it made.
        waits_for: stages it reads that have not finished.
        follows: stages it reads that will be made anew, so that only then it shows whether what is there still holds.
        selected: whether the command means it.
    """

    stage: Stage
    state: State
    changes: tuple[str, ...]
    damage: tuple[str, ...]
    waits_for: tuple[str, ...]
    follows: tuple[str, ...]
    selected: bool

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why what is there no longer holds."""
        return (*self.changes, *self.damage)

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name

    @property
    def action(self) -> Action:
        """What running would do: "compare" means keep, or run again if what it follows comes out different."""
        if not self.selected:
            return "leave"
        if self.state == "waiting":
            return "run"
        if self.reasons:
            return "rerun"
        if self.follows:
            return "compare"
        return "keep" if self.state == "finished" else "continue"


def look_at(
    stage: Stage,
    run: RunFolder,
    hashes: HashCache,
    anew: Collection[str] = (),
    decontamination: Decontamination | None = None,
) -> tuple[State, tuple[str, ...], tuple[str, ...]]:
    """Return a stage's state, what has changed in its inputs, and what it waits for.

    Args:
        anew: stages that will be made anew: what they hold now says nothing.
        decontamination: of the run's recipe, to find out whether a change of the evaluation sets changes what the stage trains
            on; None: it is taken not to.
    """
    manifest = run.stage(stage.name).manifest
    inputs = read_inputs(stage, run, hashes, anew)
    if manifest is None:
        return "waiting", (), inputs.waits_for
    state: State = "begun" if manifest.made is None else "finished"
    changed = changes(manifest.reads, inputs, stage)
    if decontamination is not None and not changed and not inputs.waits_for:
        recorded = manifest.reads.get(EVALUATION_SETS)
        if recorded != evaluation_fingerprint(run.recipe, hashes):
            changed = leak_changes(stage, run, decontamination)
    return state, tuple(changed), inputs.waits_for


def plan_chain(
    run: RunFolder,
    selection: Selection,
    hashes: HashCache,
    *,
    outputs: Literal["trust", "check", "check all"] = "trust",
) -> list[Link]:
    """Look at every stage of the recipe with which the run folder was opened.

    Args:
        outputs: whether the files that finished stages made are hashed, and training samples compared anew with evaluation
            sets that have changed; "check" compares rollouts by size only.
    Raises:
        ConfigError: the selection names a stage that is not there.
        RunError: a manifest is damaged.
    """
    stages = run.recipe.stages
    selected = selection.names([stage.name for stage in stages])
    decontamination = None if outputs == "trust" else Decontamination(run.recipe)
    links: list[Link] = []
    for stage in stages:
        anew = {link.name for link in links if link.action not in ("keep", "leave")}
        state, changed, waits_for = look_at(stage, run, hashes, anew, decontamination)
        damage = [] if outputs == "trust" else run.stage(stage.name).damage(thorough=outputs == "check all")
        follows = tuple(name for name in upstream(stage, stages) if name in anew)
        links.append(Link(stage, state, changed, tuple(damage), waits_for, follows, stage.name in selected))
    return links


def plan_of(recipe: Recipe, path: Path, selection: Selection) -> list[Link]:
    """Look at what a recipe would do in a run folder, which may not be there yet; what stages made is not hashed.

    Raises: as `plan_chain`; RunError: `path` holds something that is no run folder.
    """
    if continues_run(path):
        return plan_chain(RunFolder.read(path, recipe), selection, HashCache(path / CACHE_NAME))
    selected = selection.names([stage.name for stage in recipe.stages])
    return [
        Link(stage, "waiting", (), (), tuple(upstream(stage, recipe.stages)), (), stage.name in selected)
        for stage in recipe.stages
    ]


def require_runnable(links: Sequence[Link], run_path: Path, *, rerun_changed: bool) -> None:
    """Refuse what cannot be run, or would replace something without having been told to.

    Raises:
        RunError: a selected stage reads one that is left out and not finished, or finished with other inputs; or stages would
            run again and `rerun_changed` is not set. The message names stages, differences and what to do.
    """
    by_name = {link.name: link for link in links}
    for link in links:
        if link.selected:
            for name in upstream(link.stage, [other.stage for other in links]):
                _require_usable(by_name[name], link, links)
    again = [link for link in links if link.action == "rerun"]
    if again and not rerun_changed:
        raise RunError(_refusal(links, again, run_path))


def _require_usable(needed: Link, link: Link, links: Sequence[Link]) -> None:
    if needed.selected:
        return
    if needed.state != "finished":
        first, last = _first_needed(links), [other.name for other in links if other.selected][-1]
        until = "" if last == links[-1].name else f" --until {last}"
        raise RunError(
            f"stage {link.name} reads stage {needed.name}, which is left out and {_STATES[needed.state]}; begin with "
            f"{'it' if first == needed.name else first}: --from {first}{until}"
        )
    if needed.reasons:
        raise RunError(
            f"stage {link.name} reads stage {needed.name}, which is left out and was made with something else:\n"
            f"{_listed(needed.reasons)}\nRun it again too: --from {needed.name} --rerun-changed"
        )


def _first_needed(links: Sequence[Link]) -> str:
    """Return the first stage that must run for the selected ones to have all that they read."""
    needed = {link.name for link in links if link.selected}
    for link in reversed(links):
        if link.name in needed:
            needed.update(upstream(link.stage, [other.stage for other in links if other.state != "finished"]))
    return next(link.name for link in links if link.name in needed)


_STATES: Mapping[State, str] = {
    "waiting": "has not run",
    "begun": "is not finished",
    "finished": "is finished",
}


def _refusal(links: Sequence[Link], again: Sequence[Link], run_path: Path) -> str:
    parts = [f"{run_path} holds stages that this recipe would make differently, or that are damaged:"]
    common = set.intersection(*(set(link.reasons) for link in again)) if len(again) > 1 else set()
    parts += [f"  {line}" for line in again[0].reasons if line in common]
    for link in again:
        own = [line for line in link.reasons if line not in common]
        parts.append(f"  {link.name} ({_STATES[link.state]})" + (":\n" + _listed(own) if own else ""))
    followers = _followers(links, [link.name for link in again])
    if followers:
        parts.append(f"What depends on them runs again if it comes out different: {', '.join(followers)}.")
    kept = ", ".join(f"{link.name}.replaced-1" for link in again)
    parts.append(
        f"With --rerun-changed they run again, and what is there is kept beside them ({kept}, or the next free number). "
        "Or undo the change (the run's own recipe is its recipe.toml) or restore the files, or start a new run with another "
        "--run-dir"
    )
    return "\n".join(parts)


def _followers(links: Sequence[Link], names: Collection[str]) -> list[str]:
    """Return the selected stages behind others that hold something, and might have to be made anew."""
    touched = set(names)
    found = []
    for link in links:
        if set(upstream(link.stage, [other.stage for other in links])) & touched:
            touched.add(link.name)
            if link.name not in names and link.state != "waiting":
                found.append(link.name)
    return found


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
