"""Every part of a recipe refuses unknown keys, never changes, and can be explained."""

import dunwu.config.recipe  # noqa: F401  (defines all parts)
from dunwu.config.base import ConfigModel
from dunwu.config.keys import models_of
from dunwu.config.recipe import Recipe


def every_part(model: type[ConfigModel]) -> set[type[ConfigModel]]:
    found = {model}
    for field in model.model_fields.values():
        for inner in models_of(field.annotation).values():
            if inner not in found:
                found |= every_part(inner)
    return found


PARTS = every_part(Recipe)


def test_every_part_refuses_unknown_keys_and_is_frozen():
    assert len(PARTS) > 20
    for part in PARTS:
        assert part.model_config["extra"] == "forbid", part
        assert part.model_config["frozen"] is True, part


def test_every_part_says_what_it_is():
    for part in PARTS:
        assert part.__doc__, part


def test_alternatives_are_told_apart_by_kind_and_each_kind_is_its_own_default():
    for part in PARTS:
        kind = part.model_fields.get("kind")
        if kind is not None and part.__name__ != "ScheduleConfig":
            assert kind.default, part
