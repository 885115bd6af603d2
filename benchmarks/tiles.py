"""How far tiles are from the whole image, by memory: the table of docs/explanation/tiles.md.

    python -m benchmarks.tiles [photo] [--width 16]

The generator is CycleGAN's with 9 blocks and random weights; without a photo,
scikit-learn's china.jpg (640x427) is taken.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from PIL import Image

from diptych.checkpoint import TranslatorInfo
from diptych.data.images import read_image
from diptych.inference.translator import Translator
from diptych.methods.cyclegan import Config, CycleGAN


def picture(path: str | None) -> Image.Image:
    if path is not None:
        return read_image(path)
    from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

    return Image.fromarray(load_sample_image("china.jpg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", nargs="?")
    parser.add_argument("--width", type=int, default=16)
    options = parser.parse_args()
    torch.manual_seed(0)
    config = Config(width=options.width, size=256)
    info = TranslatorInfo(
        method="cyclegan",
        config={},
        domains=("x", "y"),
        size=config.size,
        step=0,
        fingerprint="",
        source="",
        version="",
    )
    method, photo = CycleGAN(config), picture(options.photo)
    whole: np.ndarray[tuple[int, ...], np.dtype[np.int16]] | None = None
    print("share of memory  tiles  sweeps  mean of 255   max    time")
    needed = Translator(method, info)._bytes(photo.height, photo.width) / 2**30
    for share in (1.0, 0.5, 0.25, 0.15, 0.1, 0.05):
        start = time.perf_counter()
        translator = Translator(method, info, memory_gib=needed * share * 1.0001)
        made = translator.translate(photo, to="y")
        seconds = time.perf_counter() - start
        levels = np.asarray(made.image, np.int16)
        whole = levels if whole is None else whole
        error = np.abs(levels - whole)
        print(
            f"{share:15.0%}  {made.tiles:5}  {made.sweeps:6}  {error.mean():11.3f}  "
            f"{error.max():4}  {seconds:5.1f} s"
        )


if __name__ == "__main__":
    main()
