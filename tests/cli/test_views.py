from io import StringIO

import pytest
from rich.console import Console

from dunwu.cli.views import LiveView, PlainView, run_view
from dunwu.runs.progress import Progress

METRICS = {"reward": 0.5, "accuracy": 0.25, "self_check_frac": 0.125, "kl": None, "unknown": 3}
TIMINGS = {"wall_seconds": 2.0, "generation_tokens_per_second": 1000.0, "peak_memory_bytes": 2e9}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def plain(console, clock):
    return PlainView(console, clock)


def printed(view):
    return view.console.file.getvalue()


def terminal():
    return Console(file=StringIO(), width=90, force_terminal=True, color_system=None, legacy_windows=False)


def rendered(view):
    """What the live view would draw at this instant."""
    console = Console(file=StringIO(), width=90, color_system=None)
    console.print(view)
    return console.file.getvalue()


def test_plain_lines_hold_the_figures_that_matter(plain):
    plain.stage_started("r1_zero", 20)
    plain.step(3, METRICS, TIMINGS)
    assert printed(plain).splitlines() == [
        "stage r1_zero: 20 steps",
        "step  3/20  reward 0.5  right 25.0%  checks 12.5%  kl -  1,000 tok/s sampling  2.0 s/step  34 s left",
    ]


def test_a_line_of_a_step_is_never_broken(clock):
    view = PlainView(Console(file=StringIO(), width=20, color_system=None), clock)
    view.stage_started("r1_zero", 20)
    view.step(20, METRICS, TIMINGS)
    view.message("a diagnosis that is longer than the line is wide")
    assert printed(view).splitlines()[-2].endswith("2.0 s/step  done")
    assert printed(view).splitlines()[-1].endswith("is wide")


def test_a_stage_that_goes_on_says_since_when(plain):
    plain.stage_started("r1_zero", 20, 8)
    assert printed(plain) == "stage r1_zero: 20 steps, going on after step 8\n"


def test_sampling_gives_a_sign_of_life_only_when_it_takes_long(plain, clock):
    plain.generation(0, 64)
    clock.now = 29.0
    plain.generation(10, 64)
    assert printed(plain) == ""
    clock.now = 31.0
    plain.generation(11, 64)
    plain.generation(12, 64)
    clock.now = 62.0
    plain.generation(64, 64)
    assert printed(plain).splitlines() == ["sampling: 11 of 64 completions", "sampling: 64 of 64 completions"]


def test_an_evaluation_is_told_at_its_end(plain):
    plain.evaluation("before", 0, 8)
    plain.evaluation("before", 8, 8)
    assert printed(plain) == "evaluating (before): 8 of 8 samples\n"


@pytest.mark.parametrize(
    "make", [lambda: PlainView(Console(file=StringIO(), width=200)), lambda: LiveView(terminal())]
)
def test_a_message_that_differs_in_numbers_only_is_said_once_a_stage(make):
    view = make()
    view.stage_started("r1_zero", 20)
    view.message("step 1: the loss is 0, the gradient is not (norm 1.4e-3)")
    view.message("step 2: the loss is 0, the gradient is not (norm -0.7)")
    view.message("step 2: something else [bold]")
    assert printed(view).count("gradient is not") == 1
    assert "something else [bold]" in printed(view)
    view.stage_started("again", 20)
    view.message("step 1: the loss is 0, the gradient is not (norm 1)")
    assert printed(view).count("gradient is not") == 2


def test_the_end_of_a_stage_is_told(plain):
    plain.stage_finished("r1_zero", {"wall_seconds": 125})
    plain.stage_finished("next", {})
    assert printed(plain) == "stage r1_zero finished in 2 min 05 s\nstage next finished\n"


def test_the_live_view_draws_progress_figures_and_curves():
    view = LiveView(terminal())
    assert rendered(view).strip() == "loading ..."
    view.stage_started("r1_zero", 20)
    view.evaluation("before", 2, 8)
    assert "evaluating (before) 2/8" in rendered(view)
    view.step(1, {**METRICS, "reward": 0.25}, TIMINGS)
    view.step(2, METRICS, TIMINGS)
    view.generation(16, 64)
    lines = rendered(view).splitlines()
    assert "r1_zero, step 2/20" in lines[0]
    assert "2.0 s/step  36 s left" in lines[0]
    assert "sampling 16/64" in lines[1]
    assert "25.0%" in lines[1]
    assert "reward             0.5  ▁█" in lines[2]
    assert "KL to reference      -" in rendered(view)
    assert "1,000 tok/s sampling, peak memory 2.0 GB" in lines[-1]
    view.generation(64, 64)
    assert "training" in rendered(view)


def test_the_live_view_takes_itself_away_at_the_end():
    console = terminal()
    with LiveView(console) as view:
        view.stage_started("r1_zero", 20)
        view.stage_finished("r1_zero", {"wall_seconds": 1})
    assert "stage r1_zero finished in 1 s" in console.file.getvalue()


def test_the_live_view_goes_away_when_the_run_fails():
    view = LiveView(terminal())
    with pytest.raises(OSError, match="no space"), view:
        raise OSError("no space")
    assert not view._live.is_started


def test_the_view_suits_the_console():
    assert isinstance(run_view(terminal(), plain=False), LiveView)
    assert isinstance(run_view(terminal(), plain=True), PlainView)
    assert isinstance(run_view(Console(file=StringIO()), plain=False), PlainView)


def test_both_views_are_a_progress(plain):
    views: list[Progress] = [plain, LiveView(terminal())]
    for view in views:
        view.stage_started("r1_zero", 1, 0)
        view.step(1, {}, {})
