"""What the names in a stage's configuration mean in a run folder: models to load, files to read. Called by the pipeline."""

from collections.abc import Mapping

from dunwu.config.chain import stage_references
from dunwu.config.references import STAGE_PREFIX, replace_sources
from dunwu.config.stage import Stage
from dunwu.config.training import ModelConfig
from dunwu.errors import RunError
from dunwu.runs.folder import RunFolder


def resolve_models(stage: Stage, run: RunFolder) -> Mapping[str, ModelConfig]:
    """Return every model that a stage names; a stage's model lies in the run folder and has its first model's settings."""
    recipe = run.recipe
    stages = {other.name: other for other in recipe.stages}
    found = {}
    for reference in stage_references(stage):
        if reference.stage is not None:
            continue
        name = reference.name
        if name in recipe.all_models:
            found[name] = recipe.all_models[name]
        else:
            first = recipe.first_model(stages[name])
            found[name] = first.model_copy(update={"path": str(run.stage(name).model_path)})
    return found


def with_files(stage: Stage, run: RunFolder) -> Stage:
    """Return the stage with each "stage:NAME" replaced by the files that stage made.

    Raises:
        RunError: the stage made no such file.
    """
    return replace_sources(stage, lambda source: source_files(source, run))


def source_files(source: str, run: RunFolder) -> tuple[str, ...]:
    """Return the files that "stage:NAME" or "stage:NAME/FILE" means, in the order of their names."""
    name, _, file = source.removeprefix(STAGE_PREFIX).partition("/")
    made = run.stage(name).data_files()
    chosen = [path for path in made if not file or path.name == file]
    if not chosen:
        has = ", ".join(path.name for path in made) or "no files"
        raise RunError(f'"{source}": stage {name} made {has} in {run.stage(name).data_path}')
    return tuple(str(path) for path in chosen)
