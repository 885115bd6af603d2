"""`diptych study make`: the images of runs, or of folders, become a study."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import diptych
from diptych.checkpoint import read_translator
from diptych.cli.fields import Positional
from diptych.cli.parse import parse
from diptych.data import Data, open_data
from diptych.errors import InputError
from diptych.inference.translator import Translator
from diptych.study.items import as_text, make_study
from diptych.study.settings import Pairing, Presentation, StudySettings
from diptych.study.sources import HeldOut, folder_items, named_paths
from diptych.training.run import open_plan_data
from diptych.training.settings import CONFIG_FILE, read_plan

_log = logging.getLogger(__name__)

_OF_RUNS = ("source", "data", "split", "images", "device")
_OF_FOLDERS = ("real", "fake", "size", "direction")


@dataclass(frozen=True, kw_only=True)
class Make:
    """Make a study of real images and each method's images.

    From runs: diptych study make RUN... --to DOMAIN --out studies/x
    From folders: diptych study make --real DIR --fake NAME=DIR... --out studies/x
    """

    runs: Positional[tuple[str, ...]] = ()
    """Runs' folders or .safetensors files, each as RUN or NAME=RUN. The default name is the
    method's."""
    out: Path
    """Folder for the study."""
    to: str | None = None
    """The domain to translate to. Its real images are the other half of each pair."""
    source: str | None = None
    """The domain to translate from, where there are more than two."""
    data: str | None = None
    """The data to translate; by default the first run's."""
    split: Literal["test", "validation", "train"] = "test"
    """The images to translate."""
    images: int = 100
    """The most images per domain, evenly spread."""
    real: Path | None = None
    """A folder of real images, for a study of folders."""
    fake: tuple[str, ...] = ()
    """Folders of generated images, each as NAME=FOLDER."""
    size: int | None = None
    """Side in pixels to which the folders' images are scaled and cropped."""
    direction: str | None = None
    """The name of a study of folders in the report, such as "map→photo"."""
    title: str = StudySettings.title
    """The page's heading."""
    contact: str = ""
    """Who runs the study and whom to ask. Shown before people agree to take part."""
    practice: int = StudySettings.practice
    """Practice trials, with feedback; they do not count."""
    trials: int = StudySettings.counted
    """Trials that count."""
    exposure: float = StudySettings.exposure_seconds
    """Seconds for which images are visible."""
    pairing: Pairing = StudySettings.pairing
    """Whether both images of a pair show the same scene: equal names in folders, or true pairs
    in data."""
    presentation: Presentation = StudySettings.presentation
    """Both images at once, or the left one and then the right one."""
    seed: int = 0
    """Seed for methods, images, order, sides, and translations that are drawn."""
    device: str = "auto"
    """cpu, cuda or mps; auto takes the fastest available."""


def make_command(arguments: list[str]) -> int:
    options: Make = parse(Make, arguments, "diptych study make")
    if options.runs and (options.real or options.fake):
        raise InputError("give runs, or --real and --fake, not both")
    this, other, unused = (
        ("runs", "folders", _OF_FOLDERS) if options.runs else ("folders", "runs", _OF_RUNS)
    )
    if options.images < 1:
        raise InputError(f"--images is {options.images}: it must be at least 1")
    if options.size is not None and options.size < 1:
        raise InputError(f"--size is {options.size}: it must be at least 1")
    for name in unused:
        if vars(options)[name] != vars(Make)[name]:
            raise InputError(f"--{name} is for a study of {other}, not of {this}: leave it out")
    if options.out.exists():  # before minutes of translating
        raise InputError(f"{options.out} is there already: give another --out, or remove it")
    if options.runs:
        _make_of_runs(options)
    else:
        _make_of_folders(options)
    print(f"see {options.out}; let people take part: diptych study serve {options.out}")
    return 0


def _make_of_runs(options: Make) -> None:
    if options.to is None:
        raise InputError(
            "--to which domain? Its real images are what translations are held against"
        )
    to = options.to
    paths = named_paths(options.runs, _method_of)
    translators = {name: _load(path, options.device) for name, path in paths.items()}
    held_out = _held_out(options, to, translators, next(iter(paths.values())))
    for translator in translators.values():
        translator.targets(to, source=held_out.source)
    make_study(
        options.out,
        held_out.real(),
        {
            name: held_out.translated(partial(one.translate_batch, seed=options.seed))
            for name, one in translators.items()
        },
        _settings(options, held_out.direction, tuple(translators)),
    )


def _held_out(
    options: Make, to: str, translators: Mapping[str, Translator], first: Path
) -> HeldOut:
    """The images of the direction, of the size that all of the runs have."""
    sizes = {name: one.size for name, one in translators.items()}
    if len(set(sizes.values())) > 1:
        each = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"runs are of different sizes ({each}), which people would see")
    size = next(iter(sizes.values()))
    data = _data_of(first) if options.data is None else open_data(options.data, size=size)
    _check_unseen(data, translators, is_chosen=options.data is not None)
    others = [name for name in data.domains if name != to]
    if options.source is None and len(others) != 1:
        raise InputError(f"--source which domain? {data.source} has {', '.join(data.domains)}")
    source = options.source or others[0]
    return HeldOut(data, source, to, options.split, size, options.images)


def _data_of(run: Path) -> Data:
    """What the run, or that of a file in a run's folder, was trained on."""
    folder = run if run.is_dir() else run.parent
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder} has no {CONFIG_FILE} that names {run}'s data: give --data")
    plan = read_plan(folder)
    return open_plan_data(plan)


def _check_unseen(data: Data, translators: Mapping[str, Translator], *, is_chosen: bool) -> None:
    """What one run holds out another, trained on other data, may have been trained on."""
    prints = {name: one.info.fingerprint for name, one in translators.items()}
    others = [name for name, fingerprint in prints.items() if fingerprint != data.fingerprint]
    if not others:
        return
    finding = (
        f"{', '.join(others)}: trained on other data than {data.source} as it is opened here,"
        " perhaps on its held-out images too"
    )
    if not is_chosen:
        raise InputError(f"{finding}; give --data if they are new to all runs")
    _log.warning("%s", finding)


def _load(path: Path, device: str) -> Translator:
    translator = diptych.load(path, device=device)
    translator.require_translation()
    return translator


def _method_of(path: Path) -> str:
    return read_translator(path)[1].method


def _make_of_folders(options: Make) -> None:
    if options.real is None or not options.fake:
        raise InputError(
            "a study of what? Give runs and --to DOMAIN, or --real FOLDER and --fake NAME=FOLDER"
            " (see diptych study make --help)"
        )
    fakes = named_paths(options.fake, lambda path: path.name)
    make_study(
        options.out,
        folder_items(options.real, size=options.size),
        {name: folder_items(path, size=options.size) for name, path in fakes.items()},
        _settings(options, options.direction or options.to or options.real.name, tuple(fakes)),
    )


def _settings(options: Make, direction: str, methods: tuple[str, ...]) -> StudySettings:
    return StudySettings(
        direction=as_text(direction),
        methods=methods,
        seed=options.seed,
        practice=options.practice,
        counted=options.trials,
        exposure_seconds=options.exposure,
        pairing=options.pairing,
        presentation=options.presentation,
        title=options.title,
        contact=options.contact,
    )
