"""Which samples each step takes."""

from typing import Any

import numpy as np

from dunwu.config.sft import MessagesData, SftStage
from dunwu.stages.epochs import EpochSchedule

LENGTHS = np.array([3, 9, 4, 4, 7, 2, 2, 8, 5, 6, 3])


def make(seed: int = 1, stage: str = "sft", **changes: Any) -> EpochSchedule:
    config = SftStage(data=MessagesData(train="x"), **{"batch_size": 4, "max_tokens": 9, **changes})
    row_tokens = config.max_tokens if config.batch_unit == "rows" else None
    return EpochSchedule(config, LENGTHS, seed, stage, row_tokens)


def test_steps_are_epochs_times_their_batches_unless_fewer_are_asked_for() -> None:
    assert (make().steps_per_epoch, make().num_steps) == (3, 6)
    assert make(num_epochs=3).num_steps == 9
    assert make(max_steps=4).num_steps == 4
    assert make(max_steps=40).num_steps == 6


def test_every_epoch_takes_every_sample_once_in_an_order_of_its_own() -> None:
    epochs = [make().epoch(epoch) for epoch in range(3)]
    for steps in epochs:
        assert sorted(index for step in steps for index in step) == list(range(11))
    assert len({str(steps) for steps in epochs}) == 3
    assert make().epoch(1) == epochs[1]


def test_the_order_depends_on_run_seed_and_stage() -> None:
    orders = {str(make(seed, stage).epoch(0)) for seed in (1, 2) for stage in ("sft", "distill")}
    assert len(orders) == 4


def test_rows_hold_max_tokens() -> None:
    schedule = make(batch_unit="rows", batch_size=1)
    assert schedule.steps_per_epoch == 6
    for epoch in range(3):
        steps = schedule.epoch(epoch)
        assert len(steps) == 6
        assert all(LENGTHS[list(step)].sum() <= 9 for step in steps)
