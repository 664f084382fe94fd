"""Where the figures of a run are sent besides the run folder: `trackers = ["tensorboard"]`, or tables with options."""

from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from dunwu.config.base import ConfigModel


class TrackerConfig(ConfigModel):
    """What all trackers have in common: they change nothing of what a run computes."""

    effect: ClassVar[Literal["result", "rounding", "none"]] = "none"
    package: ClassVar[str]
    """What to install."""
    module: ClassVar[str]


class TensorBoardTracker(TrackerConfig):
    """TensorBoard event files."""

    kind: Literal["tensorboard"] = "tensorboard"
    folder: Annotated[str, Field(min_length=1)] | None = None
    """None: in the run folder, under tracking.files/tensorboard."""
    package: ClassVar[str] = "tensorboard"
    module: ClassVar[str] = "tensorboard"


class WandbTracker(TrackerConfig):
    """Weights & Biases; offline unless told otherwise, for `wandb sync` later."""

    kind: Literal["wandb"] = "wandb"
    mode: Literal["offline", "online"] = "offline"
    project: str = "dunwu"
    entity: str | None = None
    package: ClassVar[str] = "wandb"
    module: ClassVar[str] = "wandb"


class MlflowTracker(TrackerConfig):
    """MLflow, into a database file or a server."""

    kind: Literal["mlflow"] = "mlflow"
    uri: str | None = None
    """A tracking URI, for example "http://localhost:5000". None: in the run folder, under tracking.files/mlflow."""
    experiment: str = "dunwu"
    package: ClassVar[str] = "mlflow-skinny sqlalchemy alembic"
    module: ClassVar[str] = "mlflow"


class TrackioTracker(TrackerConfig):
    """Trackio, into its local database; `trackio show` shows it."""

    kind: Literal["trackio"] = "trackio"
    project: str = "dunwu"
    space_id: str | None = None
    """A Hugging Face Space to send to. None: this machine alone."""
    package: ClassVar[str] = "trackio"
    module: ClassVar[str] = "trackio"


def _named(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Tracker = Annotated[
    Annotated[
        TensorBoardTracker | WandbTracker | MlflowTracker | TrackioTracker, Field(discriminator="kind")
    ],
    BeforeValidator(_named),
]


def missing_trackers(trackers: tuple[TrackerConfig, ...]) -> list[str]:
    """Say of each tracker whose library is not installed what to do."""
    return [
        f"trackers: {tracker.module} is not installed here; run: pip install {tracker.package}, or leave it out of trackers"
        for tracker in trackers
        if find_spec(tracker.module) is None
    ]
