"""Runs, kills and resumes training, by fork: torch is imported once, each kill is a SIGKILL.

Called with a JSON object {"mode", "x", "y", "folder", "steps", "checkpoint_every"},
and for random moments "seed" and "kills";
prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.utils.tensorboard

import diptych.methods.cyclegan
from diptych.methods import make_config
from diptych.training.run import resume, train
from diptych.training.settings import CONFIG_FILE, Settings

torch.set_num_threads(1)
# TensorBoard above, and what the first optimiser imports, are slow: once, before the forks.
torch.optim.Adam([torch.zeros(1, requires_grad=True)])


def run(folder: Path, job: dict[str, Any]) -> None:
    """Train the run in `folder`, from wherever it stands."""
    if (folder / CONFIG_FILE).exists():
        resume(folder)
        return
    config = make_config("cyclegan", {"width": 4, "size": 32, "blocks": 1, "buffer_size": 3})
    settings = Settings(
        x=job["x"], y=job["y"], out=str(folder),
        steps=job["steps"], checkpoint_every=job["checkpoint_every"],
        preview_every=20, device="cpu", precision="fp32", workers=0, ema=0.9, seed=5,
    )  # fmt: skip
    train("cyclegan", config, settings, overwrite=True)


def forked(work: Callable[[], None]) -> int:
    """Do `work` in a child; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def ended_by(child: int) -> int:
    """0 if the child ended well, 9 if it was killed."""
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0, "the child failed: see standard error"
    return 0


def kill_at_random(job: dict[str, Any]) -> dict[str, Any]:
    """SIGKILL at `kills` random moments; runs that end before that are followed by new ones."""
    draws, base = random.Random(job["seed"]), Path(job["folder"])
    began = time.monotonic()
    assert ended_by(forked(lambda: run(base / "whole", job))) == 0
    seconds = time.monotonic() - began
    folders, kills = [base / "killed-0"], 0
    while kills < job["kills"]:
        child = forked(lambda: run(folders[-1], job))
        time.sleep(draws.uniform(0, 2.5 * seconds / job["kills"] + 0.3))
        os.kill(child, signal.SIGKILL)  # of a child that has ended: it is not yet waited for
        if ended_by(child) == signal.SIGKILL:
            kills += 1
        else:
            folders.append(base / f"killed-{len(folders)}")
    assert ended_by(forked(lambda: run(folders[-1], job))) == 0
    return {"folders": [str(folder) for folder in folders], "kills": kills, "seconds": seconds}


def die_at_call(number: int) -> None:
    """SIGKILL this process just before its `number`th rename or sync of a file."""
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return call

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    os.fsync = counted(os.fsync)


def kill_at_each_call(job: dict[str, Any]) -> dict[str, Any]:
    """For each rename and sync of a whole run: a run that dies right before it and is resumed."""
    base = Path(job["folder"])
    assert ended_by(forked(lambda: run(base / "whole", job))) == 0
    folders: list[Path] = []
    while True:
        number = len(folders) + 1
        folder = base / f"killed-{number}"

        def doomed(folder: Path = folder, number: int = number) -> None:
            die_at_call(number)
            run(folder, job)

        if ended_by(forked(doomed)) == 0:
            return {"folders": [str(f) for f in folders], "kills": len(folders)}
        assert ended_by(forked(lambda folder=folder: run(folder, job))) == 0
        folders.append(folder)


if __name__ == "__main__":
    assert diptych.methods.cyclegan, torch.utils.tensorboard
    given = json.loads(sys.argv[1])
    modes = {"random": kill_at_random, "calls": kill_at_each_call}
    print(json.dumps(modes[given["mode"]](given)))
