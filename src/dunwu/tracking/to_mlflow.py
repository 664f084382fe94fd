"""MLflow through its own client: a run for each stage. Uses the client, not the global state, of which a process has one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dunwu.config.tracking import MlflowTracker
from dunwu.tracking.tracker import Figures, StageFacts

_TAG = "dunwu.stage"


class ToMlflow:
    """A `Tracker` that logs to an MLflow server, database or folder."""

    def __init__(self, config: MlflowTracker, folder: Path) -> None:
        self._config = config
        self._folder = folder

    def start(self, stage: StageFacts) -> None:
        """Begin the stage's run, or go on with the one that was begun."""
        from mlflow.entities import Param, RunStatus
        from mlflow.tracking import MlflowClient

        uri = self._config.uri or _local_uri(self._folder)
        self._client = MlflowClient(tracking_uri=uri)
        experiment = self._client.get_experiment_by_name(self._config.experiment)
        number = (
            self._client.create_experiment(self._config.experiment)
            if experiment is None
            else experiment.experiment_id
        )
        key = stage.key.replace("'", "")
        earlier = self._client.search_runs([number], filter_string=f"tags.`{_TAG}` = '{key}'", max_results=1)
        if earlier and stage.done_steps:
            self._id = earlier[0].info.run_id
            self._client.update_run(self._id, status=RunStatus.to_string(RunStatus.RUNNING))
            return
        made = self._client.create_run(
            number, run_name=f"{stage.run_name}/{stage.name}", tags={_TAG: key, "dunwu.run": stage.run_name}
        )
        self._id = made.info.run_id
        of_stage: Any = next((s for s in stage.recipe["stages"] if s["name"] == stage.name), {})
        params = {"seed": str(stage.recipe["seed"]), **_flat(of_stage)}
        self._client.log_batch(
            self._id, params=[Param(key, text[:500]) for key, text in list(params.items())[:100]]
        )

    def log(self, step: int, figures: Figures) -> None:
        """Log the figures in one request."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(
            self._id, metrics=[Metric(name, value, now, step) for name, value in figures.items()]
        )

    def finish(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._id)


def _local_uri(folder: Path) -> str:
    """A database where its library is there, as MLflow wants it; plain files else, as with mlflow-skinny."""
    from importlib.util import find_spec

    folder.mkdir(parents=True, exist_ok=True)
    if find_spec("sqlalchemy") and find_spec("alembic"):
        return f"sqlite:///{(folder / 'mlflow.db').resolve()}"
    return (folder / "mlruns").resolve().as_uri()


def _flat(value: Any, key: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        return {
            name: text
            for inner, item in value.items()
            for name, text in _flat(item, f"{key}.{inner}" if key else str(inner)).items()
        }
    return {key: str(value)}
