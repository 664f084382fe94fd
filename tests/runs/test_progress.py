from dunwu.runs.progress import Progress, QuietProgress


def test_quiet_progress_takes_every_report_and_keeps_steps_and_messages(capsys):
    quiet = QuietProgress()
    progress: Progress = quiet
    progress.stage_started("r1_zero", 4, 1)
    progress.evaluation("before", 0, 8)
    progress.generation(0, 8)
    progress.step(2, {"reward": 1.0}, {"wall_seconds": 1.0})
    progress.message("every completion was cut off")
    progress.stage_finished("r1_zero", {})
    assert quiet.steps == [2]
    assert quiet.messages == ["every completion was cut off"]
    assert capsys.readouterr() == ("", "")
