"""Rooms stand on floors: the table in ARCHITECTURE.md is the rule, and every import in src/ keeps it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dunwu"
ROW = re.compile(r"^\| (F\d) \| (.+?) \| .+? \| (.+?) \|$", re.MULTILINE)


def read_table() -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return each room's floor, and the rooms that it may use."""
    rows = [(floor, re.findall(r"`(\w+)/?`", rooms), uses) for floor, rooms, uses in ROW.findall(
        (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    )]  # fmt: skip
    floors = {room: floor for floor, rooms, _ in rows for room in rooms}
    allowed = {}
    for floor, rooms, uses in rows:
        named = set(re.findall(r"`(\w+)/?`", uses))
        for low, high in re.findall(r"F(\d)(?:-F?(\d))?", uses):
            named |= {room for room, at in floors.items() if int(low) <= int(at[1:]) <= int(high or low)}
        if uses == "all":
            named = set(floors)
        for room in rooms:
            allowed[room] = named | {room}
        assert named <= set(floors), (floor, uses)
    return floors, allowed


FLOORS, ALLOWED = read_table()


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms whose modules a file imports, wherever in the file the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "dunwu":
                names = [f"dunwu.{alias.name}" for alias in node.names if alias.name != "__version__"]
        found |= {name.split(".")[1] for name in names if name.startswith("dunwu.")}
    return found


def test_the_table_names_every_room_and_no_other():
    rooms = {room_of(path) for path in SOURCE.rglob("*.py") if path.stat().st_size}
    assert rooms - {"__init__", "__main__"} <= set(FLOORS)
    assert FLOORS["functional"] == "F0"
    assert FLOORS["cli"] == "F6"


def test_the_table_allows_only_lower_floors_and_what_it_names_on_the_same():
    for room, allowed in ALLOWED.items():
        above = {other for other in allowed if int(FLOORS[other][1:]) > int(FLOORS[room][1:])}
        assert not above, (room, above)
    assert ALLOWED["functional"] == {"functional", "records", "errors", "kernels"}
    assert ALLOWED["runs"] == {"runs", "functional", "kernels", "config", "records", "errors"}


@pytest.mark.parametrize("room", sorted({room_of(path) for path in SOURCE.rglob("*.py")} & set(FLOORS)))
def test_a_room_imports_only_what_the_table_allows(room):
    for path in SOURCE.rglob("*.py"):
        if room_of(path) == room:
            forbidden = imported_rooms(path) - ALLOWED[room]
            assert not forbidden, f"{path.relative_to(ROOT)} imports {sorted(forbidden)}"


def test_imports_are_seen_wherever_they_stand(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import dunwu.cli.main\ndef f():\n    from dunwu.models import policy\n    from dunwu import runs\n"
    )
    assert imported_rooms(path) == {"cli", "models", "runs"}
