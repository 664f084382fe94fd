"""What a right format is, and a name for everything that is wrong."""

import pytest

from dunwu.rewards.format import format_fault, format_part

RIGHT = [
    "<think>a</think><answer>b</answer>",
    " <think>\na\n</think>\n\n<answer>\nb\n</answer>\n",
    "<think>1 < 2 and <b>bold</b></think> <answer>\\boxed{5}</answer>",
    "<think>想一想</think>\n<answer>五</answer>",
]
WRONG = [
    ("", "<think> is missing"),
    ("5", "<think> is missing"),
    ("<think></think><answer>b</answer>", "the think block is empty"),
    ("<think> \n </think><answer>b</answer>", "the think block is empty"),
    ("<think>a</think><answer></answer>", "the answer block is empty"),
    ("<think>a</think><answer>  </answer>", "the answer block is empty"),
    ("<think>a</think>", "<answer> is missing"),
    ("<think>a</think>b", "<answer> is missing"),
    ("<think>a</think><answer>b", "</answer> is missing"),
    ("<think>a<answer>b</answer>", "</think> is missing"),
    ("a</think><answer>b</answer>", "<think> is missing"),
    ("<think>a</think></think><answer>b</answer>", "</think> occurs 2 times"),
    ("<think>a</think><answer>b</answer></think>", "</think> occurs 2 times"),
    ("<think><think>a</think><answer>b</answer>", "<think> occurs 2 times"),
    ("<think>a</think><think>c</think><answer>b</answer>", "<think> occurs 2 times"),
    ("<think>a</think><answer>b</answer><answer>c</answer>", "<answer> occurs 2 times"),
    ("<think>a</think><answer>b</answer></answer>", "</answer> occurs 2 times"),
    ("so <think>a</think><answer>b</answer>", "text before <think>"),
    ("<think>a</think> so <answer>b</answer>", "text between </think> and <answer>"),
    ("<think>a</think><answer>b</answer> done", "text after </answer>"),
    ("<think>a</think><answer>b</answer><|endoftext|>", "text after </answer>"),
    ("<think>a</think><answer>b</answer>User: next", "text after </answer>"),
    ("<answer>b</answer><think>a</think>", "order <answer> </answer> <think> </think>"),
    ("</think>a<think><answer>b</answer>", "order </think> <think>"),
    ("<think>a</think></answer>b<answer>", "order <think> </think> </answer> <answer>"),
    ("<think>a<answer>b</answer></think>", "order <think> <answer> </answer> </think>"),
    ("<Think>a</Think><answer>b</answer>", "<think> is missing"),
    ("< think>a</think><answer>b</answer>", "<think> is missing"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_format_is_one(text: str) -> None:
    part = format_part(text)
    assert (part.value, part.status, part.detail) == (1.0, "ok", "")


@pytest.mark.parametrize(("text", "fault"), WRONG)
def test_wrong_format_is_zero_and_says_why(text: str, fault: str) -> None:
    part = format_part(text)
    assert (part.value, part.status) == (0.0, "ok")
    assert fault in part.detail


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a</think><answer>b</answer>", None),
        ("\n a </think>\n<answer>b</answer>", None),
        ("<think>a</think><answer>b</answer>", "opened by the prompt and again"),
        ("</think><answer>b</answer>", "the think block is empty"),
        ("a<answer>b</answer>", "</think> is missing"),
        ("a</think>b", "<answer> is missing"),
    ],
)
def test_prompt_that_opened_thinking(text: str, fault: str | None) -> None:
    found = format_fault(text, think_opened_by_prompt=True)
    assert found is None if fault is None else fault in str(found)
