"""The peak memory and time of translating a large photograph by the command line.

    python -m benchmarks.large [--megapixels 12] [--precision bf16]

The generator is CycleGAN's as the paper has it at 256 pixels (9 blocks, width 64)
with random weights; the photograph is scikit-learn's china.jpg, enlarged, 4:3.
The last line is JSON. Unix only: the memory is the kernel's figure for the child.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

from benchmarks.running import circumstances, peak_gib
from diptych.checkpoint import TranslatorInfo, inference_weights, save_translator
from diptych.methods.cyclegan import Config, CycleGAN


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB, as of diptych translate")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        width, height = _write_photo(folder / "photo.jpg", options.megapixels)
        _write_translator(folder / "translator.safetensors")
        command = [sys.executable, "-m", "diptych", "translate"]
        command += [str(folder / "translator.safetensors"), str(folder / "photo.jpg"), "--to", "y"]
        command += ["--out", str(folder / "out"), "--precision", options.precision]
        command += ["--memory", str(options.memory)]
        began = time.monotonic()
        done = subprocess.run(command, check=False)
        seconds = time.monotonic() - began
        if done.returncode:
            return done.returncode
        with Image.open(folder / "out" / "photo.png") as made:
            if made.size != (width, height):
                raise RuntimeError(f"{width}x{height} became {made.size}")
    figures = {
        "width": width,
        "height": height,
        "precision": options.precision,
        "memory_gib": options.memory,
        "peak_gib": peak_gib(of_children=True),
        "seconds": seconds,
    }
    print(json.dumps(figures | circumstances()))
    return 0


def _write_photo(path: Path, megapixels: float) -> tuple[int, int]:
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    size = (height * 4 // 3, height)
    Image.fromarray(load_sample_image("china.jpg")).resize(size).save(path, quality=90)
    return size


def _write_translator(path: Path) -> None:
    torch.manual_seed(0)
    method = CycleGAN(Config())
    info = TranslatorInfo(
        method="cyclegan",
        config={},
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
