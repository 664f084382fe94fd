"""Verdicts are read or told to be unreadable; the embedded world judges by its own truth, and errs as often as it is told to."""

from types import SimpleNamespace

import pytest

from dunwu.config.preference_data import JudgingConfig
from dunwu.data.world import general_words as words
from dunwu.data.world.general import helpfulness, is_harmless
from dunwu.data.world.problems import generate_problems
from dunwu.rollout.asking import Answer
from dunwu.stages.preference_judges import (
    PAIR_PROMPT,
    VERDICTS,
    AskedJudge,
    Judged,
    Query,
    Verdict,
    WorldRules,
    label_of,
    open_judge,
    parse_safety,
    parse_verdict,
)

FACTS = generate_problems(["facts"], ["en"], 4, 1, "train")
HARMFUL = generate_problems(["harmful"], ["en"], 4, 1, "train")


class FixedAsker:
    """Answers each question by the next of given answers, and keeps what it was asked."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.asked = []

    def ask(self, questions, on_progress=None):
        self.asked += questions
        taken, self.answers = self.answers[: len(questions)], self.answers[len(questions) :]
        return taken


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("I think so. [[A>>B]]", 2),
        ("My final verdict is: [[A>B]].", 1),
        ('My final verdict is tie: "[[A=B]]"', 0),
        ("[[B>A]]", -1),
        ("[[ B≫A ]]", -2),
        ("First [[A>B]], and again: [[A>B]]", 1),
        ("[[A>B]] or [[B>A]]", None),
        ("A>>B", None),
        ("[[A>A]]", None),
        ("[[B=A]]", None),
        ("[[A]]", None),
        ("", None),
    ],
)
def test_a_verdict_is_one_of_the_five_labels_or_none(reply, value):
    assert parse_verdict(reply) == value


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("fine: [[safe]]", 1),
        ("[[ Unsafe ]]", 0),
        ("[[safe]] or [[unsafe]]", None),
        ("safe", None),
        ("[[unsafe", None),
    ],
)
def test_a_safety_label_is_safe_or_unsafe_or_none(reply, value):
    assert parse_safety(reply) == value


def test_an_asked_judge_sees_both_answers_in_the_order_shown():
    asker = FixedAsker([Answer("[[A>>B]]"), Answer("who knows"), Answer(fault="cut"), Answer("[[B>A]]")])
    judge = AskedJudge(asker, lambda done, total: None)
    first, second = Judged("m", 0, "answer {second}"), Judged("m", 1, "other")
    verdicts = judge.compare([Query(FACTS[0], first, second, number) for number in range(4)])
    assert verdicts == [Verdict(2), Verdict(fault="unparseable"), Verdict(fault="cut"), Verdict(-1)]
    prompt = asker.asked[0]
    assert prompt.startswith("Please act as an impartial judge")
    assert f"<|User Prompt|>\n{FACTS[0].question}\n" in prompt
    assert (
        "<|The Start of Assistant A's Answer|>\nanswer {second}\n<|The End of Assistant A's Answer|>"
        in prompt
    )
    assert "<|The Start of Assistant B's Answer|>\nother\n<|The End of Assistant B's Answer|>" in prompt
    for label in VERDICTS:
        assert f"[[{label}]]" in PAIR_PROMPT


def test_an_asked_judge_labels_whole_responses():
    asker = FixedAsker([Answer("[[unsafe]]"), Answer("[[safe]]"), Answer(fault="empty")])
    judge = AskedJudge(asker, lambda done, total: None)
    responses = [(HARMFUL[0], Judged("m", i, f"<think>plan</think>text {i}")) for i in range(3)]
    assert judge.label(responses) == [Verdict(0), Verdict(1), Verdict(fault="empty")]
    assert HARMFUL[0].question in asker.asked[0]
    assert "<think>plan</think>text 0" in asker.asked[0]


def test_the_world_compares_by_helpfulness_and_labels_by_harmlessness():
    judge = WorldRules(0.0, 1, "stage")
    problem = FACTS[0]
    texts = ["", *(answer["en"] for _, _, answer in words.FACTS)]
    texts += [f"{subject['en']} {answer['en']}" for _, subject, answer in words.FACTS]
    values = {helpfulness(problem, text) for text in texts}
    assert values == {0.0, 0.5, 1.0}
    for first in texts[::5]:
        for second in texts[::7]:
            (verdict,) = judge.compare([Query(problem, Judged("m", 0, first), Judged("m", 1, second), 0)])
            assert verdict.value == 2 * (helpfulness(problem, first) - helpfulness(problem, second))
    refusal = words.REFUSAL["en"]
    labels = judge.label([(HARMFUL[0], Judged("m", 0, refusal)), (HARMFUL[0], Judged("m", 1, "gladly"))])
    assert [verdict.value for verdict in labels] == [1, 0]
    assert is_harmless(HARMFUL[0], refusal)


def test_noise_is_a_share_of_the_verdicts_and_follows_from_the_seed():
    queries = [
        Query(problem, Judged("m", i, ""), Judged("m", j, ""), number)
        for problem in FACTS
        for i in range(5)
        for j in range(5)
        for number in range(4)
    ]
    quiet, noisy, again, other = (
        [verdict.value for verdict in WorldRules(noise, seed, "stage").compare(queries)]
        for noise, seed in ((0.0, 1), (0.5, 1), (0.5, 1), (0.5, 2))
    )
    assert set(quiet) == {0}
    assert noisy == again != other
    assert set(noisy) == {-2, -1, 0, 1, 2}
    wrong = sum(value != 0 for value in noisy) / len(noisy)
    assert 0.3 < wrong < 0.5  # half are drawn, a fifth of those happens to be right


def test_labels_and_faults_are_counted_by_name():
    assert [label_of(Verdict(value), VERDICTS) for value in (2, -1, 0)] == ["A>>B", "B>A", "A=B"]
    assert label_of(Verdict(fault="cut"), VERDICTS) == "cut"


def test_the_world_judge_is_opened_without_asking_anybody():
    context = SimpleNamespace(seed=1, folder=SimpleNamespace(name="stage"))
    with open_judge(JudgingConfig.model_validate({"by": {"kind": "world"}}), context) as judge:
        assert isinstance(judge, WorldRules)
