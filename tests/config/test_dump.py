import tomllib
from types import NoneType
from typing import get_args

import pytest

from dunwu.config.algorithm import Cispo, Dapo, DrGrpo, Grpo, Gspo, SequenceGrpo
from dunwu.config.base import ConfigModel
from dunwu.config.dump import dump_recipe
from dunwu.config.keys import models_of
from dunwu.config.recipe import Recipe

CHANGES = [
    {},
    {"kl": {"refresh_every_steps": "none", "coef": 1e-05}},
    {"optimizer": {"max_grad_norm": "none", "schedule": {"kind": "cosine"}}},
    {"template": {"kind": "chat", "system": 'say "hi"\n\\boxed', "prefill": "<think>\n"}},
    {"template": {"kind": "plain", "text": "问 {question}"}},
    {"task": {"kind": "file", "train": "a.jsonl", "held_out": "b.jsonl"}},
    {"task": {"kind": "file", "train": "none"}},
    {"task": {"kind": "reasoning_gym", "dataset": "chain_sum", "params": {"min_terms": 2, "op": ["+"]}}},
    {"evaluation": {"sampling": {"temperature": 0.6, "stop_strings": ["</answer>"]}, "every_steps": 16}},
    {"rewards": [{"kind": "accuracy", "answer_from": "boxed"}]},
    *[{"objective": {"kind": kind}} for kind in ("sequence_grpo", "dr_grpo", "dapo", "gspo", "cispo")],
]


@pytest.mark.parametrize("changes", CHANGES)
def test_what_is_written_loads_back_equal(stage_recipe, changes):
    recipe = stage_recipe(**changes)
    assert Recipe.model_validate(tomllib.loads(dump_recipe(recipe))) == recipe


def test_every_default_is_written_out(stage_recipe):
    def check(model: ConfigModel, table: dict) -> None:
        for name in type(model).model_fields:
            value = getattr(model, name)
            if value is None and name not in table:
                assert type(model).model_fields[name].default is None
                continue
            assert name in table
            if isinstance(value, ConfigModel):
                check(value, table[name])
            elif isinstance(value, tuple) and value and isinstance(value[0], ConfigModel):
                for inner, entry in zip(value, table[name], strict=True):
                    check(inner, entry)

    recipe = stage_recipe()
    check(recipe, tomllib.loads(dump_recipe(recipe)))


def test_order_is_stable_with_kind_and_name_first(stage_recipe):
    text = dump_recipe(stage_recipe())
    assert text == dump_recipe(stage_recipe())
    assert text.startswith('name = "test"\nseed = 1\n')
    assert '[[stages]]\nkind = "r1_zero"\nname = "r1_zero"\n' in text


def test_a_key_that_is_off_is_always_written_unless_off_is_its_default():
    """Otherwise loading the written recipe would switch it on again."""
    seen = set()

    def walk(model: type[ConfigModel]) -> None:
        if model in seen:
            return
        seen.add(model)
        for name, field in model.model_fields.items():
            if NoneType in get_args(field.annotation):
                assert model.accepts_none(name) or field.default is None, (model, name)
            for inner in models_of(field.annotation).values():
                walk(inner)

    walk(Recipe)
    assert {Grpo, SequenceGrpo, DrGrpo, Dapo, Gspo, Cispo} <= seen
