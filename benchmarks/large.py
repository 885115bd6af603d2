"""The peak memory and time of translating a large photograph by the command line.

    python -m benchmarks.large [--megapixels 12] [--precision bf16]

The generator is CycleGAN's as the paper has it at 256 pixels (9 blocks, width 64)
with random weights; the photograph is scikit-learn's china.jpg, enlarged, 4:3.
Unix only: the memory is the kernel's figure for the child.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

from benchmarks.harness import Result, carry_out, every, parser_of, peak_gib, seconds_of, table
from diptych.checkpoint import TranslatorInfo, inference_weights, save_translator
from diptych.methods.cyclegan import Config, CycleGAN


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("large", __doc__)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB, as of diptych translate")
    parser.add_argument("--width", type=int, default=64, help="fewer channels, for a trial")
    options = parser.parse_args(arguments)
    key = f"{options.megapixels:g} megapixels, {options.precision}"

    return carry_out("large", options, {key: partial(measure, options)}, lines)


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: a row a photograph."""
    heads = ["", "pixels", "`--memory`, GiB", "peak memory, GiB", "minutes"]
    rows = [
        [
            name,
            f"{one['width']}x{one['height']}",
            f"{one['memory_gib']:g}",
            f"{one['peak_gib']:.2f}",
            f"{one['seconds'] / 60:.0f}",
        ]
        for name, one in found.items()
    ]
    yield from table(heads, rows, numbers=True)
    yield ""
    yield (
        f"{every(found.values(), 'threads')} threads of {every(found.values(), 'machine')};"
        f" commit {every(found.values(), 'commit')}."
    )


def measure(options: argparse.Namespace) -> Result:
    """Translates in a process of its own, by the command line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        width, height = _write_photo(folder / "photo.jpg", options.megapixels)
        _write_translator(folder / "translator.safetensors", options.width)
        command = [sys.executable, "-m", "diptych", "translate"]
        command += [str(folder / "translator.safetensors"), str(folder / "photo.jpg"), "--to", "y"]
        command += ["--out", str(folder / "out"), "--precision", options.precision]
        command += ["--memory", str(options.memory)]
        seconds = seconds_of(lambda: subprocess.run(command, check=True))
        with Image.open(folder / "out" / "photo.png") as made:
            if made.size != (width, height):
                raise RuntimeError(f"{width}x{height} became {made.size}")
    return {
        "width": width,
        "height": height,
        "precision": options.precision,
        "memory_gib": options.memory,
        "peak_gib": peak_gib(of_children=True),
        "seconds": seconds,
    }


def _write_photo(path: Path, megapixels: float) -> tuple[int, int]:
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    size = (height * 4 // 3, height)
    Image.fromarray(load_sample_image("china.jpg")).resize(size).save(path, quality=90)
    return size


def _write_translator(path: Path, width: int) -> None:
    torch.manual_seed(0)
    method = CycleGAN(Config(width=width))
    info = TranslatorInfo(
        method="cyclegan",
        config={"width": width},
        domains=("x", "y"),
        size=256,
        step=0,
        fingerprint="",
        source="",
        version="",
    )
    save_translator(path, inference_weights(method), info)


if __name__ == "__main__":
    sys.exit(main())
