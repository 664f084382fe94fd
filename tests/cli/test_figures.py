import pytest

from dunwu.cli.figures import FIGURES, Figure, StepHistory, duration, share, size, sparkline, speeds


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("share", 0.125, "12.5%"),
        ("tokens", 87.25, "87.2"),
        ("number", 0.00123456, "0.00123"),
        ("number", 0, "0"),
    ],
)
def test_a_figure_is_written_by_its_unit(unit, value, text):
    figure = Figure("x", "label", "short", unit)
    assert figure.written({"x": value}) == text
    assert figure.written({"x": None}) == figure.written({}) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert duration(seconds) == text


def test_sizes_and_shares():
    assert (size(1.25e9), size(999_000_000), size(3e6)) == ("1.2 GB", "999 MB", "3 MB")
    assert share(0.9996) == "100.0%"


def test_speeds_name_only_what_was_measured():
    timings = {"generation_tokens_per_second": 1234.6, "training_tokens_per_second": 99}
    assert speeds(timings) == "1,235 tok/s sampling, 99 tok/s training"
    graded = {"grading_seconds": 2.345, "grading_overlap_frac": 0.875}
    assert speeds(graded) == "graded 2.3 s, 87.5% beside sampling"
    assert speeds({"grading_seconds": 0.0, "grading_overlap_frac": None}) == ""
    assert (
        speeds({"generation_tokens_per_second": None, "training_tokens_per_second": 99})
        == "99 tok/s training"
    )
    assert speeds({}) == ""


def test_sparklines_rise_from_lowest_to_highest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, None, 3], 8) == "█▁"
    assert sparkline([2, 2, 2], 8) == "▁▁▁"
    assert sparkline([None], 8) == sparkline([], 8) == ""


def test_long_curves_are_averaged_into_the_width():
    assert sparkline([0, 2, 10, 12, 4, 6], 3) == "▁█▄"
    assert len(sparkline(list(range(1001)), 40)) == 40


def test_the_history_tells_pace_and_time_left():
    history = StepHistory(10, 4)
    assert (history.step, history.seconds_per_step, history.seconds_left) == (4, None, None)
    history.add(5, {"reward": 1.0}, {"wall_seconds": 2.0})
    history.add(6, {"reward": 2.0}, {"wall_seconds": 4.0})
    history.add(7, {}, {})
    assert history.seconds_per_step == 3.0
    assert history.seconds_left == 9.0
    assert history.curves["reward"] == [1.0, 2.0, None]


def test_the_pace_is_that_of_the_last_steps():
    history = StepHistory(100, 0)
    for step in range(1, 41):
        history.add(step, {}, {"wall_seconds": 100.0 if step <= 8 else 1.0})
    assert history.seconds_per_step == 1.0


def test_figures_have_names_of_their_own():
    assert (
        len({figure.key for figure in FIGURES}) == len({figure.short for figure in FIGURES}) == len(FIGURES)
    )
