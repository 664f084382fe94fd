"""What the evaluation sets of a recipe mean to its stages: whether other training samples would be left out than before.

Only that makes a stage run again, not the change of an evaluation set itself. Called by the pipeline's planning.
"""

from functools import reduce
from hashlib import sha256
from typing import Any

from dunwu.config.base import ConfigModel
from dunwu.config.dump import plain
from dunwu.config.recipe import Recipe
from dunwu.config.references import references
from dunwu.config.stage import Stage
from dunwu.data.evaluation_sets import evaluation_sources
from dunwu.pipeline.inputs import with_files
from dunwu.pipeline.lineage import file_content
from dunwu.runs.files import canonical_json
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache
from dunwu.stages.decontamination import Decontamination, removed_key

EVALUATION_SETS = "evaluation_sets"
"""The reading of a stage that holds `evaluation_fingerprint`."""


def evaluation_fingerprint(recipe: Recipe, hashes: HashCache) -> str:
    """Return one hash for all that a recipe's evaluation sets follow from; it tells a change without reading them."""
    if recipe.decontamination is None:
        return "none"
    parts: list[ConfigModel] = [recipe.decontamination]
    parts += [source.part for source in evaluation_sources(recipe)]
    facts = [[plain(part), [file_content(found, hashes) for found in references(part)]] for part in parts]
    return sha256(canonical_json(facts).encode()).hexdigest()


def leak_changes(stage: Stage, run: RunFolder, decontamination: Decontamination) -> list[str]:
    """Compare a stage's training samples with the evaluation sets as they are now; list where others would be left out.

    Samples that are neither problems nor conversations are taken to be others.
    """
    manifest = run.stage(stage.name).manifest
    assert manifest is not None, "only a stage that has begun has left out anything"
    resolved = with_files(stage, run)
    lines = []
    for name, recorded in manifest.pinned.items():
        key = removed_key(name)
        if key is not None and decontamination.digest(_part(resolved, key), run.recipe.seed) != recorded:
            lines.append(
                f"decontamination: with the evaluation sets as they are now, other samples of {key} are left out"
            )
    return lines


def _part(config: Any, key: str) -> Any:
    """Return the part of a stage's configuration that a key with dots leads to."""
    return reduce(
        lambda at, name: at[int(name)] if isinstance(at, tuple) else getattr(at, name), key.split("."), config
    )
