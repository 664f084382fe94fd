"""Run a recipe: its stages in order, each once, in one run folder. Called by `dunwu run`."""

from pathlib import Path
from typing import Any

from dunwu.config.recipe import Recipe
from dunwu.config.sft import SftStage
from dunwu.config.stage import R1ZeroStage, Stage
from dunwu.pipeline.inputs import resolve_models, with_files
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import Progress
from dunwu.stages.context import StageContext
from dunwu.stages.r1_zero import run_r1_zero
from dunwu.stages.sft import run_sft


def run_recipe(recipe: Recipe, run_dir: Path, progress: Progress) -> None:
    """Run or continue a recipe; a finished stage is verified and not run again.

    Raises:
        DunwuError: whatever a stage finds wrong; the run folder can be continued with the same call.
    """
    with RunFolder.open(run_dir, recipe) as run:
        records = {record["name"]: record for record in run.read_summary()}
        for stage in recipe.stages:
            folder = run.stage(stage.name)
            if folder.finished and stage.name in records:
                folder.check_outputs()
                progress.message(f"stage {stage.name} is finished; its model is {folder.model_path}")
                continue
            models = resolve_models(stage, run)
            model = models.get(getattr(stage, "start", "base"), recipe.model)
            context = StageContext(model, models, recipe.seed, folder, progress)
            record = run_stage(with_files(stage, run), context)
            records[stage.name] = record
            folder.mark_finished(run.manifest["fingerprints"])
            progress.stage_finished(stage.name, record)
            run.write_summary([records[s.name] for s in recipe.stages if s.name in records])
        run.log("finished")


def run_stage(stage: Stage, context: StageContext) -> dict[str, Any]:
    """Run or continue one stage and return its record for summary.json."""
    match stage:
        case R1ZeroStage():
            return run_r1_zero(stage, context)
        case SftStage():
            return run_sft(stage, context)
