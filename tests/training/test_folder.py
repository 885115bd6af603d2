"""The folder of a run: nothing is lost, and nothing of others is touched."""

from __future__ import annotations

import signal

import pytest

from diptych.checkpoint import load_state
from diptych.errors import InputError
from diptych.files import only_one_process
from diptych.training.run import resume
from tests.training.reading import metrics, one_line


def test_an_existing_run_is_not_overwritten_unasked(start):
    folder = start(steps=1).folder
    before = (folder / "state.pt").read_bytes()
    with pytest.raises(InputError) as caught:
        start(steps=1, seed=1)
    message = one_line(caught.value)
    assert str(folder) in message
    assert f"diptych.resume('{folder}')" in message
    assert "overwrite=True" in message
    assert (folder / "state.pt").read_bytes() == before


def test_overwriting_removes_the_runs_files_and_no_others(start):
    folder = start(steps=3, preview_every=1).folder
    (folder / "notes.txt").write_text("mine")
    (folder / "photos").mkdir()
    (folder / "photos" / "one.png").write_bytes(b"mine too")
    start(steps=1, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "photos" / "one.png").read_bytes() == b"mine too"
    assert [line["step"] for line in metrics(folder)] == [1]
    assert len(list((folder / "previews").iterdir())) == 2
    assert load_state(folder)["step"] == 1


def test_a_folder_with_strangers_files_alone_is_used_without_asking(start, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert start(steps=1).is_finished
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_out_that_is_a_file_is_refused(start, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        start(out=str(tmp_path / "file"))


def test_what_kills_left_of_temporary_files_is_removed(start, at_step, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 0, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=2).folder
    for leftover in (".state.new.pt.abcd1234", "previews/.00000000.png.abcd1234"):
        (folder / leftover).write_bytes(b"torn")
    (folder / ".keep").write_text("mine")
    resume(folder)
    assert [p.name for p in folder.glob(".*")] == [".keep"]
    assert not list((folder / "previews").glob(".*"))


def test_two_processes_never_train_one_run(start, at_step, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=3).folder
    before = (folder / "state.pt").read_bytes()
    with only_one_process(folder, "run.lock"):
        with pytest.raises(InputError, match="another process is working in"):
            resume(folder)
        with pytest.raises(InputError, match="another process is working in"):
            start(steps=3, overwrite=True)
    assert (folder / "state.pt").read_bytes() == before
    assert resume(folder).step == 3
