"""Rewriting of candidates: by rules, and by someone who is asked."""

from dunwu.config.cold_start import RulesRewrite
from dunwu.records import Problem
from dunwu.rollout.asking import Answer
from dunwu.stages.candidates import Candidate
from dunwu.stages.cold_start import by_asking, by_rules


def candidate(language="en", grader="numeric", *, answer="3", content="3", question="What is 1+2?"):
    problem = Problem("p", "sum", question, "3", grader, language)
    return Candidate(problem, 0, "We add 1+2=3.", content, answer, True)


class Asked:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.questions = []

    def ask(self, questions, on_progress=None):
        self.questions += questions
        return self.answers


def test_rules_write_thinking_and_summary_in_the_question_s_language():
    found = by_rules(candidate(), RulesRewrite())
    assert (found.thinking, found.content) == ("I add 1+2=3.", "Steps: 1+2=3.\nThe answer is $\\boxed{3}$.")
    assert by_rules(candidate("zh"), RulesRewrite(max_steps=0)).content == "答案是$\\boxed{3}$。"


def test_an_answer_in_a_box_is_not_boxed_twice():
    found = by_rules(candidate(answer="It is \\boxed{3}."), RulesRewrite())
    assert found.content.endswith("is $\\boxed{3}$.")


def test_a_program_stays_as_it_is():
    program = "```python\nprint(3)\n```"
    found = by_rules(candidate(grader="code", content=program, answer="print(3)"), RulesRewrite())
    assert found.content == f"Steps: 1+2=3.\nThe answer:\n{program}"


def test_a_language_without_rules_is_dropped_by_name():
    assert by_rules(candidate("de"), RulesRewrite()).dropped == "no_rules_for_language"


def test_who_is_asked_sees_the_paper_s_prompt_and_braces_stay_what_they_are():
    asked = Asked(Answer("So $\\boxed{3}$."), Answer("half", "cut"))
    first, second = by_asking([candidate(question="Is {thought_process} {x}?"), candidate()], asked)
    assert (first.thinking, first.content) == ("We add 1+2=3.", "So $\\boxed{3}$.")
    assert second.dropped == "rewrite_cut"
    assert (
        "## Question\n\nIs {thought_process} {x}?\n\n## Thought process\n\nWe add 1+2=3.\n"
        in asked.questions[0]
    )
    assert "Use \\boxed{} for final answer(s)." in asked.questions[0]
