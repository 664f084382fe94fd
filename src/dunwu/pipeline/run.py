"""Run a recipe: its stages in order, each once, in one run folder. Called by `dunwu run`."""

from pathlib import Path

from dunwu.config.recipe import Recipe
from dunwu.config.sft import SftStage
from dunwu.config.stage import R1ZeroStage
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
            context = StageContext(recipe.model, recipe.seed, folder, progress)
            match stage:
                case R1ZeroStage():
                    records[stage.name] = run_r1_zero(stage, context)
                case SftStage():
                    records[stage.name] = run_sft(stage, context)
            run.write_summary([records[s.name] for s in recipe.stages if s.name in records])
        run.log("finished")
