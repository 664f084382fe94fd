"""Where recipes differ: by key, by the names of stages, and a missing table in one line."""

from dunwu.analysis.recipe_differences import recipe_differences


def test_equal_recipes_do_not_differ() -> None:
    assert recipe_differences([{"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}]) == []


def test_values_are_told_key_by_key() -> None:
    first = {"seed": 1, "stages": [{"name": "zero", "num_steps": 10, "kinds": ["a"]}]}
    second = {"seed": 1, "stages": [{"name": "zero", "num_steps": 20, "kinds": ["a", "b"]}]}
    assert recipe_differences([first, second]) == [
        {"key": "stages.zero.num_steps", "values": ["10", "20"]},
        {"key": "stages.zero.kinds", "values": ['["a"]', '["a", "b"]']},
    ]


def test_a_stage_that_only_one_has_is_one_line_and_shifts_nothing() -> None:
    one, two = {"name": "one", "lr": 0.1, "deep": {"x": 1}}, {"name": "two", "lr": 0.2}
    assert recipe_differences([{"stages": [one, two]}, {"stages": [two]}]) == [
        {"key": "stages.one", "values": ["{...}", None]}
    ]


def test_a_key_inside_a_missing_table_that_two_others_differ_in_is_told() -> None:
    recipes = [{"kl": {"coef": 1}}, {"kl": {"coef": 2}}, {"seed": 1}]
    assert recipe_differences(recipes) == [
        {"key": "kl", "values": ["{...}", "{...}", None]},
        {"key": "kl.coef", "values": ["1", "2", None]},
        {"key": "seed", "values": [None, None, "1"]},
    ]


def test_a_recipe_that_could_not_be_read_is_not_compared() -> None:
    assert recipe_differences([{"seed": 1}, {}, {"seed": 2}]) == [{"key": "seed", "values": ["1", None, "2"]}]
    assert recipe_differences([{"seed": 1}, {}]) == []
