import pytest

from dunwu.config import shipped
from dunwu.config.shipped import find_recipe, shipped_recipes
from dunwu.errors import ConfigError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A checkout with two recipes."""
    (tmp_path / "recipes").mkdir()
    for name in ("quickstart", "zero-micro"):
        (tmp_path / "recipes" / f"{name}.toml").write_text("")
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "src" / "dunwu")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shipped_recipes_are_found_by_name_with_and_without_suffix(package):
    assert list(shipped_recipes()) == ["quickstart", "zero-micro"]
    expected = package / "recipes" / "zero-micro.toml"
    assert find_recipe("zero-micro") == find_recipe("zero-micro.toml") == expected


def test_an_installed_package_has_them_beside_its_code(package):
    inside = package / "src" / "dunwu" / "recipes"
    inside.mkdir(parents=True)
    (inside / "installed.toml").write_text("")
    assert shipped_recipes() == {"installed": inside / "installed.toml"}


def test_a_file_of_ones_own_goes_before_a_shipped_one(package):
    (package / "zero-micro.toml").write_text("")
    assert find_recipe("zero-micro.toml").resolve() == (package / "zero-micro.toml").resolve()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recipes/quikstart.toml", "did you mean recipes/quickstart.toml?"),
        ("quikstart", "did you mean quickstart?"),
        ("nothing-like-it", "Recipes that come with dunwu: quickstart, zero-micro"),
        ("no/such/folder/x.toml", "there is no recipe no/such/folder/x.toml"),
        ("recipes", "the recipe recipes is not a file"),
    ],
)
def test_what_is_not_there_is_told_with_what_is_near(package, name, said):
    with pytest.raises(ConfigError) as caught:
        find_recipe(name)
    assert said in str(caught.value)


def test_a_run_folder_given_as_recipe_points_to_its_own(package):
    (package / "run").mkdir()
    (package / "run" / "recipe.toml").write_text("")
    with pytest.raises(ConfigError, match=r"give run/recipe\.toml"):
        find_recipe("run")


def test_without_any_shipped_recipe_the_list_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "a" / "b")
    with pytest.raises(ConfigError) as caught:
        find_recipe("absent")
    assert str(caught.value) == "there is no recipe absent."
