"""Fine-tuning killed with SIGKILL and continued by the same call ends with the same bytes as if it was never killed.

Each run is a forked child. Some are killed at random instants, others kill themselves at chosen calls of `sync`, which lie inside
the writing of checkpoints and evaluations, or right after a step: at every step, those at the border of two epochs among them.
"""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import HANG_SECONDS, die, die_at_sync, finish, start

import dunwu.runs.files
import dunwu.stages.epochs
from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.progress import QuietProgress

NUM_STEPS = 10  # of two epochs, the second begins with step 6


def quick_and_slow(quick: tuple[int, ...], every: range) -> list[Any]:
    """All values, those that are not quick marked as slow."""
    return [*quick, *(pytest.param(n, marks=pytest.mark.slow) for n in every if n not in quick)]


def write_data(path: Path, *, last_answer: str = "ok") -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What is {i} + {i % 7}?"},
                {"role": "assistant", "content": "so " * (i % 5) + str(i + i % 7) if i < 17 else last_answer},
            ]
        }
        for i in range(18)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_recipe(data: Path, **changes: Any) -> Recipe:
    stage = {
        "kind": "sft",
        "data": {"kind": "messages", "train": str(data), "num_held_out": 3},
        "template": {"kind": "r1"},
        "new_tokens": ["<think>", "|special_token|"],
        "num_epochs": 2,
        "batch_size": 3,
        "max_tokens": 64,
        "optimizer": {"learning_rate": 1e-3},
        "batch": {"micro_batch_tokens": 64},
        "evaluation": {"every_steps": 4},
        "checkpoint": {"every_steps": 2, "keep_finished": 2},
        **changes,
    }
    return Recipe.model_validate({"name": "killed", "seed": 7, "model": {"path": "micro"}, "stages": [stage]})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    write_data(path)
    return make_recipe(path)


def die_after_step(number: int) -> Callable[[], None]:
    """Dies when the metrics of a step are written and its checkpoint is not."""

    def prepare() -> None:
        def after_update(loop: Any, step: int) -> None:
            if step == number:
                die()
            original(loop, step)

        original = dunwu.stages.epochs.EpochLoop._after_update
        dunwu.stages.epochs.EpochLoop._after_update = after_update  # type: ignore[method-assign]

    return prepare


@pytest.fixture(scope="module")
def unkilled(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], float]:
    path = tmp_path_factory.mktemp("unkilled") / "run"
    begin = time.monotonic()
    return finish(recipe, path), time.monotonic() - begin


def test_the_run_did_everything(unkilled: tuple[dict[str, str], float]) -> None:
    names = unkilled[0].keys()
    assert "sft/metrics.jsonl" in names
    assert "sft/checkpoints/step-000010/optimizer.pt" in names
    assert "sft/evaluation/step-000008.json" in names
    assert "sft/model/chat_template.jinja" in names
    assert "summary.json" in names


@pytest.mark.parametrize("step", quick_and_slow((5, 6), range(1, NUM_STEPS + 1)))
def test_killed_after_each_step(
    step: int, recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    process = start(recipe, tmp_path / "run", die_after_step(step))
    process.join(HANG_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled[0]


@pytest.mark.parametrize("number", quick_and_slow((8, 22), range(1, 40, 3)))
def test_killed_while_writing(
    number: int, recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    process = start(recipe, tmp_path / "run", die_at_sync(number))
    process.join(HANG_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled[0]


@pytest.mark.parametrize("number", quick_and_slow((0,), range(12)))
def test_killed_at_a_random_instant(
    number: int, recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    expected, seconds = unkilled
    process = start(recipe, tmp_path / "run")
    time.sleep(random.Random(number).uniform(0.05, 0.95) * seconds)
    process.kill()
    process.join()
    assert finish(recipe, tmp_path / "run") == expected


def test_killed_again_and_again(
    recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    for step in (3, 5, 6, 9):
        process = start(recipe, tmp_path / "run", die_after_step(step))
        process.join(HANG_SECONDS)
        assert process.exitcode == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled[0]


def test_an_evaluation_that_is_gone_is_made_again_with_its_own_model_alone(
    recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    evaluations = tmp_path / "run" / "sft" / "evaluation"

    def killed_without(label: str, step: int) -> None:
        process = start(recipe, tmp_path / "run", die_after_step(step))
        process.join(HANG_SECONDS)
        assert process.exitcode == -signal.SIGKILL
        for suffix in ("json", "parquet"):
            (evaluations / f"{label}.{suffix}").unlink()

    killed_without("step-000004", 5)
    killed_without("step-000004", 7)  # made again on the way: step 4 was the last checkpoint's
    with pytest.raises(
        RunError, match=r"step-000004 of stage sft, .* is missing.* stands at step 6.*delete .*sft"
    ):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
    shutil.rmtree(tmp_path / "run" / "sft")
    killed_without("before", 5)
    with pytest.raises(RunError, match=r"before of stage sft, .* is missing.* stands at step 4"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
    shutil.rmtree(tmp_path / "run" / "sft")
    assert finish(recipe, tmp_path / "run") == unkilled[0]


def test_changed_data_are_an_error(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    write_data(data)
    recipe = make_recipe(data)
    process = start(recipe, tmp_path / "run", die_after_step(3))
    process.join(HANG_SECONDS)
    write_data(data, last_answer="no")
    with pytest.raises(RunError, match=r"data\.train\.0: the content of .*data\.jsonl has changed"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())


def test_a_changed_template_file_is_an_error(tmp_path: Path) -> None:
    data, template = tmp_path / "data.jsonl", tmp_path / "chat.jinja"
    write_data(data)
    text = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}"
    text += "{% if add_generation_prompt %}assistant: {% endif %}"
    template.write_text(text)
    recipe = make_recipe(data, template={"kind": "chat", "file": str(template)})
    process = start(recipe, tmp_path / "run", die_after_step(3))
    process.join(HANG_SECONDS)
    template.write_text(text + "{# no token of these data changes #}")
    with pytest.raises(RunError, match=r"template\.file: the content of .*chat\.jinja has changed"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
