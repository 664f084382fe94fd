"""The recipes that come with dunwu, found by name: in an installed package beside the code, in a checkout at
its top."""

from pathlib import Path

from dunwu.config.keys import nearest
from dunwu.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with dunwu, by name."""
    installed, checkout = _PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes"
    folder = installed if installed.is_dir() else checkout
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(name: str) -> Path:
    """Return the file that a user means by `name`: a path, or the name of a shipped recipe.

    Raises:
        ConfigError: there is neither; the message names what is near.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if name.removesuffix(".toml") in shipped:
        return shipped[name.removesuffix(".toml")]
    if path.is_dir():
        hint = f"; it is a folder: give {path / 'recipe.toml'}" if (path / "recipe.toml").is_file() else ""
        raise ConfigError(f"the recipe {name} is not a file{hint}")
    beside = [other.name for other in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    known = nearest(path.stem, list(shipped))
    guess = path.parent / near if near else known
    raise ConfigError(
        f"there is no recipe {name}"
        + (f"; did you mean {guess}?" if guess else ".")
        + (f" Recipes that come with dunwu: {', '.join(shipped)}" if shipped else "")
    )
