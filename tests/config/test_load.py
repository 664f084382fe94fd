import pytest

from dunwu.config.load import apply_override, load_recipe
from dunwu.errors import ConfigError

GOOD = """\
name = "test"
[model]
path = "micro"
[[stages]]
kind = "r1_zero"
num_steps = 32
rewards = [{kind = "accuracy"}, {kind = "format"}]
[stages.task]
kind = "world"
"""


@pytest.fixture
def write(tmp_path):
    def write(*changes: tuple[str, str]):
        text = GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe(path, overrides)
    text = str(caught.value)
    assert "pydantic" not in text.lower()
    assert "http" not in text
    assert "Input should" not in text
    return text


def test_a_good_recipe_loads_by_path_or_string(write):
    recipe = load_recipe(str(write()))
    assert recipe.stages[0].num_steps == 32
    assert recipe == load_recipe(write())


def test_a_recipe_with_a_byte_order_mark_is_read(write):
    recipe = load_recipe(write())
    path = write(('name = "test"', '\ufeffname = "test"'))
    assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"seed={2**63}", "must be at most 9223372036854775807"),
        ("seed=true", "must be a whole number"),
        ("stages.0.sampling.temperature=1e-300", "must be 0, which is greedy, or at least 0.001"),
        ("stages.0.sampling.temperature=1e300", "must be at most 100"),
        ("stages.0.optimizer.learning_rate=1e300", "must be at most 1"),
        ('stages.0.task={kind="file",train=""}', "is empty; give a name"),
        ('stages.0={kind="sft",data={kind="messages",train=""}}', "is empty; give a name"),
        ('model.path=""', "is empty; give a name"),
    ],
)
def test_values_that_could_only_fail_later_are_refused(write, override, said):
    assert said in refusal(write(), override)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("num_steps = 32", "nun_steps = 32"),
            "line 6: stages.r1_zero.nun_steps = 32\n    is an unknown key; did you mean `num_steps`?",
        ),
        (
            ("num_steps = 32", "learning_rate = 1"),
            "line 6: stages.r1_zero.learning_rate = 1\n"
            "    is an unknown key; did you mean `optimizer.learning_rate`?",
        ),
        (("num_steps = 32", "zzz = 1"), "start, task, template, output_form"),
        (
            ('kind = "accuracy"', 'kind = "accuracy", wieght = 2'),
            "stages.r1_zero.rewards.accuracy.wieght = 2\n    is an unknown key; did you mean `weight`?",
        ),
        (
            ('"world"', '"wrld"'),
            'stages.r1_zero.task\n    kind = "wrld" is not known; did you mean `world`? '
            "Allowed: world, reasoning_gym, file",
        ),
        (
            ('kind = "world"', "num_train = 3"),
            "stages.r1_zero.task\n"
            '    has no `kind`; for example kind = "world", allowed kinds: world, reasoning_gym, file',
        ),
        (
            ('[stages.task]\nkind = "world"', ""),
            'stages.r1_zero.task\n    is missing; for example kind = "world"',
        ),
        (
            ('"r1_zero"', '"r1zero"'),
            'stages.r1zero\n    kind = "r1zero" is not known; did you mean `r1_zero`? Allowed: r1_zero, ',
        ),
        (("num_steps = 32", "num_steps = 0"), "line 6: stages.r1_zero.num_steps = 0\n    must be above 0"),
        (
            ("num_steps = 32", "group_size = 1"),
            "line 6: stages.r1_zero.group_size = 1\n    must be at least 2",
        ),
        (("num_steps = 32", "sampling = {top_p = 1.5}"), "sampling.top_p = 1.5\n    must be at most 1"),
        (("num_steps = 32", "optimizer = {beta1 = 1}"), "optimizer.beta1 = 1\n    must be below 1"),
        (("num_steps = 32", "num_steps = 1.5"), "num_steps = 1.5\n    must be a whole number"),
        (("num_steps = 32", 'num_steps = "many"'), 'num_steps = "many"\n    must be a whole number'),
        (
            ("num_steps = 32", 'kl = {refresh_every_steps = "never"}'),
            'kl.refresh_every_steps = "never"\n    must be a whole number, or "none" to switch it off',
        ),
        (
            ("num_steps = 32", "evaluation = {every_steps = 0}"),
            'every_steps = 0\n    must be above 0, or "none" to switch it off',
        ),
        (("num_steps = 32", "kl = {coef = nan}"), "kl.coef = nan\n    must be a finite number"),
        (("num_steps = 32", 'kl = {coef = "x"}'), 'kl.coef = "x"\n    must be a number'),
        (
            ("num_steps = 32", 'batch = {gradient_checkpointing = "so so"}'),
            'gradient_checkpointing = "so so"\n    must be true or false',
        ),
        (("num_steps = 32", "truncated = true"), "truncated = true\n    is not known. Allowed: keep, mask"),
        (('"micro"', "7"), 'line 3: model.path = 7\n    must be text in "quotes"'),
        (("num_steps = 32", "kl = 3"), "line 6: stages.r1_zero.kl = 3\n    must be a table of keys"),
        (
            ("num_steps = 32", 'sampling = {stop_strings = "x"}'),
            'stop_strings = "x"\n    must be a list, written [a, b]',
        ),
        (("num_steps = 32", "num_steps = 33"), "num_steps is 33; it must be a multiple of"),
        (('"test"', '"a b"'), "line 1: name = \"a b\"\n    must be letters, digits, '.', '_' and '-'"),
        (("[stages.task]", "[task]"), "line 8: task\n    is an unknown key; did you mean `stages.task`?"),
    ],
)
def test_each_mistake_is_told_in_the_recipes_own_words(write, change, said):
    path = write(change)
    text = refusal(path)
    assert said in text
    assert str(path) in text


def test_a_recipe_without_stages_is_told(tmp_path):
    (tmp_path / "r.toml").write_text('name = "x"\nstages = []\nmodel = {path = "micro"}')
    assert "line 2: stages = []\n    is empty; give at least one entry" in refusal(tmp_path / "r.toml")


def test_all_mistakes_are_told_at_once_and_only_those(write):
    text = refusal(write(("num_steps = 32", "num_steps = 0\ngroop_size = 2"), ('"micro"', "7")))
    assert "has 3 mistakes" in text
    assert text.count("\n\n") == 3
    assert "has a mistake" in refusal(write(("num_steps = 32", "num_steps = 0")))


def test_a_syntax_error_shows_its_line_and_place(write):
    text = refusal(write(("num_steps = 32", "num_steps = = 32")))
    assert "line 6 is not TOML" in text
    assert text.endswith("\n  num_steps = = 32\n              ^")


def test_a_syntax_error_at_the_end_has_no_line(write):
    assert "is not TOML: " in refusal(write(('{kind = "format"}]', "")))


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    assert "r.toml cannot be read" in refusal(tmp_path / "r.toml")


def test_values_of_overrides_are_toml_and_plain_words_need_no_quotes(write):
    recipe = load_recipe(
        write(),
        [
            "stages.0.num_steps=48",
            "stages.r1_zero.kl.coef = 1e-2",
            "stages.r1_zero.rewards.format.weight=0.5",
            "stages.0.sampling.stop_strings=['</answer>']",
            'stages.0.objective={kind="dapo"}',
            "stages.0.kl.refresh_every_steps=none",
            "model.path=./some/folder",
            "seed=7",
        ],
    )
    stage = recipe.stages[0]
    assert (stage.num_steps, stage.kl.coef, stage.kl.refresh_every_steps) == (48, 0.01, None)
    assert [reward.weight for reward in stage.rewards] == [1.0, 0.5]
    assert stage.sampling.stop_strings == ("</answer>",)
    assert (stage.objective.kind, recipe.model.path, recipe.seed) == ("dapo", "./some/folder", 7)


def test_a_stage_is_called_by_its_name_rather_than_its_kind(write):
    path = write(("num_steps = 32", 'num_steps = 32\nname = "warm"'))
    assert load_recipe(path, ["stages.warm.num_steps=16"]).stages[0].num_steps == 16


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("num_steps", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("stages..x=3", "write it as key=value"),
        ("stages.r1_zer.num_steps=3", "has no entry r1_zer; did you mean r1_zero? It has 1: r1_zero"),
        ("stages.4.num_steps=3", "has no entry 4. It has 1"),
        ("model.path.x=3", '--set model.path.x=3: model.path is "micro", which has no keys inside it'),
        ("stages.0.rewards=[1", "the value is not TOML"),
        ("stages.0.nun_steps=3", "--set stages.r1_zero.nun_steps = 3\n    is an unknown key; did you mean"),
        ("sead=3", "--set sead = 3\n    is an unknown key; did you mean `seed`?"),
        ("stages.0.num_steps=0", "--set stages.r1_zero.num_steps = 0\n    must be above 0"),
        (
            "model.dtype=fp16",
            '--set model.dtype = "fp16"\n    is not known. Allowed: auto, float32, bfloat16',
        ),
    ],
)
def test_a_wrong_override_is_told_as_one(write, override, said):
    assert said in refusal(write(), override)


def test_an_override_says_where_it_was_set():
    data = {"stages": [{"kind": "a"}, {"kind": "a", "name": "b"}]}
    assert apply_override(data, "stages.b.kl.coef=1") == ("stages", 1, "kl", "coef")
    assert data["stages"][1]["kl"] == {"coef": 1}
