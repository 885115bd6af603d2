"""Workers leave the script that started them alone, on platforms that do not fork too."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from multiprocessing import spawn
from pathlib import Path

import pytest

from diptych.data.workers import _without_main

PASTED = """
import multiprocessing
import diptych

multiprocessing.set_start_method({method!r})
print("here")
run = diptych.train(
    "cyclegan", x={x!r}, y={y!r}, out={out!r}, workers=2, steps=3,
    size=32, width=4, blocks=1, device="cpu", precision="fp32",
)
translator = run.translator(device="cpu")
print(translator.domains, run.evaluate().directions.keys())
"""


def _run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pasted_script_without_a_guard_trains_and_is_run_once(picture_folders, tmp_path, method):
    x, y = picture_folders()
    script, out = tmp_path / "pasted.py", tmp_path / "run"
    script.write_text(PASTED.format(method=method, x=x, y=y, out=str(out)))
    done = _run(script)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "here"
    assert "('dark', 'bright')" in lines[1]
    assert len(lines) == 2
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def test_only_processes_that_the_thread_itself_starts_do_without_the_main_script(monkeypatch):
    script = sys.modules["__main__"]  # as if the tests were started by python script.py
    monkeypatch.setattr(script, "__spec__", None, raising=False)
    monkeypatch.setattr(script, "__file__", "/script.py", raising=False)
    real, elsewhere = spawn.get_preparation_data, []
    with _without_main():
        inside = spawn.get_preparation_data("worker")
        other = threading.Thread(
            target=lambda: elsewhere.append(spawn.get_preparation_data("another"))
        )
        other.start()
        other.join()
    after = spawn.get_preparation_data("worker")
    names = {"init_main_from_name", "init_main_from_path"}
    assert not names & inside.keys()
    assert inside["name"] == "worker"
    assert inside["sys_path"] == after["sys_path"]
    assert names & after.keys() == names & elsewhere[0].keys()
    assert len(names & after.keys()) == 1
    assert spawn.get_preparation_data is real


def test_what_python_calls_is_put_back_after_an_error():
    real = spawn.get_preparation_data
    with pytest.raises(OSError, match="no processes left"), _without_main():
        raise OSError("no processes left")
    assert spawn.get_preparation_data is real
