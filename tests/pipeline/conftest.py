"""A chain whose stages make a model out of what they read in no time, so that order, lineage and reruns show."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import dunwu.pipeline.run
from dunwu.config.load import build_recipe
from dunwu.config.recipe import Recipe
from dunwu.config.sft import SftStage
from dunwu.pipeline.run import run_recipe
from dunwu.pipeline.selection import Selection
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress
from dunwu.stages.context import StageContext


def sft(
    name: str, start: str = "base", train: Sequence[str] | str = "rows.jsonl", **changes: Any
) -> dict[str, Any]:
    data = {"kind": "messages", "train": train}
    return {"kind": "sft", "name": name, "start": start, "data": data, **changes}


def make_recipe(*stages: dict[str, Any], **changes: Any) -> Recipe:
    data = {"name": "chain", "model": {"path": "base-model"}, **changes}
    return build_recipe({**data, "stages": list(stages)}, source="chain.toml")


class Chain:
    """Runs recipes in one folder and remembers which stages ran."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ran: list[str] = []
        self.failing: set[str] = set()

    def run(self, recipe: Recipe, *options: str, **selection: str) -> QuietProgress:
        """Run it; `options` may hold "rerun_changed", `selection` first and last."""
        self.ran.clear()
        progress = QuietProgress()
        chosen = Selection(**selection)
        run_recipe(recipe, self.path, progress, chosen, rerun_changed="rerun_changed" in options)
        return progress

    def model(self, stage: str) -> str:
        return (self.path / stage / "model" / "weights").read_text()

    def folder(self) -> RunFolder:
        return RunFolder.read(self.path)

    def run_stage(self, stage: SftStage, context: StageContext) -> dict[str, Any]:
        """A model is the hash of all that it was made from."""
        context.folder.pin({"max_tokens": str(stage.max_tokens)})
        context.progress.stage_started(stage.name, 4)
        if stage.name in self.failing:
            raise OSError("no space left")
        read = [
            stage.optimizer.learning_rate,
            context.seed,
            (Path(context.model.path) / "config.json").read_text(),
        ]
        read += [Path(file).read_text() for file in stage.data.train]
        weights = hashlib.sha256(json.dumps(read).encode()).hexdigest()

        def write(folder: Path) -> None:
            (folder / "weights").write_text(weights)
            (folder / "config.json").write_text(json.dumps({"weights": weights}))

        context.folder.save_model(write)
        context.folder.write_data("rows.jsonl", lambda path: path.write_text(json.dumps({"rows": weights})))
        self.ran.append(stage.name)
        return {"name": stage.name, "before": {"nll": 2.0}, "after": {"nll": 1.0}, "wall_seconds": 1.0}


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.chdir(tmp_path)
    Path("base-model").mkdir()
    Path("base-model/config.json").write_text("{}")
    Path("rows.jsonl").write_text("{}")
    made = Chain(tmp_path / "run")
    monkeypatch.setattr(dunwu.pipeline.run, "run_stage", made.run_stage)
    monkeypatch.setattr(SftStage, "makes", frozenset({"model", "data"}))
    # the second one is never written: what a stage should make and did not
    monkeypatch.setattr(SftStage, "data_files", ("rows.jsonl", "other.jsonl"), raising=False)
    return made


@pytest.fixture
def build() -> Callable[..., Recipe]:
    return make_recipe


@pytest.fixture
def stage() -> Callable[..., dict[str, Any]]:
    return sft
