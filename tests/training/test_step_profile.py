"""What a profile says of nested phases: their stretches do not overlap, add up to the step, and hold their own operations."""

import gzip
import json
import time

import pytest
import torch

from dunwu.functional.phases import phase
from dunwu.training.step_profile import StepProfile, profile_step

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def profiled() -> StepProfile:
    @phase("product")
    def multiply() -> torch.Tensor:
        return torch.ones(400, 400) @ torch.ones(400, 400)

    with profile_step(CPU) as result:
        with phase("outer"):
            time.sleep(0.05)
            for _ in range(3):
                multiply()
            with phase("large"):
                block = torch.ones(64 * 2**20)  # 256 MiB
                time.sleep(0.1)
                del block
        time.sleep(0.03)
        with phase("outer"):
            torch.ones(10).exp()
    return result


def test_every_phase_is_there_with_its_calls(profiled: StepProfile) -> None:
    calls = {figures.name: figures.calls for figures in profiled.phases}
    assert calls == {"outer": 2, "outer / product": 3, "outer / large": 1, "other": 1}


def test_phases_are_without_those_inside_them_and_add_up(profiled: StepProfile) -> None:
    seconds = {figures.name: figures.seconds for figures in profiled.phases}
    assert sum(seconds.values()) == pytest.approx(profiled.seconds)
    assert sum(figures.share for figures in profiled.phases) == pytest.approx(1)
    assert seconds["outer"] >= 0.05
    assert seconds["outer / large"] >= 0.1
    assert seconds["other"] >= 0.03
    assert [figures.seconds for figures in profiled.phases] == sorted(seconds.values(), reverse=True)


def test_operations_belong_to_the_phase_that_ran_them(profiled: StepProfile) -> None:
    operations = {figures.name: dict(figures.operations) for figures in profiled.phases}
    assert "aten::mm" in operations["outer / product"]
    assert "aten::exp" in operations["outer"]
    assert "aten::mm" not in operations["outer"]
    assert not operations["other"]


def test_memory_is_that_of_the_phase(profiled: StepProfile) -> None:
    peaks = {figures.name: figures.peak_memory_bytes for figures in profiled.phases}
    large, outside = peaks["outer / large"], peaks["other"]
    assert large is not None
    assert outside is not None
    assert large - outside > 200 * 2**20
    assert [moment for moment, _ in profiled.memory] == sorted(moment for moment, _ in profiled.memory)


def test_the_trace_can_be_opened(profiled: StepProfile, tmp_path) -> None:
    path = tmp_path / "x.trace.json.gz"
    profiled.write_trace(path)
    trace = json.loads(gzip.decompress(path.read_bytes()))
    assert any(event.get("name") == "dunwu: product"
               for event in trace["traceEvents"])  # fmt: skip
    assert json.loads(json.dumps(profiled.record()))["phases"][0]["name"] == profiled.phases[0].name


def test_a_step_without_phases_is_all_other() -> None:
    with profile_step(CPU) as result:
        torch.ones(3).sum()
    assert [(figures.name, figures.share) for figures in result.phases] == [("other", pytest.approx(1))]
