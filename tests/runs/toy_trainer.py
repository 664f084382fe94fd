"""A stand-in for training that writes a run folder like the real one, and kills itself at chosen file operations.

Usage: python toy_trainer.py FOLDER SEED NUM_TRIALS
prints one JSON object: the digest of a run never killed, and of runs killed twice and then finished. It is a program of
its own because it forks, which a process with torch's threads should not.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dunwu.config.recipe import Recipe
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder
from dunwu.runs.stage_folder import StageFolder

NUM_STEPS = 14
RECIPE = Recipe.model_validate(
    {
        "name": "toy",
        "model": {"path": "micro"},
        "stages": [{"kind": "r1_zero", "task": {"kind": "world"}, "num_steps": 16}],
    }
)


def group(number: int) -> RolloutGroup:
    prompt = Prompt(Problem(f"p{number}", "sum", "?", "1", "exact"), "?", (number,))
    rollouts = tuple(
        Rollout(
            i,
            Completion((i, number), (-0.5, -number / 7), "stop"),
            f"text {i}",
            Reward(i / 2, {"accuracy": RewardPart(1.0)}),
        )
        for i in range(4)
    )
    return RolloutGroup(prompt, rollouts, (0.1, -0.1, None, 0.0))


class State:
    """Two numbers that depend on everything that happened before."""

    def __init__(self) -> None:
        self.step, self.value = 0, 1

    def save(self, folder: Path) -> None:
        for part in range(4):
            (folder / f"part-{part}.json").write_text(json.dumps([self.step, self.value, part]))

    def load(self, folder: Path) -> None:
        self.step, self.value, _ = json.loads((folder / "part-3.json").read_text())


def train(stage: StageFolder, state: State) -> None:
    read = 0
    while state.step < NUM_STEPS:
        step = state.step + 1
        index = (step + 2) // 3
        if step % 3 == 1:
            groups = [group(state.value % 97), group(step)]
            stage.write_rollouts(index, groups, first_step=step, last_step=step + 2, dropped=[group(-step)])
        if step % 3 == 1 or not read:
            read = stage.read_rollouts(index).groups[0].prompt.token_ids[0]
        state.step, state.value = step, (state.value * 31 + read) % 10007
        stage.append_metrics(step, {"value": state.value})
        stage.append_timings(step, {"wall_seconds": time.time()})
        if step % 4 == 0:
            stage.write_evaluation(f"step-{step}", {"value": state.value}, [group(step)], step=step)
        if step % 5 == 0 or step == NUM_STEPS:
            stage.save_checkpoint(step, state.save, keep_last=2)


def run(path: Path) -> None:
    with RunFolder.open(path, RECIPE) as folder:
        folder.adopt_recipe()
        stage = folder.stage("r1_zero")
        if not stage.finished:
            stage.begin({"data": "1"})
            stage.pin({"task": "2"})
            state = State()
            checkpoint = stage.latest_checkpoint()
            if checkpoint is not None:
                state.load(checkpoint.path)
            stage.rewind(state.step)
            train(stage, state)
            stage.save_model(state.save)
            stage.finish({"name": "r1_zero", "value": state.value, "wall_seconds": time.time()})
        folder.write_summary()
        stage.prune_checkpoints(1)


def watch(path: Path, on_operation: Callable[[int], None]) -> None:
    """Call `on_operation` with 1, 2, ... just before each file operation below `path` in this process."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and str(path) in str(
            arguments[0]
        ):
            count += 1
            on_operation(count)

    sys.addaudithook(hook)


def in_child(work: Callable[[], None]) -> int:
    """Do `work` in a forked process; return the signal that killed it, 0 if none."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0, "the trainer failed"
    return 0


def count_operations(path: Path) -> int:
    counts = path.with_suffix(".count")

    def work() -> None:
        seen = [0]
        watch(path, lambda count: seen.__setitem__(0, count))
        run(path)
        counts.write_text(str(seen[0]))

    assert in_child(work) == 0
    return int(counts.read_text())


def killed_at(path: Path, operation: int) -> int:
    def work() -> None:
        watch(path, lambda count: os.kill(os.getpid(), signal.SIGKILL) if count == operation else None)
        run(path)

    return in_child(work)


def main(folder: Path, seed: int, num_trials: int) -> None:
    os.fsync = lambda descriptor: None  # waiting for the disk shows nothing here: the machine stays up
    total = count_operations(folder / "whole")
    draw = random.Random(seed)
    killed = []
    for trial in range(num_trials):
        path = folder / f"killed-{trial}"
        first = total * trial // num_trials + draw.randrange(total // num_trials) + 1
        signals = [killed_at(path, first), killed_at(path, draw.randrange(1, total // 4))]
        assert in_child(lambda path=path: run(path)) == 0
        killed.append({"at": first, "signals": signals, "digest": comparable_digest(path)})
    print(json.dumps({"operations": total, "whole": comparable_digest(folder / "whole"), "killed": killed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
