"""The comparison: what its keys refuse, how each column is asked, and what is found wrong before a run starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.asked_as import AskedAs, asked_as
from dunwu.config.check import check_recipe
from dunwu.config.comparison import ComparisonColumn, ComparisonStage
from dunwu.config.output_form import SpecialTokenForm, ThinkForm
from dunwu.config.recipe import Recipe
from dunwu.config.references import references
from dunwu.config.task import ChatTemplate
from dunwu.errors import ConfigError

CHAIN: list[dict[str, Any]] = [
    {"kind": "r1_zero", "task": {"kind": "world"}, "sampling": {"max_new_tokens": 64}},
    {"kind": "sft", "name": "sft_1", "data": {"kind": "world", "kinds": ["sum"]}, "template": {"kind": "r1"}},
    {"kind": "reasoning_rl", "start": "sft_1", "task": {"kind": "world"}, "sampling": {"max_new_tokens": 64}},
]


def make(
    *columns: dict[str, Any], stages: list[dict[str, Any]] | None = None, path: str = "micro", **changes: Any
) -> Recipe:
    stage = {
        "kind": "comparison",
        "task": {"kind": "world"},
        "sampling": {"max_new_tokens": 64},
        "columns": list(columns) or [{"label": "base", "model": "base"}],
        **changes,
    }
    data = {"name": "t", "model": {"path": path}, "stages": [*(CHAIN if stages is None else stages), stage]}
    return Recipe.model_validate(data)


def comparison(recipe: Recipe) -> ComparisonStage:
    stage = recipe.stages[-1]
    assert isinstance(stage, ComparisonStage)
    return stage


def asked(recipe: Recipe, index: int = 0, has: bool | None = False) -> AskedAs:
    return asked_as(comparison(recipe).columns[index], recipe, lambda _: has)


def refusal(recipe: Recipe) -> str:
    with pytest.raises(ConfigError) as caught:
        check_recipe(recipe)
    return str(caught.value)


def test_it_makes_nothing_and_reads_its_columns_models() -> None:
    stage = comparison(make({"label": "base", "model": "base"}, {"label": "R1-Zero", "model": "r1_zero"}))
    assert stage.makes == frozenset()
    assert [(r.key, r.name) for r in references(stage) if r.what == "model"] == [
        ("columns.0.model", "base"),
        ("columns.1.model", "r1_zero"),
    ]


def test_the_papers_protocol_is_the_default() -> None:
    sampling = comparison(make()).sampling
    assert (sampling.temperature, sampling.top_p) == (0.6, 0.95)
    assert type(sampling)().max_new_tokens == 32768


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ("R1-Zero", "r1_zero"),
        ("r1 zero", "r1_zero"),
        ("Dev1", "dev1"),
        ("R1", "r1"),
        ("small model by RL", "small_rl"),
        ("distilled", "distilled"),
        ("base", "base"),
        ("my own", None),
    ],
)
def test_labels_name_roles(label: str, role: str | None) -> None:
    assert ComparisonColumn(label=label, model="base").plays == role
    assert ComparisonColumn(label=label, model="base", role="dev3").plays == "dev3"


def two(**second: Any) -> list[dict[str, Any]]:
    return [{"label": "base", "model": "base"}, {"label": "b", "model": "base", **second}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": []}, "columns"),
        ({"columns": two(label="base")}, "two columns have the label 'base'"),
        ({"columns": two(label="base!")}, "two columns have the file name .* 'base'"),
        ({"columns": two(role="base")}, "two columns have the role 'base'"),
        ({"columns": two(template={"kind": "chat"})}, "template is given and output_form is not"),
        ({"columns": two(output_form={"kind": "think"})}, "output_form is given and template is not"),
        ({"columns": two(model="nobody")}, "nobody"),
        ({"general": {"kind": "world", "kinds": ["manners"]}}, "general is given and general_judge is not"),
        ({"general_judge": {"kind": "world"}}, "general_judge is given and general is not"),
        ({"sampling": {"temperature": 0}}, "samples_per_problem is 16, and at sampling.temperature 0"),
        (
            {
                "general": {"kind": "world", "kinds": ["manners"]},
                "general_judge": {"kind": "pairwise", "by": {"kind": "model"}, "against": "none of them"},
            },
            "general_judge.against is 'none of them', and no column has that label; use one of base",
        ),
        (
            {"general": {"kind": "world", "kinds": ["manners"]}, "general_judge": {"kind": "reward_model"}},
            "names no reward model",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(**changes)


def test_a_model_is_asked_as_it_was_trained() -> None:
    recipe = make(
        {"label": "base", "model": "base"},
        {"label": "R1-Zero", "model": "r1_zero"},
        {"label": "Dev1", "model": "sft_1"},
        {"label": "Dev2", "model": "reasoning_rl"},
    )
    base, zero, dev1, dev2 = (asked(recipe, index) for index in range(4))
    assert (base.template.kind, base.form.kind, base.why) == (
        "r1_zero",
        "think_answer",
        "as in stage r1_zero",
    )
    assert base.answer_from == zero.answer_from == ("answer_tag",)
    assert (dev1.template, dev1.form) == (ChatTemplate(), ThinkForm(opened_by_prompt=False))
    assert (dev1.answer_from, dev1.why) == (("boxed", "text"), "as in stage sft_1")
    assert (dev2.template, dev2.form) == (ChatTemplate(), ThinkForm(opened_by_prompt=False))
    assert not dev2.finds_opening


def test_a_fine_tuned_model_is_asked_by_what_its_conversations_were_written_in() -> None:
    def of(template: dict[str, Any]) -> AskedAs:
        stage = {"kind": "sft", "data": {"kind": "world", "kinds": ["sum"]}, "template": template}
        return asked(make({"label": "a", "model": "sft"}, stages=[stage]))

    special = of({"kind": "r1", "opening": "|s|\n", "separator": "|s|"})
    assert special.form == SpecialTokenForm(opening="|s|", separator="|s|")
    chat = of({"kind": "chat", "system": "Be brief."})
    assert (chat.template, chat.finds_opening) == (ChatTemplate(system="Be brief."), True)
    assert of({"kind": "r1_zero"}).form.kind == "think_answer"
    with pytest.raises(ConfigError, match='stage sft has the template "plain", which does not tell'):
        of({"kind": "plain", "text": "{question}\n"})


def test_a_model_of_nobodys_is_asked_by_its_chat_template_if_it_has_one() -> None:
    recipe = make(stages=[])
    assert (asked(recipe, has=True).template.kind, asked(recipe, has=True).finds_opening) == ("chat", True)
    assert (asked(recipe).template.kind, asked(recipe).why) == ("r1_zero", "it has no chat template")
    with pytest.raises(ConfigError, match=r"nothing tells how to ask base: .* give template and output_form"):
        asked(recipe, has=None)


def test_the_column_has_the_last_word() -> None:
    column = {
        "label": "R1-Zero",
        "model": "r1_zero",
        "template": {"kind": "plain"},
        "output_form": {"kind": "plain"},
        "answer_from": "boxed",
    }
    found = asked(make(column))
    assert (found.template.kind, found.form.kind, found.answer_from) == ("plain", "plain", ("boxed",))
    assert found.why == "as the column says"


def test_what_cannot_work_here_is_told_before_a_run(tmp_path: Path) -> None:
    check_recipe(make())
    assert "stages.comparison.num_problems is 600, and the task holds out 512 (task.num_held_out)" in refusal(
        make(num_problems=600)
    )
    general = {"general": {"kind": "world", "kinds": ["manners"]}, "general_judge": {"kind": "world"}}
    check_recipe(make(**general))
    assert "stages.comparison.num_general is 600" in refusal(make(**general, num_general=600))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "q", "answer": ""}) + "\n")
    own = {"kind": "file", "train": str(rows), "held_out": str(rows)}
    assert 'general_judge.kind is "world", and general.kind is "file"' in refusal(
        make(**{**general, "general": own})
    )
    assert "stages.comparison.columns.base: nothing tells how to ask base" in refusal(
        make(stages=[], path="owner/model")
    )
    assert "sampling.max_new_tokens is 9000" in refusal(make(sampling={"max_new_tokens": 9000}))
    judge = {
        "kind": "pairwise",
        "by": {"kind": "endpoint", "base_url": "http://a", "model": "m", "api_key_env": "NO_SUCH"},
    }
    assert "general_judge.by.api_key_env names the environment variable NO_SUCH" in refusal(
        make(**{**general, "general_judge": judge})
    )
