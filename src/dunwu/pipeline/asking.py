"""How a comparison asks its models, as one of the things it reads: it follows from other stages of the recipe, too.

Called by the pipeline's lineage.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dunwu.config.asked_as import asked_as
from dunwu.config.base import ConfigModel
from dunwu.config.check import has_chat_template
from dunwu.config.comparison import ComparisonStage
from dunwu.config.dump import plain
from dunwu.config.output_form import OutputForm
from dunwu.config.recipe import Recipe
from dunwu.config.reward import AnswerForm
from dunwu.config.task import Template
from dunwu.errors import ConfigError
from dunwu.runs.manifest import differences


class _Asking(ConfigModel):
    """What `asked_as` gives, but for why: a stage upstream may be renamed."""

    template: Template
    output_form: OutputForm
    answer_from: tuple[AnswerForm, ...]
    finds_opening: bool


def asking_facts(stage: ComparisonStage, recipe: Recipe) -> dict[str, Any]:
    """Return how each column's model is asked, by its label, as plain data.

    A column that gives its own template is left out, for the stage's recipe says it all; and one of which nothing tells here,
    because its model is not on this machine.
    """
    facts = {}
    for column in stage.columns:
        if column.template is not None:
            continue
        try:
            asked = asked_as(column, recipe, has_chat_template)
        except ConfigError:
            continue
        facts[column.label] = plain(
            _Asking(
                template=asked.template,
                output_form=asked.form,
                answer_from=asked.answer_from,
                finds_opening=asked.finds_opening,
            )
        )
    return facts


def asking_changes(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List in what the columns that are in both are asked differently, one line for each key."""
    lines = []
    for label, facts in recorded.items():
        if label in now:
            try:
                before = plain(_Asking.model_validate(facts))  # keys of a newer dunwu get their defaults
            except ValidationError:
                before = facts
            lines += differences(before, now[label], f"asked.{label}")
    return lines
