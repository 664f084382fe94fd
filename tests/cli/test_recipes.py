from dunwu import __version__
from dunwu.cli import recipes


def test_recipes_are_listed_with_what_they_say_of_themselves(invoke, tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text("# First line.\n# Second.\nname = 1")
    (tmp_path / "longer.toml").write_text('name = "x"')
    shipped = {path.stem: path for path in sorted(tmp_path.glob("*.toml"))}
    monkeypatch.setattr(recipes, "shipped_recipes", lambda: shipped)
    assert invoke("recipes").stdout == "a       First line.\nlonger\n"
    monkeypatch.setattr(recipes, "shipped_recipes", dict)
    assert invoke("recipes").stdout == ""


def test_the_version_is_the_packages(invoke):
    assert invoke("version").stdout == f"dunwu {__version__}\n"
