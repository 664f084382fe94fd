import importlib.metadata
import json

import pytest

from dunwu.errors import RunError
from dunwu.runs import manifest


def test_versions_are_the_installed_ones_and_what_is_absent_says_so(monkeypatch):
    monkeypatch.setattr(manifest, "PACKAGES", ("numpy", "no-such-package-here"))
    versions = manifest.installed_versions()
    assert versions["numpy"] == importlib.metadata.version("numpy")
    assert versions["no-such-package-here"] == "not installed"
    assert versions["python"].startswith("3.")


def test_a_manifest_comes_back_equal(tmp_path):
    made = manifest.new_manifest({"python": "3.11"})
    manifest.write_manifest(tmp_path / "manifest.json", made)
    assert manifest.read_manifest(tmp_path / "manifest.json") == made


@pytest.mark.parametrize(
    ("text", "said"), [("{", "is damaged"), ('{"format": 1}', "format 1"), ("[]", "format None")]
)
def test_a_manifest_that_cannot_be_read_is_named(tmp_path, text, said):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=rf"manifest\.json.*{said}"):
        manifest.read_manifest(tmp_path / "manifest.json")


def test_differences_name_each_key_with_both_values():
    before = {"name": "a", "stages": [{"lr": 0.1, "task": {"kind": "world"}}], "gone": "x", "same": [1, 2]}
    now = {"name": "a", "stages": [{"lr": 0.2, "task": {"kind": "file", "train": "f"}}], "same": [1, 2]}
    assert manifest.differences(before, now) == [
        "stages.0.lr: was 0.1, is now 0.2",
        'stages.0.task.kind: was "world", is now "file"',
        'stages.0.task.train: was absent, is now "f"',
        'gone: was "x", is now absent',
    ]


def test_lists_of_other_lengths_differ_by_their_places():
    assert manifest.differences({"a": [1]}, {"a": [1, 2]}) == ["a.1: was absent, is now 2"]
    assert json.dumps(manifest.differences({"a": None}, {"a": 0})) == '["a: was null, is now 0"]'
