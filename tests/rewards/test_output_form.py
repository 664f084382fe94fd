"""Where thinking ends and the answer begins, for every output form, in right and in broken completions."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.config.output_form import (
    OutputForm,
    PlainForm,
    SpecialTokenForm,
    ThinkAnswerForm,
    ThinkForm,
)
from dunwu.errors import ConfigError
from dunwu.records import Problem, Prompt
from dunwu.rewards.output_form import Split, all_marks, require_opened, split

TAGS = ThinkAnswerForm()
OPENED_TAGS = ThinkAnswerForm(opened_by_prompt=True)
THINK = ThinkForm(opened_by_prompt=False)
OPENED_THINK = ThinkForm()
SAME = SpecialTokenForm(opening="§", separator="§")
OPENED_SAME = SpecialTokenForm(opening="§", separator="§", opened_by_prompt=True)
TWO = SpecialTokenForm(opening="[R]", separator="[S]")
FORMS = (TAGS, OPENED_TAGS, THINK, OPENED_THINK, SAME, OPENED_SAME, TWO)

CASES: list[tuple[OutputForm, str, str | None, str | None]] = [
    (TAGS, "<think>a</think><answer>b</answer>", "a", "<answer>b</answer>"),
    (TAGS, "just text", None, "just text"),
    (TAGS, "", None, ""),
    (TAGS, "<think></think>b", "", "b"),
    (TAGS, "<think>a", "a", None),
    (TAGS, "so <think>a", "a", None),
    (TAGS, "so <think>a</think>b", "a", "b"),
    (TAGS, "a</think>b", "a", "b"),
    (TAGS, "<think>a</think>b</think>c", "a\nb", "c"),
    (TAGS, "<think>a<think>b</think>c", "a\nb", "c"),
    (TAGS, "<think>a</think>b<think>c</think>d", "a\nc", "d"),
    (TAGS, "<think>a</think>b<think>c", "a", "b"),
    (TAGS, "<think>a<think>b", "a\nb", None),
    (TAGS, "<Think>a</Think>b", None, "<Think>a</Think>b"),
    (OPENED_TAGS, "a</think><answer>b</answer>", "a", "<answer>b</answer>"),
    (OPENED_TAGS, "a", "a", None),
    (OPENED_TAGS, "", "", None),
    (OPENED_TAGS, "<answer>5</answer>", "<answer>5</answer>", None),
    (OPENED_TAGS, "<think>a</think>b", "\na", "b"),
    (OPENED_TAGS, "a<think>b", "a\nb", None),
    (THINK, "<think>\na\n</think>\n\nb", "\na\n", "\n\nb"),
    (OPENED_THINK, "a\n</think>\n\n\\boxed{5}", "a\n", "\n\n\\boxed{5}"),
    (OPENED_THINK, "a", "a", None),
    (SAME, "§a§b", "a", "b"),
    (SAME, "§a", "a", None),
    (SAME, "a§b", "b", None),
    (SAME, "a", None, "a"),
    (SAME, "§a§b§c", "a", "b"),
    (SAME, "§a§b§c§d", "a\nc", "d"),
    (SAME, "so §a§b", "a", "b"),
    (OPENED_SAME, "a§b", "a", "b"),
    (OPENED_SAME, "§a§b", "", "a"),
    (OPENED_SAME, "a", "a", None),
    (TWO, "[R]a[S]b", "a", "b"),
    (TWO, "[R]a", "a", None),
    (TWO, "a[S]b", "a", "b"),
    (TWO, "[S]b", "", "b"),
    (TWO, "<think>a</think>b", None, "<think>a</think>b"),
    (SpecialTokenForm(), "|special_token|a|special_token|b", "a", "b"),
    (PlainForm(), "<think>a</think>b", "<think>a</think>b", "<think>a</think>b"),
]


@pytest.mark.parametrize(("form", "text", "reasoning", "answer"), CASES)
def test_split(form: OutputForm, text: str, reasoning: str | None, answer: str | None) -> None:
    assert split(text, form) == Split(reasoning, answer)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.sampled_from(FORMS),
    st.lists(
        st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "§", "[R]", "[S]", "x ", "y "])
    ),
)
def test_parts_never_hold_marks_and_never_share_text(form: OutputForm, pieces: list[str]) -> None:
    numbered = "".join(f"{piece}{i} " if piece[0] in "xy" else piece for i, piece in enumerate(pieces))
    parts = split(numbered, form)
    for part in (parts.reasoning, parts.summary):
        assert part is None or not any(mark in part for mark in all_marks(form)[:2])
    words = [set(re.findall(r"[xy] \d+", part or "")) for part in (parts.reasoning, parts.summary)]
    assert not words[0] & words[1]


@pytest.mark.parametrize("form", FORMS)
def test_everything_is_thinking_exactly_while_it_is_open(form: OutputForm) -> None:
    opened = "" if form.opened_by_prompt else all_marks(form)[0]  # type: ignore[union-attr]
    assert split(f"{opened}to the end", form) == Split("to the end", None)
    assert split(f"{opened}a{all_marks(form)[1]}b", form) == Split("a", "b")


def test_all_marks_are_what_a_right_format_holds() -> None:
    assert all_marks(TAGS) == ("<think>", "</think>", "<answer>", "</answer>")
    assert all_marks(THINK) == ("<think>", "</think>")
    assert all_marks(TWO) == ("[R]", "[S]")
    assert all_marks(PlainForm()) == ()


@pytest.mark.parametrize("form", FORMS)
def test_a_hundred_thousand_marks_are_cut_like_a_few(form: OutputForm) -> None:
    opening, closing = all_marks(form)[:2]
    text = f"{closing}x{opening}y" * 100_000
    few = f"{closing}x{opening}y" * 2
    assert split(text, form).summary == split(few, form).summary


def prompt(text: str) -> Prompt:
    return Prompt(Problem("p", "sum", "2 + 3?", "5", "math"), text, (0,))


def test_a_prompt_must_end_as_the_form_says() -> None:
    require_opened([prompt("2 + 3?")], TAGS)
    require_opened([prompt("2 + 3? <think>\n")], OPENED_THINK)
    require_opened([prompt("<think>\n\n</think>\n\n")], THINK)
    require_opened([prompt("2 + 3?§")], PlainForm())
    with pytest.raises(ConfigError, match=r"opened_by_prompt is false.*<think>.*set it to true"):
        require_opened([prompt("2 + 3?"), prompt("3 + 4?<think>\n")], THINK)
    with pytest.raises(ConfigError, match=r"opened_by_prompt is true.*let the template end with §"):
        require_opened([prompt("2 + 3?§"), prompt("2 + 3?")], OPENED_SAME)
