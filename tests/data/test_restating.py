"""Thinking in the first person, and summaries of what holds, by rules."""

import pytest

from dunwu.data.restating import in_first_person, summary_of, true_equations


def test_only_equations_that_hold_are_restated_each_once_in_order():
    text = "12+7=18, wait, 12 + 7 = 19. 19-4=15, so 19-4=15."
    assert true_equations(text) == ["12+7=19", "19-4=15"]


@pytest.mark.parametrize(
    "equation",
    [
        "2+3*4=14",
        "2*3-10=-4",
        "6/4=1.5",
        "2*-3=-6",
        "26%7=5",
        "8÷2×3=12",
        "7-2-1=4",
        "0.5+0.25=0.75",
        "-3+5=2",
    ],
)
def test_arithmetic_is_worked_out_as_it_is_written(equation):
    assert true_equations(equation) == [equation]


@pytest.mark.parametrize("equation", ["2+3*4=20", "7-2-1=6", "1/0=1", "5%0=0", "2+2=5", "3=3", "1+2=3*4"])
def test_what_does_not_hold_is_left_out(equation):
    assert true_equations(equation) == []


def test_a_longer_number_is_not_cut_to_make_it_hold():
    assert true_equations("1+1=25") == []
    assert true_equations("1+1=2.5") == []


def test_a_very_long_sum_is_passed_over_in_no_time():
    assert true_equations("+".join(["1"] * 20000) + "=20000") == []


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("We know that our sum is 3. Let's check.", "I know that my sum is 3. Let me check."),
        ("Then we are done, let us stop.", "Then I am done, let me stop."),
        ("It is up to us, in the US.", "It is up to me, in the US."),
        ("I think 3.", "I think 3."),
    ],
)
def test_english_is_told_by_one_person(said, wanted):
    assert in_first_person(said, "en") == wanted


def test_where_nobody_is_named_an_opening_says_who_thinks():
    assert in_first_person("1+2=3.", "en") == "I will work this out step by step. 1+2=3."
    assert in_first_person("1+2=3。", "zh") == "我一步一步来算。1+2=3。"
    assert in_first_person("我们算1+2=3。", "zh") == "我算1+2=3。"


def test_white_space_is_tidied_and_lines_stay():
    assert in_first_person("  I  add. \n\n\n\n I stop.\n", "en") == "I add.\n\nI stop."


def test_the_summary_holds_the_last_steps_and_the_box():
    thinking = "1+1=2, 2+2=4, 4+4=8."
    assert summary_of(thinking, "8", "en", max_steps=2) == "Steps: 2+2=4, 4+4=8.\nThe answer is $\\boxed{8}$."
    assert summary_of(thinking, "8", "zh") == "步骤：1+1=2，2+2=4，4+4=8。\n答案是$\\boxed{8}$。"
    assert summary_of(thinking, "8", "en", max_steps=0) == "The answer is $\\boxed{8}$."
    assert summary_of("", "print(8)", "en", boxed=False) == "The answer:\nprint(8)"


def test_other_languages_have_no_rules():
    with pytest.raises(KeyError):
        in_first_person("Ja.", "de")
    with pytest.raises(KeyError):
        summary_of("1+1=2", "2", "de")
