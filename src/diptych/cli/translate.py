"""`diptych translate`: images of one domain into another's."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import diptych
from diptych.cli.fields import Positional, Repeated
from diptych.cli.parse import given_method, parse
from diptych.errors import InputError

if TYPE_CHECKING:
    from diptych.evaluation.familiarity import Watch
    from diptych.inference.translator import Translator

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Translate:
    """Translate images to another domain. Each result keeps its input's size and name."""

    run: Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders of images, or patterns such as "album/**/*.jpg"."""
    to: Repeated[tuple[str, ...]] = ()
    """The target domain; not needed where there is only one. With attributes, give --to once
    for each attribute that the results should have."""
    style: tuple[Path, ...] = ()
    """Style images, instead of --to: the results get their common style (gatys only)."""
    out: Path = Path("translated")
    """Folder for the results; subfolders are kept."""
    format: Literal["png", "jpg", "webp", "tiff", "npy"] | None = None
    """File format of the results. By default PNG for photographs, and the inputs' own for TIFF,
    volumes, arrays and animations."""
    skip_existing: bool = False
    """Leave out files whose result exists, so that a translation that was stopped goes on."""
    max_pixels: int = 178_956_970
    """Larger images are passed over."""
    overwrite: bool = False
    """Replace results that exist."""
    method: str | None = None
    """The module of its method, if it is your own: my_package.my_method or my_method.py."""
    device: str = "auto"
    """cpu, cuda or mps; auto takes the fastest available."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the computation; bf16 is faster on many processors."""
    memory: float = 2.0
    """GiB of memory to use beyond the images. Images that need more are translated in tiles."""
    draws: int | None = None
    """Translations of each image, where a method knows many: photo-1.png, photo-2.png."""
    seed: int = 0
    """Seed for methods that draw when they translate; the first of several draws has it."""
    check: bool = True
    """Warn about inputs that are unlike the training images. Needs a run that was scored."""


def translate_command(arguments: list[str]) -> int:
    # The option was called --samples in 0.1.0.
    renamed = [re.sub(r"^--samples(?==|$)", "--draws", argument) for argument in arguments]
    options = parse(Translate, renamed, "diptych translate")
    if options.style and options.to:
        raise InputError(f"give --to {' '.join(options.to)} or --style, not both")
    translator = diptych.load(
        options.run,
        method=given_method(options.method),
        styles=options.style,
        device=options.device,
        precision=options.precision,
        memory_gib=options.memory,
        draws=options.draws is not None,
    )
    translator.require_translation()
    to = options.to or (translator.domains if len(translator.domains) == 1 else ())
    if not to:
        raise InputError(
            f"--to which domain? {options.run} knows {' and '.join(translator.domains)}"
        )
    watching = _watch(options.run, translator, to) if options.check else None
    result = diptych.translate_files(
        translator,
        options.inputs,
        options.out,
        to=to,
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
        max_pixels=options.max_pixels,
        format=options.format,
        seed=options.seed,
        draws=options.draws,
        seen=None if watching is None else watching.see,
    )
    print(f"{result}\nsee {options.out}")
    if watching is not None and (finding := watching.finding()) is not None:
        _log.warning("%s", finding)
    return 0


def _watch(run: Path, translator: Translator, to: Sequence[str]) -> Watch | None:
    """What looks at the inputs, where the run knows what those of its training were like."""
    from diptych.evaluation.familiarity import watch

    folder = run if run.is_dir() else run.parent
    info = translator.info
    sources = info.domains if info.has_attributes else [d for d in info.domains if d not in to]
    try:
        return watch(folder, sources, info.fingerprint)
    except InputError as error:
        _log.warning("%s", error)
        return None
