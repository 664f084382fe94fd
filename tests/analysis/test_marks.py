import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunwu.analysis.marks import foreign_runs, mixes, opened, parts, pieces
from dunwu.analysis.self_correction import find_correction
from dunwu.config.output_form import PlainForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.rewards.output_form import split

FORMS = [
    ThinkAnswerForm(),
    ThinkAnswerForm(opened_by_prompt=True),
    ThinkForm(),
    ThinkForm(opened_by_prompt=False),
    SpecialTokenForm(),
    SpecialTokenForm(opened_by_prompt=True),
    PlainForm(),
]
TOKENS = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "|special_token|",
    " wait ",
    "a",
    "错",
    "\n",
    "<script>",
]


def told(text, form):
    return [(kind, text[start:end]) for start, end, kind in parts(text, form)]


def test_thinking_answer_and_tags_are_told_apart():
    assert told(" <think> a </think> so <answer> 4 </answer> end", ThinkAnswerForm()) == [
        ("text", " "), ("tag", "<think>"), ("thinking", " a "), ("tag", "</think>"), ("text", " so "),
        ("tag", "<answer>"), ("answer", " 4 "), ("tag", "</answer>"), ("text", " end"),
    ]  # fmt: skip


def test_what_follows_thinking_is_the_summary_in_the_other_forms():
    assert told("a</think>b", ThinkForm()) == [("thinking", "a"), ("tag", "</think>"), ("summary", "b")]
    special = "|special_token|a|special_token|b"
    assert [kind for kind, _ in told(special, SpecialTokenForm())] == ["tag", "thinking", "tag", "summary"]


def test_thinking_that_was_never_closed_is_thinking_to_the_end():
    assert told("<think> a", ThinkAnswerForm()) == [("tag", "<think>"), ("thinking", " a")]


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join), st.sampled_from(FORMS))
def test_parts_are_the_whole_text_and_agree_with_what_the_rewards_see(text, form):
    found = parts(text, form)
    assert "".join(text[a:b] for a, b, _ in found) == text
    if isinstance(form, PlainForm):
        return
    expected = split(text, form)
    thoughts = "".join(text[a:b] for a, b, kind in found if kind == "thinking")
    assert thoughts == (expected.reasoning or "").replace("\n", "") or "\n" in text
    if not isinstance(form, ThinkAnswerForm):
        summary = "".join(text[a:b] for a, b, kind in found if kind == "summary")
        assert summary == (expected.summary or "")


@given(
    st.lists(st.sampled_from([*TOKENS, "2+2=5. Wait, 2+2=4."]), max_size=12).map("".join),
    st.sampled_from(FORMS),
)
def test_pieces_put_together_are_the_text(text, form):
    correction = find_correction(text, "4")
    turns = correction.spans if correction else ()
    assert "".join(p.text for p in pieces(text, form, language="en", turns=turns)) == text


def test_pieces_carry_reflection_words_foreign_words_and_turns_at_once():
    text = "<think> 2+2=5. 等等, Wait, 2+2=4. </think>"
    correction = find_correction(text, "4", text.index("</think>"))
    found = {p.text: p for p in pieces(text, ThinkAnswerForm(), language="en", turns=correction.spans)}
    assert found["2+2=5"].turn == "wrong"
    assert found["2+2=4"].turn == "right"
    assert (found["等等"].word, found["等等"].language, found["等等"].turn) == ("等等", "han", "turn")
    assert (found["Wait"].word, found["Wait"].part) == ("wait", "thinking")


@pytest.mark.parametrize(
    ("text", "language", "question", "runs"),
    [
        ("先算 first then 再算", "zh", "", ["first then"]),
        ("we get 答案 now", "en", "", ["答案"]),
        ("用 $\\text{area}$ 和 `code` 和 <think>", "zh", "", []),
        ("求 apple 的价格", "zh", "一个 Apple 多少钱", []),
        ("GCD 是 4", "zh", "", []),
        ("ответ is four", "ru", "", ["is four"]),
    ],
)
def test_words_of_another_script_are_found_except_what_belongs_to_no_language(text, language, question, runs):
    found = foreign_runs(text, language, question)[0]
    assert [text[a:b] for a, b, _ in found] == runs


def test_one_foreign_word_or_few_among_many_are_no_mixing():
    assert not mixes(1, 2)
    assert not mixes(2, 21)
    assert mixes(2, 20)


def test_the_prompt_says_whether_thinking_is_open():
    assert opened(ThinkAnswerForm(), "... <think>\n").opened_by_prompt
    assert not opened(ThinkForm(), "...").opened_by_prompt
    assert opened(SpecialTokenForm(), "... |special_token|").opened_by_prompt
    assert opened(PlainForm(), "... <think>") == PlainForm()
