"""Each tracker through its real library, offline, read back by the library itself where it can."""

from pathlib import Path
from typing import Any

import pytest

from dunwu.config.recipe import Recipe
from dunwu.config.tracking import MlflowTracker, TensorBoardTracker, TrackioTracker, WandbTracker
from dunwu.pipeline.run import run_recipe
from dunwu.runs.digest import comparable_digest
from dunwu.runs.progress import QuietProgress
from dunwu.tracking.to_mlflow import ToMlflow
from dunwu.tracking.to_tensorboard import ToTensorBoard
from dunwu.tracking.to_trackio import ToTrackio
from dunwu.tracking.to_wandb import ToWandb
from dunwu.tracking.tracker import StageFacts

RECIPE = {"name": "r", "seed": 1, "stages": [{"name": "zero", "kind": "r1_zero", "kl": {"coef": 0.5}}]}


def stage(path: Path, done_steps: int = 0) -> StageFacts:
    return StageFacts("r", path, "zero", done_steps, RECIPE)


def feed(tracker: Any, path: Path) -> None:
    """Three steps, a kill after the third, and on from the second."""
    tracker.start(stage(path))
    for step in (1, 2, 3):
        tracker.log(step, {"train/reward": step / 2})
    tracker.finish()
    tracker.start(stage(path, done_steps=2))
    tracker.log(3, {"train/reward": 1.5})
    tracker.finish()


def test_tensorboard_reads_it_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    feed(ToTensorBoard(TensorBoardTracker(), tmp_path / "tb"), tmp_path)
    events = EventAccumulator(str(tmp_path / "tb" / "r" / "zero"))
    events.Reload()
    scalars = events.Scalars("train/reward")
    assert [(scalar.step, scalar.value) for scalar in scalars] == [(1, 0.5), (2, 1.0), (3, 1.5)]


def test_a_run_with_tensorboard_ends_with_the_same_bytes_as_one_without(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    recipe = {
        "name": "r",
        "model": {"path": "micro"},
        "stages": [
            {
                "kind": "r1_zero",
                "num_steps": 2,
                "prompts_per_step": 2,
                "group_size": 2,
                "steps_per_rollout": 1,
                "task": {"kind": "world", "num_train": 8, "num_held_out": 2},
                "sampling": {"max_new_tokens": 4},
                "evaluation": {"num_problems": 2, "samples_per_problem": 1},
            }
        ],
    }
    told = QuietProgress()
    run_recipe(Recipe.model_validate({**recipe, "trackers": ["tensorboard"]}), tmp_path / "with", told)
    run_recipe(Recipe.model_validate(recipe), tmp_path / "without", QuietProgress())
    assert list((tmp_path / "with" / "tracking.files" / "tensorboard" / "r" / "r1_zero").glob("events*"))
    assert not any("failed" in text for text in told.messages)
    with_it, without = comparable_digest(tmp_path / "with"), comparable_digest(tmp_path / "without")
    assert with_it.pop("recipe.toml") != without.pop("recipe.toml")
    assert with_it == without


@pytest.mark.slow
def test_wandb_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    feed(ToWandb(WandbTracker(), tmp_path / "wandb"), tmp_path)
    files = list((tmp_path / "wandb" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({file.stem for file in files}) == 1  # it went on with the same run
    assert all(file.stat().st_size > 0 for file in files)


@pytest.mark.slow
def test_mlflow_reads_it_back(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    pytest.importorskip("alembic", reason="alembic, which MLflow's database needs, is not installed")
    tracker = ToMlflow(MlflowTracker(), tmp_path / "mlflow")
    feed(tracker, tmp_path)
    client = tracker._client
    (experiment,) = [found for found in client.search_experiments() if found.name == "dunwu"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["kl.coef"] == "0.5"
    history = client.get_metric_history(run.info.run_id, "train/reward")
    assert sorted({(metric.step, metric.value) for metric in history}) == [(1, 0.5), (2, 1.0), (3, 1.5)]


@pytest.mark.slow
def test_trackio_writes_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="trackio is not installed")
    feed(ToTrackio(TrackioTracker()), tmp_path)
    assert list(tmp_path.rglob("*.db"))
