from dunwu.runs.aside import aside_folders, is_aside, set_aside


def test_folders_are_set_aside_whole_under_the_next_free_name(tmp_path):
    for number in (1, 2):
        stage = tmp_path / "sft_1"
        stage.mkdir()
        (stage / "metrics.jsonl").write_text(str(number))
        target = set_aside(stage)
        assert target == tmp_path / f"sft_1.replaced-{number}"
        assert (target / "metrics.jsonl").read_text() == str(number)
        assert not stage.exists()
    assert [path.name for path in aside_folders(tmp_path)] == ["sft_1.replaced-1", "sft_1.replaced-2"]


def test_only_names_of_folders_set_aside_count_as_such(tmp_path):
    assert is_aside("a-b_c.replaced-12")
    assert not any(map(is_aside, ["sft", "sft.replaced-", "sft.replaced-1.txt", ".replaced-1", "replaced-1"]))
    (tmp_path / "sft.replaced-1").write_text("a file")
    assert aside_folders(tmp_path) == []
