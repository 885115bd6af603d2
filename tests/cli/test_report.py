"""`diptych report`."""

from __future__ import annotations

from diptych.cli.main import main


def test_the_page_is_written_anew_and_its_path_printed(run, capsys) -> None:
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("data:image/png;base64,") + page.count("data:image/webp;base64,") >= 2


def test_a_folder_without_a_run_is_named(fails, tmp_path) -> None:
    assert fails("report", tmp_path).startswith(f"{tmp_path} holds no config.toml: give a run's")
