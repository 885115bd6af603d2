"""Several processes that train one run: the same curve as one with the whole batch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from diptych.checkpoint import load_state
from diptych.errors import InputError
from diptych.training.ranks import Ranks
from diptych.training.run import resume
from diptych.training.settings import read_plan

OPTIONS = ["--size", "32", "--width", "4", "--blocks", "1", "--workers", "0", "--no-evaluate"]
OPTIONS += ["--precision", "fp32", "--device", "cpu", "--threads", "1"]
_TRAIN = ("-m", "diptych", "train")


def _command(processes: int, *arguments: str) -> list[str]:
    """Return the command of torchrun for the training or the script that `arguments` name."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=1"]
    return [*launcher, "--monitor-interval=0.1", f"--nproc-per-node={processes}", *arguments]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}


def _run(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(processes, *arguments),
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _train(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(processes, *_TRAIN, *arguments)


def _losses(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["losses"] for line in lines]


def test_one_process_alone_exchanges_nothing():
    ranks, values = Ranks(), torch.tensor([1.0, 2.0])
    ranks.average([values])
    assert values.tolist() == [1.0, 2.0]
    assert ranks.any(True, False) == (True, False)
    assert ranks.share("plan") == "plan"
    assert ranks.gather(3) == [3]
    assert ranks.is_first


@pytest.mark.slow
def test_two_processes_have_the_curve_and_the_weights_of_one_with_the_whole_batch(start, tmp_path):
    x, y = (str(tmp_path / "data" / name) for name in ("dark", "bright"))
    folders = ["--x", x, "--y", y, "--buffer-size", "0", "--steps", "6"]
    two = tmp_path / "two"
    done = _train(2, "cyclegan", *folders, *OPTIONS, "--batch-size", "1", "--out", str(two))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained 6 steps") == 1  # the first process alone speaks
    one = start({"batch_size": 2, "buffer_size": 0}, steps=6, threads=1).folder
    for ours, theirs in zip(_losses(two), _losses(one), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    weights, others = (load_state(folder)["method"] for folder in (two, one))
    for name, weight in weights.items():
        if weight.ndim > 1:  # biases before a norm follow the sign of rounding errors
            torch.testing.assert_close(weight, others[name], rtol=0, atol=2e-5)


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_run_goes_on(picture_folders, tmp_path):
    x, y = picture_folders()
    arguments = ["cyclegan", "--x", x, "--y", y, *OPTIONS, "--steps", "60"]
    arguments += ["--checkpoint-every", "5", "--buffer-size", "4"]
    whole = tmp_path / "whole"
    assert _train(2, *arguments, "--out", str(whole)).returncode == 0
    folder = tmp_path / "killed"
    with subprocess.Popen(
        _command(2, *_TRAIN, *arguments, "--out", str(folder)),
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as launcher:
        _wait_for(folder / "state.pt")
        worker = _workers(launcher.pid)[1]
        os.kill(worker, signal.SIGKILL)
        output, _ = launcher.communicate(timeout=200)
    assert launcher.returncode == 0, output
    assert load_state(folder)["step"] == 60
    assert _losses(folder) == _losses(whole)  # to the same bits


@pytest.mark.slow
def test_two_processes_go_on_from_the_same_start(paired_folders, tmp_path):
    folder = tmp_path / "two"
    arguments = ["--data", str(paired_folders), *OPTIONS, "--steps", "11", "--starts", "2"]
    done = _train(2, "cyclegan", *arguments, "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trying 2 starts, 2 steps each") == 1
    figures = read_plan(folder).resolved.starts
    assert figures is not None
    assert f"start {figures.index(max(figures)) + 1} goes on" in done.stderr
    assert len(figures) == 2
    assert load_state(folder)["step"] == 11
    assert len(_losses(folder)) == 9


@pytest.mark.slow
def test_another_number_of_processes_is_refused(tmp_path, picture_folders):
    x, y = picture_folders()
    folder = tmp_path / "two"
    arguments = ["--x", x, "--y", y, *OPTIONS, "--steps", "2", "--out", str(folder)]
    assert _train(2, "cyclegan", *arguments).returncode == 0
    with pytest.raises(InputError, match=r"was begun by 2 processes, not 1: go on by torchrun"):
        resume(folder)


@pytest.mark.slow
def test_processes_end_the_threads_of_their_exchange_before_python_ends(tmp_path):
    script = tmp_path / "join.py"
    script.write_text(_JOIN)
    done = _run(2, str(script))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["exchanged True, then 0"] * 2


_JOIN = """
import atexit, torch
from pathlib import Path
from diptych.training.ranks import join_ranks

def exchanging():
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum("gloo" in name for name in names)

before = 0
atexit.register(lambda: print(f"exchanged {before > 0}, then {exchanging()}\\n", end=""))
ranks = join_ranks(torch.device("cpu"))
weight = torch.ones(1, requires_grad=True)
torch.optim.Adam([weight])
ranks.average([weight.detach()])
before = exchanging()
"""


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.05)


def _workers(launcher: int) -> list[int]:
    """The launcher's children, in the order of their ranks."""
    found: dict[int, Any] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                environment = (entry / "environ").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue
            if parent == launcher:
                ranks = [item for item in environment if item.startswith(b"RANK=")]
                if ranks:
                    found[int(ranks[0].partition(b"=")[2])] = int(entry.name)
    return [found[rank] for rank in sorted(found)]


_FAILING = """
import sys
import diptych

def fail(step, losses):
    print("logged", step, flush=True)
    if step == 3:
        raise LookupError("no such thing")

x, y, out = sys.argv[1:]
try:
    diptych.train("cyclegan", x=x, y=y, out=out, steps=60, size=32, width=4, blocks=1, workers=0,
                  precision="fp32", device="cpu", threads=1, logger="none", on_log=fail)
    print("stopped", flush=True)
except LookupError as error:
    print("raised", error, flush=True)
"""


@pytest.mark.slow
def test_a_callback_that_fails_in_the_first_process_stops_both_with_their_states_saved(
    picture_folders, tmp_path
):
    script = tmp_path / "failing.py"
    script.write_text(_FAILING)
    folder = tmp_path / "run"
    done = _run(2, str(script), *picture_folders(), str(folder))
    assert done.returncode == 0, done.stderr
    # Callbacks are called in the first process alone.
    lines = sorted(line for line in done.stdout.splitlines() if line)
    assert lines == ["logged 1", "logged 2", "logged 3", "raised no such thing", "stopped"]
    state = load_state(folder)
    assert (state["step"], len(state["ranks"])) == (3, 2)
