"""One piece of a bench in a process of its own: `python -m diptych.bench.job SPEC ANSWER`.

Alone in its process a run has its own threads and peak of memory, and what kills it
kills nothing else. It stops, as for Ctrl-C, when its standard input ends: so also when
the process that started it is gone. Behind ANSWER come the modules of methods from outside
that the user named, which it imports.
"""

from __future__ import annotations

import _thread
import contextlib
import hashlib
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch

from diptych.bench.pictures import write_pictures
from diptych.bench.place import SHARES, Place, read_results, run_name, write_json
from diptych.bench.plan import (
    DATA_SETTINGS,
    QUARTERS,
    identity,
    is_missing,
    is_same,
    source_of,
)
from diptych.bench.provenance import Stretches, circumstances
from diptych.bench.tables import of_the_way
from diptych.checkpoint import TRANSLATOR_FILE, load_translator
from diptych.data import Data
from diptych.errors import InputError, dataclass_from
from diptych.evaluation.scores import Memory, installed
from diptych.evaluation.segmentation import segmenter_for
from diptych.files import only_one_process
from diptych.inference.translator import Translator
from diptych.methods import give, make_config, named_method
from diptych.networks.device import cpu_threads, find_device, find_precision
from diptych.scoring import score_file
from diptych.training.changes import Changes
from diptych.training.folder import LOCK_FILE
from diptych.training.log import METRICS_FILE, read_metrics
from diptych.training.loop import DivergedError
from diptych.training.run import open_run_data, resume, train
from diptych.training.session import SNAPSHOTS_FOLDER
from diptych.training.settings import (
    CONFIG_FILE,
    Plan,
    Resolved,
    Settings,
    read_plan,
    write_plan,
)
from diptych.training.speed import seconds_per_step
from diptych.training.trainer import Trainer
from diptych.types import Generates, Method, Translates

STOPPED = 130
_MEASURED_SECONDS = 4.0
_ENDS_WITHIN = 60.0
"""Seconds that a run of a bench that was killed has to save itself."""


def main(arguments: list[str]) -> int:
    """Carry out the spec in a file and write what came of it to another; the exit code."""
    _stop_with_input()
    spec, answer = Path(arguments[0]), Path(arguments[1])
    for module in arguments[2:]:
        give(named_method(module))
    try:
        write_json(answer, carry_out(json.loads(spec.read_text("utf-8"))))
    except KeyboardInterrupt:
        return STOPPED
    return 0


def carry_out(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Measure or train what `make_spec` describes; what cannot be done is told as `why_not`.

    Raises:
        KeyboardInterrupt: it was stopped, and can go on.
    """
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in spec["run"].items()}
    run = dataclass_from(Settings, settings, owner="the bench")
    config = make_config(spec["method"], spec["config"])
    known = circumstances()  # of the code that is loaded, whatever is committed meanwhile
    try:
        if spec["kind"] == "measure":
            return known | measure(spec["method"], config, run)
        return train_and_score(spec, config, run, known)
    except InputError as error:
        return known | {"why_not": str(error)}
    except DivergedError as error:
        return known | {"diverged": str(error).partition(": stopped;")[0]}


def make_spec(kind: str, method: str, config: Any, run: Settings, **more: Any) -> dict[str, Any]:
    """What `carry_out` takes, as JSON holds it. `more` are the names and places of a run."""
    given = {key: value for key, value in asdict(run).items() if value is not None}
    options = {key: value for key, value in asdict(config).items() if value is not None}
    return {"kind": kind, "method": method, "config": options, "run": given, **more}


def measure(method: str, config: Any, run: Settings) -> dict[str, Any]:
    """What a step takes on this machine while it does nothing else, after a few to warm up.

    Returns seconds a step, the peak memory in GiB (None where nobody knows it), how many
    parameters are trained, with which threads, device and precision, and which directions
    and domains there will be scores of.
    """
    device = find_device(run.device)
    data = open_run_data(method, run, config.size)
    threads = run.threads or torch.get_num_threads()
    precision = find_precision(run.precision, device)
    resolved = Resolved(
        domains=data.domains,
        fingerprint=data.fingerprint,
        precision=precision,
        device=str(device),
        threads=threads,
        compiled=run.compile == "on",
    )
    with cpu_threads(threads):
        trainer = Trainer(Plan(method=method, config=config, run=run, resolved=resolved), data)
        try:
            seconds = seconds_per_step(trainer, _MEASURED_SECONDS)
        finally:
            trainer.close()
    groups = cast(Method, trainer.method).groups().values()
    parameters = {p for group in groups for module in group.modules for p in module.parameters()}
    return {
        "seconds_per_step": seconds,
        "peak_gib": _peak_gib(device),
        "parameters": sum(p.numel() for p in parameters),
        "threads": threads,
        "device": device.type,
        "precision": precision,
        "parts": _parts(trainer.method, data),
        "data": _facts(data, run, config.size),
    }


def train_and_score(
    spec: Mapping[str, Any], config: Any, run: Settings, now: Mapping[str, Any]
) -> dict[str, Any]:
    """Train to the end from where the run stands, then score it at each share of the budget.

    `now` are the circumstances.

    Raises:
        KeyboardInterrupt, DivergedError, InputError: as training does.
    """
    method, place = spec["method"], Place(Path(spec["out"]), Path(spec["runs"]))
    folder = place.run(spec["row"], run.seed)
    data = open_run_data(method, run, config.size)
    if data.fingerprint != spec["fingerprint"]:
        raise InputError("the data have changed since the bench began: start it once more")
    steps = run.steps
    assert steps is not None
    run = with_snapshots(replace(run, out=str(folder)))
    stretches = Stretches(place, spec["row"], run.seed, now)
    if is_begun(folder, identity(method, config, run, data.fingerprint, data.domains), run):
        _follow_moved_data(folder, run)
        stretches.begin(anew=False)
        outcome = resume(folder, changes=Changes(device=run.device))
        if outcome.was_finished:
            stretches.had_nothing_to_train()
    elif not spec["trains"]:
        raise InputError(
            f"{folder} holds no such run, so there is nothing to score anew: --overwrite trains it"
        )
    else:
        stretches.begin(anew=True)
        outcome = train(method, config, run, overwrite=True)
    if not outcome.is_finished:
        raise KeyboardInterrupt
    plan = read_plan(folder)
    scores: dict[str, Any] = {}
    memory: Memory = {}
    facts = _facts(data, run, config.size)
    with cpu_threads(run.threads or torch.get_num_threads()):  # as training has: others run too
        segmenter = find_segmenter(data, config.size, run.device)
        for share in SHARES:
            file = folder / SNAPSHOTS_FOLDER / f"{steps * share // 100:08d}.safetensors"
            translator = folder / TRANSLATOR_FILE if share == 100 else file
            result = score_file(
                translator,
                data,
                size=config.size,
                segmenter=segmenter,
                memory=memory,
                device=run.device,
            ).to_dict()
            scores[str(share)] = result if share == 100 else of_the_way(result)
        loaded = Translator(*load_translator(folder), device=run.device)
        draws = is_first_drawn(place, spec["row"], run.seed)
        parts = write_pictures(place, loaded, data, facts, row=spec["row"]) if draws else []
    return {
        **stretches.facts(),
        "steps": steps,
        "seconds": float(read_metrics(folder / METRICS_FILE)[-1]["seconds"]),
        "threads": plan.resolved.threads,
        "device": plan.resolved.device.partition(":")[0],
        "precision": plan.resolved.precision,
        "data": facts,
        "pictures": parts,
        "scores": scores,
    }


def find_segmenter(data: Data, size: int, device: str) -> Any:
    """What tells classes in photographs, for FCN scores; None where the data do not allow it,
    or where its backbone is not installed."""
    test = data.test
    has_pairs = data.train.pairs is not None and test is not None and test.pairs is not None
    has_both = 0 < len(data.palettes) < len(data.domains)
    if not has_pairs or not has_both or installed() is None:
        return None
    return segmenter_for(data, size=size, device=str(find_device(device)))


def is_first_drawn(place: Place, row: str, seed: int) -> bool:
    """Whether no other seed of the row has its pictures kept."""
    drawn = {name for name, run in read_results(place).items() if run.get("pictures")}
    others = {name for name in drawn if name.rpartition("-")[0] == row}
    return others <= {run_name(row, seed)}


def with_snapshots(run: Settings) -> Settings:
    """The run, which keeps its weights at each share of its steps."""
    assert run.steps is not None
    return replace(run, keep_every=run.steps // QUARTERS)


def is_begun(folder: Path, wanted: Mapping[str, Any], run: Settings) -> bool:
    """Whether `folder` holds this very training; another is in the way and is replaced."""
    if not (folder / CONFIG_FILE).exists():
        return False
    try:
        plan = read_plan(folder)
    except InputError:  # of another version
        return False
    of, was = plan.resolved, plan.run
    if run.precision in ("auto", of.precision):  # which may have been left to be found
        was = replace(was, precision=run.precision)
    known = identity(plan.method, plan.config, was, of.fingerprint, of.domains)
    kept = plan.run.keep_every == run.keep_every and plan.run.seed == run.seed
    return kept and is_same(known, wanted)


def _follow_moved_data(folder: Path, run: Settings) -> None:
    """Tell a run that is begun where its data lie by now, if they are where they were no more.

    Palettes train nothing, so those of now hold.
    """
    with only_one_process(folder, LOCK_FILE, wait=_ENDS_WITHIN):
        plan = read_plan(folder)
        places = (plan.run.data, plan.run.x, plan.run.y, plan.run.attributes)
        moved = DATA_SETTINGS if any(is_missing(place) for place in places) else ("palette",)
        now = replace(plan.run, **{name: getattr(run, name) for name in moved})
        if now != plan.run:
            write_plan(folder, replace(plan, run=now))


def _peak_gib(device: torch.device) -> float | None:
    """The most memory that the device, or on a CPU this process, has held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 2**30
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _parts(method: object, data: Data) -> list[str]:
    """The directions and domains that will have scores, where they are known beforehand."""
    if isinstance(method, Translates):
        if data.train.attributes is not None:
            return []
        pairs = itertools.permutations(data.domains, 2)
        return [f"{source}→{target}" for source, target in pairs]
    return list(data.domains) if isinstance(method, Generates) else []


def palettes_of(data: Data) -> str:
    """A digest of what the labels' colours mean, on which scores depend and no training does."""
    known = {name: asdict(palette) for name, palette in sorted(data.palettes.items())}
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def _facts(data: Data, run: Settings, size: int) -> dict[str, Any]:
    return {
        "source": source_of(run),
        "size": size,
        "palettes": palettes_of(data),
        "fingerprint": data.fingerprint,
        "domains": list(data.domains),
        "label_domains": sorted(data.palettes),
        "is_paired": data.test is not None and data.test.pairs is not None,
    }


def _stop_with_input() -> None:
    """Interrupt the main thread when standard input ends, even if Ctrl-C was ignored before."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):  # not sys.stdin, whose lock would be missed as Python ends
                pass
        _thread.interrupt_main(signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
