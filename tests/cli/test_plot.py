from dunwu.runs.folder import RunFolder

PNG = b"\x89PNG"


def test_curves_are_drawn_into_the_run_folder_or_elsewhere(invoke, finished_run, tmp_path):
    result = invoke("plot", finished_run)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{finished_run}/curves.png\n"
    assert (finished_run / "curves.png").read_bytes().startswith(PNG)
    assert invoke("plot", finished_run, "--out", tmp_path / "x" / "y.png").exit_code == 0
    assert (tmp_path / "x" / "y.png").read_bytes().startswith(PNG)


def test_a_run_without_a_step_is_told(invoke, tmp_path, recipe):
    RunFolder.open(tmp_path / "r", recipe).close()
    result = invoke("plot", tmp_path / "r")
    assert result.exit_code == 2
    assert "no finished step" in result.stderr
