from dunwu.models.source import local_folder


def test_local_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("DUNWU_CACHE", str(tmp_path))
    assert local_folder("smollm2") == tmp_path / "models" / "smollm2"
    assert local_folder("owner/name") is None
    assert (local_folder("micro") / "config.json").is_file()
