"""TensorBoard event files, written by TensorBoard's own writer; one folder for each stage. Needs no TensorFlow."""

import time
from pathlib import Path

from dunwu.config.tracking import TensorBoardTracker
from dunwu.tracking.tracker import Figures, StageFacts


class ToTensorBoard:
    """A `Tracker` that writes event files."""

    def __init__(self, config: TensorBoardTracker, folder: Path) -> None:
        self._root = Path(config.folder) if config.folder else folder

    def start(self, stage: StageFacts) -> None:
        """Open the stage's folder; what lies after the step from which it goes on is marked as void."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(self._root / stage.run_name / stage.name))
        if stage.done_steps:
            restart = SessionLog(status=SessionLog.START)
            self._writer.add_event(
                Event(wall_time=time.time(), step=stage.done_steps + 1, session_log=restart)
            )

    def log(self, step: int, figures: Figures) -> None:
        """Write one event with all figures."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def finish(self) -> None:
        """Write what is left to the disk."""
        self._writer.close()
