"""The worked examples of docs/rewards.md come out as the guide says."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from dunwu.config.output_form import OutputForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.config.shaping import LanguageReward
from dunwu.records import Problem
from dunwu.rewards.format import format_part
from dunwu.rewards.item import GradingItem
from dunwu.rewards.language import language_part

GUIDE = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")
FORMS: dict[str, OutputForm] = {
    "`think_answer`": ThinkAnswerForm(),
    "`think`, opened by the prompt": ThinkForm(),
    "`special_token`": SpecialTokenForm(),
}


def rows(heading: str, first_column: str) -> list[list[str]]:
    section = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = section.split(f"| {first_column} |")[1].split("\n\n")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[2:]]
    return [[cell.strip().replace("\\|", "|") for cell in line] for line in lines]


@pytest.mark.parametrize(("thought", "target", "value"), rows("Language consistency", "chain of thought"))
def test_language_examples(thought: str, target: str, value: str) -> None:
    item = GradingItem(Problem("p", "k", "?", "5", "math", target), "", reasoning=thought.strip("`"))
    part = language_part(item, LanguageReward())
    if value == "not_applicable":
        assert part.status == value
    else:
        assert part.value == float(Fraction(value))


@pytest.mark.parametrize(("form", "completion", "value", "detail"), rows("Format", "form"))
def test_format_examples(form: str, completion: str, value: str, detail: str) -> None:
    item = GradingItem(Problem("p", "k", "?", "5", "math"), completion.strip("`"))
    part = format_part(item, FORMS[form])
    assert (part.value, part.detail) == (float(value), detail.replace("`", ""))


def test_the_tables_are_found() -> None:
    assert len(rows("Language consistency", "chain of thought")) == 10
    assert len(rows("Format", "form")) == 6
