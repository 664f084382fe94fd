"""Run a recipe: its stages in order, each once, in one run folder. Called by `dunwu run`."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dunwu.config.chain import BASE, stage_references
from dunwu.config.cold_start import ColdStartStage
from dunwu.config.comparison import ComparisonStage
from dunwu.config.distill import DistillStage
from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.recipe import Recipe
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.reward_model import RewardModelStage
from dunwu.config.sft import SftStage
from dunwu.config.stage import GeneralRlStage, R1ZeroStage, ReasoningRlStage, Stage
from dunwu.config.training import CheckpointConfig
from dunwu.errors import DunwuWarning, RunError
from dunwu.models.loading import resolve_model
from dunwu.pipeline.dtypes import settle_dtypes
from dunwu.pipeline.inputs import resolve_models, with_files
from dunwu.pipeline.leaks import EVALUATION_SETS, evaluation_fingerprint
from dunwu.pipeline.lineage import read_inputs, rounding_changes
from dunwu.pipeline.logged_progress import LoggedProgress
from dunwu.pipeline.plan import look_at, plan_chain, require_runnable
from dunwu.pipeline.selection import Selection
from dunwu.runs.aside import set_aside
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import CACHE_NAME, HashCache
from dunwu.runs.progress import Progress
from dunwu.runs.stage_folder import StageFolder
from dunwu.runs.stage_lineage import PinError
from dunwu.stages.cold_start import run_cold_start
from dunwu.stages.comparison import run_comparison
from dunwu.stages.context import StageContext
from dunwu.stages.decontamination import Decontamination
from dunwu.stages.distill import run_distill
from dunwu.stages.general_rl import run_general_rl
from dunwu.stages.on_policy_distill import run_on_policy_distill
from dunwu.stages.preference_data import run_preference_data
from dunwu.stages.r1_zero import run_r1_zero
from dunwu.stages.reasoning_rl import run_reasoning_rl
from dunwu.stages.rejection_sampling import run_rejection_sampling
from dunwu.stages.reward_model import run_reward_model
from dunwu.stages.sft import run_sft
from dunwu.tracking.tracked_progress import tracked

WHOLE = Selection()


def run_recipe(
    recipe: Recipe,
    run_dir: Path,
    progress: Progress,
    selection: Selection = WHOLE,
    *,
    rerun_changed: bool = False,
    profile: bool = False,
) -> None:
    """Run or continue a recipe; a finished stage is verified and not run again.

    Args:
        selection: the stages to run; the others are left as they are.
        rerun_changed: run stages again whose inputs have changed or whose outputs are damaged. What they were is set aside.
        profile: profile a few steps of every stage that trains.
    Raises:
        RunError: the folder holds stages that were made with something else, and `rerun_changed` is not set.
        DunwuError: whatever a stage finds wrong; the run folder can be continued with the same call.
    """
    recipe = settle_dtypes(recipe)
    with RunFolder.open(run_dir, recipe) as run, tracked(progress, recipe, run_dir) as told:
        _fetch_models(recipe)
        hashes = HashCache(run.path / CACHE_NAME)
        links = plan_chain(run, selection, hashes, outputs="check")
        hashes.save()
        require_runnable(links, run_dir, rerun_changed=rerun_changed)
        run.adopt_recipe()
        logged = LoggedProgress(told, run)
        runner = _Runner(run, hashes, logged, Decontamination(recipe), rerun_changed, profile)
        for link in links:
            if link.selected and link.damage:
                runner.set_aside(link.name, link.reasons)
        run.check_summary()
        for link in links:
            if link.selected:
                runner.bring_up(link.stage)
        run.log("finished")


def run_stage(stage: Stage, context: StageContext) -> dict[str, Any]:
    """Run or continue one stage and return its record for summary.json."""
    match stage:
        case R1ZeroStage():
            return run_r1_zero(stage, context)
        case ReasoningRlStage():
            return run_reasoning_rl(stage, context)
        case GeneralRlStage():
            return run_general_rl(stage, context)
        case SftStage():
            return run_sft(stage, context)
        case ColdStartStage():
            return run_cold_start(stage, context)
        case RejectionSamplingStage():
            return run_rejection_sampling(stage, context)
        case PreferenceDataStage():
            return run_preference_data(stage, context)
        case RewardModelStage():
            return run_reward_model(stage, context)
        case DistillStage():
            return run_distill(stage, context)
        case OnPolicyDistillStage():
            return run_on_policy_distill(stage, context)
        case ComparisonStage():
            return run_comparison(stage, context)


def _fetch_models(recipe: Recipe) -> None:
    """Fetch the models that stages name, so that what they read can be hashed.

    Raises:
        ModelError, DependencyError: one is not there.
    """
    named = {reference.name for stage in recipe.stages for reference in stage_references(stage)}
    for name, model in recipe.all_models.items():
        if name in named:
            resolve_model(model.path)


@dataclass
class _Runner:
    """Brings stages up to date, one after the other."""

    run: RunFolder
    hashes: HashCache
    progress: Progress
    decontamination: Decontamination
    rerun_changed: bool
    profile: bool

    def bring_up(self, stage: Stage) -> None:
        """Keep, continue, run or rerun one stage, as it stands now that those before it are done."""
        folder = self.run.stage(stage.name)
        state, changes, _ = look_at(stage, self.run, self.hashes, decontamination=self.decontamination)
        if changes:
            self.set_aside(stage.name, changes)
            state = "waiting"
        if state != "waiting":
            folder.confirm({EVALUATION_SETS: evaluation_fingerprint(self.run.recipe, self.hashes)})
        if state == "finished":
            self.run.write_summary()  # a run killed before it could left this to the next
            self._prune(stage, folder)
            where = (
                f"its model is {folder.model_path}" if "model" in stage.makes else f"it is in {folder.path}"
            )
            self.progress.message(f"stage {stage.name} is finished; {where}")
            return
        if state == "begun":
            _warn_of_rounding(stage, folder)
        record = {**self._run(stage, folder), "kind": stage.kind}
        folder.require_samples()
        folder.finish(record)
        self.run.write_summary()
        self._prune(stage, folder)
        self.progress.stage_finished(stage.name, record)

    def _run(self, stage: Stage, folder: StageFolder) -> dict[str, Any]:
        models = resolve_models(stage, self.run)
        start = models.get(getattr(stage, "start", BASE), self.run.recipe.model)
        seed = self.run.recipe.seed
        context = StageContext(start, models, seed, folder, self.progress, self.decontamination, self.profile)
        resolved = with_files(stage, self.run)
        folder.begin(self._reads(stage))
        self.hashes.save()
        try:
            return run_stage(resolved, context)
        except PinError as error:
            if not self.rerun_changed:
                raise
            self.set_aside(stage.name, error.changes)
        folder = self.run.stage(stage.name)
        folder.begin(self._reads(stage))
        return run_stage(resolved, replace(context, folder=folder))

    def _reads(self, stage: Stage) -> dict[str, Any]:
        evaluation = evaluation_fingerprint(self.run.recipe, self.hashes)
        return {**read_inputs(stage, self.run, self.hashes).reads, EVALUATION_SETS: evaluation}

    def set_aside(self, name: str, reasons: Sequence[str]) -> None:
        """Move what a stage left aside, or refuse to if nobody said so."""
        if not self.rerun_changed:
            raise RunError(
                f"stage {name} in {self.run.path} was made with something else:\n  "
                + "\n  ".join(reasons)
                + "\n"
                "With --rerun-changed it runs again, and what is there is kept beside it"
            )
        aside = set_aside(self.run.stage(name).path)
        self.run.log("stage set aside", stage=name, path=aside.name, reasons=list(reasons))
        self.progress.message(
            f"stage {name} runs again ({'; '.join(reasons)}); what it was is kept in {aside}"
        )

    def _prune(self, stage: Stage, folder: StageFolder) -> None:
        """Let only those checkpoints of a finished stage stay that the recipe says."""
        checkpoint: CheckpointConfig | None = getattr(stage, "checkpoint", None)
        if checkpoint is not None:
            folder.prune_checkpoints(checkpoint.keep_finished)


def _warn_of_rounding(stage: Stage, folder: StageFolder) -> None:
    manifest = folder.manifest
    assert manifest is not None, "the stage has begun"
    lines = rounding_changes(manifest.reads, stage)
    if lines:
        warnings.warn(
            f"stage {stage.name} goes on with other settings of how it computes ({'; '.join(lines)}): what it ends with is the "
            "same but for rounding",
            DunwuWarning,
            stacklevel=2,
        )
