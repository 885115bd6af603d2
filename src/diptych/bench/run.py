"""A bench from its plan to its results, however often it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console

from diptych.bench.claim import check_claim, claim
from diptych.bench.job import find_segmenter, is_begun, make_spec, palettes_of, with_snapshots
from diptych.bench.lanes import Lane, Piece, on_lanes
from diptych.bench.place import Place, read_json, read_result, write_json, write_result
from diptych.bench.plan import QUARTERS, Bench, Row, check_data, identity, is_same, without_budget
from diptych.bench.results import is_scored_by
from diptych.data import Data
from diptych.errors import InputError, counted
from diptych.files import only_one_process
from diptych.networks.device import Precision, find_device
from diptych.report.facts import duration
from diptych.training.settings import CONFIG_FILE, Settings

_LOCK_FILE = "bench.lock"
OVERHEAD = 1.03
"""What pictures, checkpoints and logs are taken to cost beside the steps."""


@dataclass(frozen=True)
class Job:
    """One training to be done and scored."""

    row: Row
    seed: int
    run: Settings
    """With the steps that the budget amounts to, and the precision that it was timed in."""
    wanted: dict[str, Any]
    """Its identity."""

    @property
    def name(self) -> str:
        return f"{self.row.label}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a bench is carried out; none of it changes what its figures mean."""

    device: str = "auto"
    parallel: int | None = None
    modules: tuple[str, ...] = ()
    """Where the methods from outside are, as the user named them: each run imports them."""
    only: tuple[str, ...] = ()
    """Labels, methods or files' names of the rows to carry out now; all by default."""
    rescore: bool = False
    """Score finished runs anew."""
    overwrite: bool = False
    """Train anew what is there of other options, data or precision."""


class Running:
    """One command's work on a bench."""

    def __init__(
        self,
        bench: Bench,
        place: Place,
        options: Options,
        console: Console,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """`after` is called whenever a run has ended."""
        self._bench, self._place, self._options, self._console = bench, place, options, console
        self._after = after
        self._rows = _chosen(bench, options.only)
        self._data: dict[str, Data] = {}
        self._failures = 0
        self._lanes = _lanes(options)
        self._device = self._lanes[0].device

    def run(self) -> int:
        """Do what is not done yet; returns how many runs failed or diverged.

        Raises:
            InputError: something given cannot be used.
            KeyboardInterrupt: it was stopped; the same command goes on.
        """
        place = self._place
        for row in self._bench.rows:
            self._data[row.slug] = check_data(row, self._bench.opened)
        claimed = [row.run for row in self._bench.rows], self._data.values()
        check_claim(place, *claimed)  # what is refused leaves no folder
        for folder in (place.runs, place.out):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot use {folder}: {error.strerror}") from error
        with only_one_process(place.runs, _LOCK_FILE):
            claim(place, *claimed)
            self._keep(row.label for row in self._rows if self._is_timed_otherwise(row))
            self._measure()
            jobs = [job for job in self._jobs() if not self._is_done(job)]
            self._keep(job.name for job in jobs if self._is_in_the_way(job))
            self._write_plan()
            self._prepare(jobs)
            self._announce(jobs)
            pieces = [self._piece(job) for job in jobs]
            by_stem = {piece.stem: job for piece, job in zip(pieces, jobs, strict=True)}
            self._began: dict[Path, float] = {}
            on_lanes(
                pieces,
                self._lanes,
                begins=lambda piece: self._begin(piece, by_stem[piece.stem]),
                ends=lambda piece, answer: self._end(piece, by_stem[piece.stem], answer),
            )
        return self._failures

    def _keep(self, names: Iterable[str]) -> None:
        """Raises InputError: what is there of `names` would be replaced, and nobody said so."""
        lost = [] if self._options.overwrite else list(names)
        if lost:
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            raise InputError(
                f"{self._place.out} holds trainings of other options or data:"
                f" {'; '.join(lost[:3])}{more}. Give another --out, or --overwrite to train anew"
            )

    def _is_timed_otherwise(self, row: Row) -> bool:
        """Whether there are runs of a row that was timed with other options or data."""
        timed = (read_json(self._place.speed) or {}).get(row.slug)
        if timed is None or self._speed(row) is not None:
            return False
        place = self._place
        return any(
            read_result(place, row.slug, seed) or (place.run(row.slug, seed) / CONFIG_FILE).exists()
            for seed in row.seeds
        )

    def _is_in_the_way(self, job: Job) -> bool:
        """Whether a result, or a run that is not done, is of another training than the job's."""
        known = read_result(self._place, job.row.slug, job.seed)
        if known is not None and "why_not" not in known:
            return not self._is_of(known, job)
        folder = self._place.run(job.row.slug, job.seed)
        wanted = self._identity(job.row, job.run)
        return (folder / CONFIG_FILE).exists() and not is_begun(
            folder, wanted, with_snapshots(job.run)
        )

    def _measure(self) -> None:
        """What a step of each row takes, one after another, before anything else runs."""
        speeds = read_json(self._place.speed) or {}
        pieces = []
        for row in self._rows:
            known = self._speed(row)
            if known is None or "why_not" in known:
                wanted = without_budget(self._identity(row, row.run))
                stem = self._place.runs / f"{row.slug}.speed"
                spec = make_spec("measure", row.method, row.config, row.run)
                pieces.append((Piece(stem, spec, self._options.modules), row, wanted))
        rows = {piece.stem: (row, wanted) for piece, row, wanted in pieces}

        def end(piece: Piece, answer: dict[str, Any]) -> None:
            row, wanted = rows[piece.stem]
            speeds[row.slug] = {"label": row.label, "trained": wanted, **_as_failure(answer)}
            write_json(self._place.speed, dict(sorted(speeds.items())))
            why = speeds[row.slug].get("why_not")
            if why is None:
                self._say(f"{row.label}: {answer['seconds_per_step'] * 1000:.1f} ms a step")
            else:
                self._failures += len(row.seeds)
                self._say(f"{row.label} cannot be trained: {why}")

        if pieces:
            self._say(f"timing {len(pieces)} rows; let the machine do nothing else until then")
        lane = Lane(self._device, None)
        on_lanes([piece for piece, *_ in pieces], [lane], begins=lambda _: None, ends=end)

    def _jobs(self) -> Iterator[Job]:
        """One seed of everything first: a part of them is a result already."""
        seeds = sorted({seed for row in self._rows for seed in row.seeds})
        for seed in seeds:
            for row in self._rows:
                run = self._settings(row)
                if seed in row.seeds and run is not None:
                    run = replace(run, seed=seed)
                    wanted = self._identity(row, run)
                    run = replace(run, precision=self._precision(row, run, wanted))
                    yield Job(row, seed, run, wanted)

    def _settings(self, row: Row) -> Settings | None:
        """The row's with its budget in steps; None where they are unknown or none goes well."""
        speed = self._speed(row)
        if speed is not None and "why_not" in speed:
            return None
        if row.run.steps is not None:
            return row.run
        if speed is None:
            return None
        assert row.run.minutes is not None
        steps = int(60 * row.run.minutes / (speed["seconds_per_step"] * OVERHEAD))
        steps = max(QUARTERS, steps - steps % QUARTERS)
        return replace(row.run, minutes=None, steps=steps)

    def _speed(self, row: Row) -> dict[str, Any] | None:
        """What was timed of the row as it is: not what is there of other options."""
        known: dict[str, Any] | None = (read_json(self._place.speed) or {}).get(row.slug)
        wanted = without_budget(self._identity(row, row.run))
        return known if known and is_same(without_budget(known["trained"]), wanted) else None

    def _precision(self, row: Row, run: Settings, wanted: Mapping[str, Any]) -> Precision:
        """What the row was timed in: "auto" may come out otherwise beside other trainings.

        Of a run that is finished it is the run's own, unless it may be trained anew.
        """
        known = read_result(self._place, row.slug, run.seed)
        is_finished = known is not None and "precision" in known
        is_kept = is_finished and not self._options.overwrite
        if known is None or not is_kept or not is_same(known["trained"], wanted):
            known = self._speed(row)
        if known is None or known.get("device") != torch.device(self._device).type:
            return run.precision
        return cast(Precision, known["precision"])

    def _identity(self, row: Row, run: Settings) -> dict[str, Any]:
        data = self._data[row.slug]
        return identity(row.method, row.config, run, data.fingerprint, data.domains)

    def _write_plan(self) -> None:
        rows = []
        for row in self._bench.rows:
            run = self._settings(row)
            data = self._data[row.slug]
            rows.append(
                {
                    "label": row.label,
                    "row": row.slug,
                    "method": row.method,
                    "groups": list(row.groups),
                    "seeds": list(row.seeds),
                    "minutes": row.run.minutes,
                    "trained": None if run is None else self._identity(row, run),
                    "data": data.fingerprint,
                    "palettes": palettes_of(data),
                }
            )
        left_out = dict(self._bench.left_out)
        plan = {"title": self._bench.title, "rows": rows, "left_out": left_out}
        write_json(self._place.plan, plan)

    def _is_done(self, job: Job) -> bool:
        known = read_result(self._place, job.row.slug, job.seed)
        if known is None or "why_not" in known:  # what failed may go well now
            return False
        return self._is_of(known, job) and not self._is_rescored(job)

    def _is_of(self, known: Mapping[str, Any], job: Job) -> bool:
        """Whether a result is of this job, in the precision too, where that is one device's."""
        is_elsewhere = known.get("device") != torch.device(self._device).type
        is_as_precise = job.run.precision in ("auto", known.get("precision"))
        return is_same(known["trained"], job.wanted) and (is_elsewhere or is_as_precise)

    def _is_rescored(self, job: Job) -> bool:
        """Whether scores that are there are to be made anew, of the weights that are there."""
        known = read_result(self._place, job.row.slug, job.seed) or {}
        there = "scores" in known and self._is_of(known, job)
        palettes = palettes_of(self._data[job.row.slug])
        return there and (self._options.rescore or not is_scored_by(known, palettes))

    def _prepare(self, jobs: Sequence[Job]) -> None:
        """What several runs share is made once, before they would all make it at a time."""
        kinds = {(d.fingerprint, palettes_of(d), job.row.config.size): d
                 for job in jobs for d in [self._data[job.row.slug]]}  # fmt: skip
        for (*_, size), data in kinds.items():
            find_segmenter(data, size, self._device)

    def _piece(self, job: Job) -> Piece:
        place, row = self._place, job.row
        spec = make_spec(
            "run",
            row.method,
            row.config,
            job.run,
            row=row.slug,
            out=str(place.out),
            runs=str(place.runs),
            trains=self._options.overwrite or not self._is_rescored(job),
            fingerprint=self._data[row.slug].fingerprint,
        )
        stem = place.runs / f"{row.slug}-{job.seed}.job"
        return Piece(stem, spec, self._options.modules)

    def _announce(self, jobs: Sequence[Job]) -> None:
        count = sum(1 for _ in self._jobs())
        if not jobs:
            self._say(f"all {count} runs are done")
            return
        speeds = read_json(self._place.speed) or {}
        seconds = sum(
            (job.run.steps or 0) * speeds[job.row.slug]["seconds_per_step"] * OVERHEAD
            for job in jobs
        )
        lanes = len(self._lanes)
        at_once = f", {lanes} at a time" if lanes > 1 else ""
        to_do = f"{len(jobs)} of {counted(count, 'run')} to do{at_once}"
        self._say(f"{to_do}: {duration(seconds)} of training")

    def _begin(self, piece: Piece, job: Job) -> None:
        self._began[piece.stem] = time.monotonic()
        self._say(f"{job.name}: {counted(job.run.steps or 0, 'step')}")

    def _end(self, piece: Piece, job: Job, answer: dict[str, Any]) -> None:
        speed = (read_json(self._place.speed) or {})[job.row.slug]
        costs = {key: speed[key] for key in ("seconds_per_step", "peak_gib", "parameters")}
        names = {"label": job.row.label, "row": job.row.slug, "seed": job.seed}
        result = {**names, "trained": job.wanted, "cost": costs, **answer}
        if "why_not" not in answer or not self._is_rescored(job):  # else the old scores hold
            write_result(self._place, job.row.slug, job.seed, result)
        why = answer.get("diverged") or answer.get("why_not")
        if why is not None:
            self._failures += 1
            self._say(f"{job.name} failed: {why} (see {piece.log})")
        else:
            took = duration(time.monotonic() - self._began[piece.stem])
            self._say(f"{job.name}: trained and scored in {took}")
        try:
            self._after()
        except InputError as error:  # of the pages, which can be made anew: trainings go on
            self._say(str(error))

    def _say(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False, markup=False)


def _as_failure(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of timing; a divergence becomes the reason why a row is not trained."""
    diverged = answer.pop("diverged", None)
    return answer if diverged is None else {**answer, "why_not": diverged}


def _chosen(bench: Bench, only: Sequence[str]) -> tuple[Row, ...]:
    names = {name for row in bench.rows for name in (row.label, row.slug, row.method)}
    for name in only:
        if name not in names:
            labels = ", ".join(row.label for row in bench.rows)
            raise InputError(f"no row {name!r}; there are: {labels}")
    return tuple(
        row for row in bench.rows if not only or {row.label, row.slug, row.method} & set(only)
    )


def _lanes(options: Options) -> list[Lane]:
    """A lane a GPU, or one; with `parallel` so many, which share a CPU's threads."""
    device = find_device(options.device)
    devices = [str(device)]
    if str(device) == "cuda":  # none of them was named
        devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    count = len(devices) if options.parallel is None else options.parallel
    if count < 1:
        raise InputError(f"--parallel is {count}: it must be above 0")
    threads = max(1, torch.get_num_threads() // count) if count > 1 else None
    return [Lane(devices[i % len(devices)], threads) for i in range(count)]
