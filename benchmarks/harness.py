"""What every benchmark shares: its command, its one file of results with what they depend on,
trainings that go on where they stopped, timing by turns, and its table in README.md."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from diptych.bench import provenance
from diptych.bench.place import read_json, write_json
from diptych.errors import InputError
from diptych.evaluation.seeds import interval
from diptych.files import atomic_write_text, only_one_process
from diptych.training.log import METRICS_FILE, read_metrics
from diptych.training.loop import DivergedError
from diptych.training.run import resume, train
from diptych.training.settings import CONFIG_FILE, Settings, read_plan

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
MEANS = "Mean over n seeds ± half of the 95% t-interval; a single seed has none."
_PACKAGES = ("numpy", "pillow", "torchmetrics")
_LOCK_SECONDS = 60.0

Result = dict[str, Any]
Job = Callable[[], Result]


# --- the command --------------------------------------------------------------


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark: where its results and its table go."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=HERE / "results" / f"{name}.json")
    parser.add_argument("--only", choices=("run", "table"), help="do one half of it")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    return parser


def add_training_options(parser: argparse.ArgumentParser, name: str) -> None:
    """The options of a benchmark that trains."""
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    parser.add_argument("--steps", type=int, help="fewer, for a trial")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs" / "benchmark" / name)


def carry_out(
    name: str,
    options: argparse.Namespace,
    jobs: Mapping[str, Job],
    lines: Callable[[Mapping[str, Result]], Iterable[str]],
    *,
    plot: Callable[[Mapping[str, Result], Path], object] | None = None,
    keeps: bool = False,
) -> int:
    """Do the jobs, keep what each found under its name, and show all that is kept.

    `lines` become the table of the benchmark in the README. `plot` draws into `options.plot`.

    With `keeps`, as for trainings, what is done is not done again, and a job that fails does
    not stop the others.

    Returns the exit code: 0, 1 if jobs failed, 2 for input that cannot be used, 130 if stopped.
    """

    def do() -> int:
        failures = 0
        for key, job in jobs.items() if options.only != "table" else ():
            failures += not _done(options.results, key, job, keeps=keeps)
        if options.only != "run":
            found = read_results(options.results)
            if not found:
                raise InputError(
                    f"no results in {options.results}: run python -m benchmarks.{name}"
                )
            replace_block(options.readme, name, lines(found))
            if plot is not None:
                plot(found, options.plot)
        return 1 if failures else 0

    return exit_code(name, do)


def exit_code(name: str, do: Callable[[], int]) -> int:
    """That of `do`, 2 for input that cannot be used, 130 if it was stopped."""
    try:
        return do()
    except InputError as error:
        print(f"benchmarks.{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"benchmarks.{name}: stopped; the same command goes on", file=sys.stderr)
        return 130


def _done(path: Path, key: str, job: Job, *, keeps: bool) -> bool:
    """Whether the job is done, now or before."""
    if keeps and key in read_results(path):
        return True
    known = circumstances()  # of the code that is loaded, whatever is committed meanwhile
    try:
        found = job() | known
    except (InputError, DivergedError) as error:
        if not keeps:
            raise
        say(f"{key} failed: {error}")
        return False
    keep(path, key, found)
    say(f"{key}: {path}")
    return True


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# --- results ------------------------------------------------------------------


def read_results(path: Path) -> dict[str, Result]:
    """What the jobs found, by their names. Raises InputError: the file is damaged."""
    return read_json(path) or {}


def keep(path: Path, key: str, found: Result) -> None:
    """Put one job's figures beside the others', whatever other processes do meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with only_one_process(path.parent, f".{path.name}.lock", wait=_LOCK_SECONDS):
        write_json(path, dict(sorted((read_results(path) | {key: found}).items())))


def circumstances() -> Result:
    """What a figure depends on beside the settings: code, machine, versions, threads."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return provenance.circumstances(HERE) | {
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **versions},
    }


def score(scores: Mapping[str, Any], direction: str, key: str) -> float:
    """The number called `key`, a plain one or one with a mean, of one direction.

    Raises:
        InputError: the scores do not hold it, with what they say instead.
    """
    value = scores.get(direction, {}).get(key)
    if isinstance(value, Mapping):
        value = value.get("mean", value.get("value", value.get("why_not")))
    if not isinstance(value, int | float):
        raise InputError(f"no number for {key} of {direction} in the scores, but {value!r}")
    return float(value)


# --- training and timing ------------------------------------------------------


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


def by_turns(
    measures: Mapping[str, Callable[[], float]], *, rounds: int, seconds: float = 0.0
) -> dict[str, list[float]]:
    """Take each figure once a round, `rounds` times or more, until `seconds` have passed.

    The order alternates: none always follows the heat of the same other.
    """
    figures: dict[str, list[float]] = {name: [] for name in measures}
    began, number = time.perf_counter(), 0
    while number < rounds or time.perf_counter() - began < seconds:
        for name in list(measures)[:: 1 if number % 2 else -1]:
            figures[name].append(measures[name]())
        number += 1
        say(f"round {number}: {', '.join(f'{n} {each[-1]:.3g}' for n, each in figures.items())}")
    return figures


def seconds_of(step: Callable[[], object], count: int = 1) -> float:
    """What one of `count` calls takes."""
    began = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - began) / count


def median_ratio(these: Sequence[float], those: Sequence[float]) -> float:
    """Return the median ratio of figures that were taken by turns."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def peak_gib(*, of_children: bool = False) -> float:
    """The most memory that this process, or one that it waited for, ever held. Unix only."""
    import resource

    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts KiB
    return resource.getrusage(who).ru_maxrss * unit / 2**30


# --- tables -------------------------------------------------------------------


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False
) -> list[str]:
    """The lines of a Markdown table, whose first column holds names; `numbers` end on the right."""
    rule = "|---" + ("|---:" if numbers else "|---") * (len(heads) - 1) + "|"
    lines = [heads, *rows]
    shown = [f"| {' | '.join(cells)} |".replace("|  |", "| |", 1) for cells in lines]
    return [shown[0], rule, *shown[1:]]


def cell(values: Sequence[float], decimals: int, *, counts: bool = True) -> str:
    """Mean and half of the 95% t-interval of a figure a seed, and of how many; a dash of none."""
    if not values:
        return "—"
    mean, half = interval(values)
    text = f"{mean:.{decimals}f}" + ("" if half is None else f" ± {half:.{decimals}f}")
    return f"{text} (n={len(values)})" if counts else text


def new_figure(width: float, height: float) -> Any:
    """A figure of matplotlib, in inches. Raises InputError: matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("the plot needs matplotlib: pip install -e '.[bench]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def every(found: Iterable[Result], key: str) -> str:
    """All that results name as `key`, such as their commits, which are cut short."""
    values = {str(one[key])[: 10 if key == "commit" else None] for one in found if key in one}
    return ", ".join(sorted(values))


def replace_block(readme: Path, name: str, lines: Iterable[str]) -> None:
    """Put `lines` between the markers of `name` in a Markdown page.

    Raises:
        InputError: no markers.
    """
    text = readme.read_text("utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise InputError(f"{readme} must hold {begin} and {end} once each")
    before, rest = text.split(begin)
    after, block = rest.split(end)[1], "\n".join(lines)
    atomic_write_text(readme, f"{before}{begin}\n{block}\n{end}{after}")
    say(f"wrote the table into {readme}")
