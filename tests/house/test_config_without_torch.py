"""A mistake in a recipe is told before anything heavy is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "dunwu"
HEAVY = ("torch", "transformers", "datasets", "reasoning_gym", "math_verify")


def modules(room: str) -> list[str]:
    return [
        f"dunwu.{room}.{path.stem}"
        for path in sorted((SOURCE / room).glob("*.py"))
        if path.stem != "__init__"
    ]


def heavy_after(code: str, *arguments: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    """Run code in a fresh interpreter; return which heavy packages it has imported at its end."""
    script = (
        "import atexit, sys\n"
        f"heavy = {HEAVY!r}\n"
        "atexit.register(lambda: print('HEAVY', *(n for n in heavy if n in sys.modules)))\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    assert last.startswith("HEAVY"), done.stderr
    return last.split()[1:], done


@pytest.mark.parametrize("room", ["config", "runs", "cli"])
def test_a_light_room_imports_nothing_heavy(room):
    names = modules(room)
    assert len(names) > 5
    heavy, done = heavy_after("".join(f"import {name}\n" for name in names))
    assert done.returncode == 0, done.stderr
    assert heavy == []


def test_looking_at_a_run_imports_nothing_heavy():
    heavy, done = heavy_after("import dunwu.pipeline.plan, dunwu.pipeline.status\n")
    assert done.returncode == 0, done.stderr
    assert heavy == []


def test_records_and_errors_import_nothing_heavy():
    heavy, _ = heavy_after("import dunwu.records, dunwu.errors\n")
    assert heavy == []


def test_a_wrong_recipe_is_refused_without_importing_torch(tmp_path):
    recipe = tmp_path / "bad.toml"
    recipe.write_text('name = "x"\nmodel = {path = "micro"}\n[[stages]]\nkind = "r1_zero"\ngroop_size = 2\n')
    code = "from dunwu.cli.main import app\napp(['run', sys.argv[1]])\n"
    heavy, done = heavy_after(code, str(recipe))
    assert done.returncode == 2
    assert "did you mean `group_size`?" in done.stderr
    assert heavy == []


def test_a_reward_function_that_is_not_there_is_told_without_importing_torch(tmp_path):
    recipe = tmp_path / "bad.toml"
    recipe.write_text(
        'name = "x"\nmodel = {path = "micro"}\n[[stages]]\nkind = "r1_zero"\ntask = {kind = "world"}\n'
        'rewards = [{kind = "function", path = "no_such_file.py:f"}]\n'
    )
    heavy, done = heavy_after("from dunwu.cli.main import app\napp(['run', sys.argv[1]])\n", str(recipe))
    assert done.returncode == 2
    assert "there is no file no_such_file.py" in done.stderr
    assert heavy == []


def test_grading_imports_nothing_heavy():
    heavy, _ = heavy_after("import dunwu.rewards.grading\n")
    assert heavy == []


def test_the_probe_sees_what_is_heavy():
    heavy, _ = heavy_after("import types\nsys.modules['torch'] = types.ModuleType('torch')\n")
    assert heavy == ["torch"]
