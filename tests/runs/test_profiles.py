import pytest

from dunwu.errors import RunError
from dunwu.runs.profiles import read_profiles, write_profile


def test_what_is_written_is_read_in_the_order_of_the_steps(tmp_path):
    folder = tmp_path / "profile"
    for step in (12, 3):
        path = write_profile(
            folder, step, {"seconds": step / 2}, "| table |", lambda where: where.write_text("trace")
        )
        assert path.read_text() == "| table |"
    assert [(p["step"], p["seconds"]) for p in read_profiles(folder)] == [(3, 1.5), (12, 6.0)]
    assert (folder / "step-000012.trace.json.gz").read_text() == "trace"
    assert read_profiles(tmp_path / "none") == []


@pytest.mark.parametrize("content", ["{", "3", "\xff"])
def test_a_damaged_one_is_named(tmp_path, content):
    (tmp_path / "step-000001.json").write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match=r"step-000001.json is damaged .* profile the stage again"):
        read_profiles(tmp_path)
