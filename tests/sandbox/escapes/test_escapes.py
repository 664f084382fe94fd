"""Programs that try to get out of the sandbox, each run through the real executor; none may succeed.

Each file under programs/ says at its head what it tries, what counts as an escape, how its run may end, and what shows that
the attempt is real: the same program escaping outside of the sandbox (`control: outside`), or a mild form of it ending by
itself inside (`control: mild ROUNDS`). All run beside each other and beside honest programs, a few at a time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from escape_attacks import ATTACKS, HAS, HOSTILE, PROGRAM_OF, PROGRAMS, SETTINGS, USUAL, WAYS, Attack, is_here
from escape_host import CHECKOUT, Stage
from escape_machine import Machine, groups_of, living_descendants
from escape_runs import (
    HONEST_LIMITS,
    HONEST_OUTPUT,
    PLACES,
    Campaigns,
    Result,
    attack_through,
    bounds_memory,
    check_ending,
    escapes_in,
)

from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Execution


def need(attack: Attack, *more: str) -> None:
    """Skips where this machine lacks what a run of the attack, or its control, needs."""
    if not is_here(attack):
        pytest.skip(f"no {PROGRAM_OF[attack.language]} on this machine")
    for name in more:
        if not HAS[name]():
            pytest.skip(f"outside of the sandbox this needs: {name}")


def ids(values: list[Any]) -> list[str]:
    return ["-".join((v[0].name, v[1])) if isinstance(v, tuple) else v.name for v in values]


def marked(attack: Attack, way: str, setting: str) -> Any:
    """A program that still gets out says so at its head, and fails the suite the day that it no longer does."""
    reason = attack.head.get("open") or attack.head.get(f"open {setting}")
    marks = [pytest.mark.xfail(strict=True, reason=f"open: {reason}")] if reason else []
    if not attack.name.startswith(SETTINGS[setting]):
        marks.append(pytest.mark.slow)
    name = f"{attack.name}-{way}" + (f"-{setting}" if setting != USUAL else "")
    return pytest.param(attack, way, setting, marks=marks, id=name.replace(" ", "-"))


def test_the_suite_is_large_and_every_program_says_what_it_does():
    assert len(ATTACKS) >= 60
    assert {attack.language for attack in ATTACKS} == {"py", "cpp", "js"}
    for attack in ATTACKS:
        assert {"tries", "escape", "control"} <= set(attack.head), attack.name
        assert attack.head["control"].split()[0] in ("outside", "mild", "none:"), attack.name


def test_the_documentation_lists_every_program():
    text = (CHECKOUT / "docs" / "sandbox-escapes.md").read_text(encoding="utf-8")
    rows = {line for line in text.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{attack.name}` | {attack.head['tries']} |" for attack in ATTACKS}


ALL = [marked(attack, way, setting) for setting in SETTINGS for attack, way in WAYS]


@pytest.mark.parametrize(("attack", "way", "setting"), ALL)
def test_does_not_get_out(attack: Attack, way: str, setting: str, campaigns: Campaigns, stage: Stage) -> None:
    need(attack)
    result = campaigns[setting].results[attack.name, way].result(timeout=240)
    assert escapes_in(result, attack, stage) == []
    check_ending(attack, result.execution, memory_is_bound=bounds_memory(campaigns[setting].executor))
    killed_with_its_output = result.execution.outcome == "memory" and attack.head["control"].startswith(
        "mild"
    )
    if attack.through != ["compiler"] and not killed_with_its_output:
        assert b"TRIED" in result.shown, (
            f"it never came to try: {result.shown[-600:]!r} {result.execution.detail}"
        )


OUTSIDE = [attack for attack in ATTACKS if attack.head["control"] == "outside"]


@pytest.mark.parametrize("attack", OUTSIDE, ids=ids(OUTSIDE))
def test_outside_of_the_sandbox_it_does(attack: Attack, sacrifice: Stage, tmp_path: Path) -> None:
    need(attack, *attack.head.get("needs", "").split())
    targets = sacrifice.targets(attack.name)
    for name, content in attack.files(targets).items():
        (tmp_path / name).write_bytes(content)
    options: dict[str, Any] = {
        "cwd": tmp_path,
        "capture_output": True,
        "timeout": 60,
        "close_fds": False,
        "env": os.environ | sacrifice.environment(),
    }
    shown = b""
    program = {"py": [sys.executable, "main.py"], "js": ["node", "main.js"], "cpp": ["./main"]}[
        attack.language
    ]
    if attack.language == "cpp":
        shown += subprocess.run(["g++", "-pthread", "-o", "main", "main.cpp"], **options).stderr
    if attack.language != "cpp" or (tmp_path / "main").exists():
        done = subprocess.run(program, input=attack.stdin(targets), **options)
        shown += done.stdout + done.stderr
    nothing = Execution("exited", 0, None, b"", b"", 0.0, 0.0, None)
    deadline = time.monotonic() + 2  # until the host has heard what was sent
    while not (signs := escapes_in(Result(nothing, shown, {}), attack, sacrifice) + sacrifice.harm()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert signs, f"the attack is no attack: {shown.decode(errors='replace')}"


MILD = [(attack, way) for attack, way in WAYS if attack.head["control"].startswith("mild")]


@pytest.mark.parametrize(("attack", "way"), MILD, ids=ids(MILD))
def test_a_mild_form_ends_by_itself(attack: Attack, way: str, campaigns: Campaigns, stage: Stage) -> None:
    need(attack)
    executor = campaigns[USUAL].executor
    rounds = int(attack.head["control"].split()[1])
    result = attack_through(executor, attack, way, stage.targets(attack.name, rounds))
    assert (result.execution.outcome, result.execution.exit_code) == ("exited", 0), result
    assert escapes_in(result, attack, stage) == []


PROBE = (PROGRAMS / "probe.py").read_text(encoding="utf-8")
SUCCESSORS = [
    attack for attack, way in WAYS if way == "fast" and attack.name.startswith(("zygote/", "writing/"))
]


@pytest.mark.parametrize("attack", SUCCESSORS, ids=ids(SUCCESSORS))
def test_nothing_is_left_to_the_next_run(attack: Attack, single: Executor, stage: Stage) -> None:
    def probe() -> Any:
        seen = single.run_python(PROBE, b"", {}, HONEST_LIMITS)
        assert (seen.outcome, seen.exit_code, seen.stderr) == ("exited", 0, b""), seen
        return json.loads(seen.stdout)

    before = probe()
    attack_through(single, attack, "fast", stage.targets(attack.name))
    assert [probe(), probe()] == [before, before]


def test_an_earlier_run_is_not_in_the_memory_of_the_next(single: Executor, stage: Stage) -> None:
    secret = "EARLIER-" + f"SECRET-{os.urandom(8).hex()}"
    source = f"import sys\ntext = sys.stdin.read()\nprint({secret!r} == text)\n"
    for _ in range(3):
        done = single.run_python(source, secret.encode(), {"note.txt": secret.encode()}, HONEST_LIMITS)
        assert done.stdout == b"True\n", done
    attack = next(attack for attack in ATTACKS if attack.name == "zygote/scan_memory.py")
    result = attack_through(single, attack, "fast", stage.targets(attack.name))
    assert b"MiB of own memory" in result.shown
    assert escapes_in(result, attack, stage) == []


def test_memory_that_earlier_runs_left_charged_is_not_added_to_the_limit(
    single: Executor, stage: Stage
) -> None:
    attacks = {attack.name: attack for attack in ATTACKS}
    reader, bomb = attacks["resources/page_cache.py"], attacks["resources/heap.py"]
    for _ in range(2):
        attack_through(single, reader, "fast", stage.targets(reader.name))
    result = attack_through(single, bomb, "fast", stage.targets(bomb.name))
    assert escapes_in(result, bomb, stage) == []
    assert result.execution.outcome == "memory"


def test_honest_programs_beside_the_attacks_are_unaffected(campaigns: Campaigns) -> None:
    campaigns.finish()
    for setting, campaign in campaigns.begun.items():
        assert campaign.honest, setting
        for run in campaign.honest:
            assert isinstance(run, Execution), (setting, run)
            assert (run.outcome, run.exit_code, run.stdout) == ("exited", 0, HONEST_OUTPUT), (setting, run)


def test_the_host_came_to_no_harm(campaigns: Campaigns, stage: Stage) -> None:
    campaigns.finish()
    assert stage.harm() == []
    for setting, campaign in campaigns.begun.items():
        assert campaign.most_processes <= 2 * (PLACES + 1) * (HOSTILE.processes + 8), setting


STARTER = """
import sys, threading
import dunwu.sandbox.open
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Limits
executor = open_executor(BubblewrapSandbox(max_parallel=2))
program = "import os, time; [os.fork() for _ in range(2)]; print(1, flush=True); time.sleep(600)"
limits = Limits(wall_seconds=600)
for _ in range(2):
    threading.Thread(target=executor.run_python, args=(program, b"", {}, limits), daemon=True).start()
print("started", flush=True)
sys.stdin.read()
"""


def test_programs_do_not_survive_the_sudden_death_of_their_starter(adopting_orphans: None) -> None:
    before = {process.pid for process in living_descendants()}
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"started\n"
    deadline = time.monotonic() + 20
    while len({process.pid for process in living_descendants()} - before) < 9 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len({process.pid for process in living_descendants()} - before) >= 9, "the programs never came up"
    starter.kill()
    starter.communicate()  # closes its pipes, too
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        left = [process for process in living_descendants() if process.pid not in before]
        groups = groups_of(starter.pid)
        if not left and not groups:
            break
        time.sleep(0.1)
    assert (left, groups) == ([], [])


def test_the_machine_is_as_before(
    campaigns: Campaigns, single: Executor, machine: Machine, stage: Stage
) -> None:
    campaigns.finish()
    for setting, campaign in campaigns.begun.items():
        campaign.executor.run_python("print()", b"", {}, HONEST_LIMITS)
        assert len(living_descendants()) <= 8 * (PLACES + 1) * len(campaigns.begun), (
            f"{setting}: processes were left behind"
        )
    campaigns.close()
    single.close()
    deadline = time.monotonic() + 10
    while (
        left := [
            one for one in living_descendants() if one.pid not in {stage.victim.pid, *machine.descendants}
        ]
    ) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert machine.picture() == machine.before
