"""What sound and collapsed translations have of the spread of their inputs and of real images.

    python -m benchmarks.collapse

The thresholds of `diptych.evaluation.collapse` rest on it. Without training: the identity, real
images in any order, true pairs (as they are, blurred, and at a quarter of their contrast) against
one real image for every input (alone, and with 2% of the input), the mean of the real images,
black, white, grey and the mean colour of each input. All of them once more in dark domains, whose
values lie in [-1, -0.9]. Trained: toys of 32 pixels, at eight moments of each training, and first
weights. Each figure is of 100 test images and, as previews have them, the least and the most over
50 draws of 6. Of the draws, the verdicts are counted. The tables go into benchmarks/README.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import (
    HERE,
    carry_out,
    every,
    parser_of,
    table,
    train_to_end,
)
from diptych.bench.plan import slug
from diptych.checkpoint import load_translator
from diptych.data import evaluation_images, evaluation_pairs, open_data
from diptych.data.collections import evenly_spaced
from diptych.evaluation.collapse import Collapse, collapse
from diptych.inference.translator import Translator
from diptych.methods import build, make_config
from diptych.networks.device import cpu_threads
from diptych.training.presets import chosen
from diptych.training.session import SNAPSHOTS_FOLDER
from diptych.training.settings import Settings
from diptych.types import Translates

RUNS = HERE.parent / "runs" / "benchmark" / "collapse"
SIZE, IMAGES = 32, 100
SAMPLES = ("digits-color", "earth-climate", "emoji")
DRAWS, PREVIEW = 50, 6
"""Draws of as many images as a preview shows."""
MOMENTS = 8
UNTRAINED = "first weights"
COLLAPSED = ("one real image", "one real image + 2% input", "mean of real images", "black",
             "white", "grey", "each input's colour")  # fmt: skip
"""The outputs that are not sound. All others that are made are."""


@dataclass(frozen=True)
class Toy:
    """A training of minutes."""

    sample: str
    method: str
    recipe: str | None = None
    steps: int = 400
    lr_scale: float = 3.0
    config: Mapping[str, float] = field(default_factory=dict)
    is_sound: bool = True
    """Whether it was set up to work. If not, it is to collapse."""


TOYS = {
    "CycleGAN, digits": Toy("digits-color", "cyclegan"),
    "CycleGAN, climate": Toy("earth-climate", "cyclegan"),
    "CycleGAN, emoji": Toy("emoji", "cyclegan"),
    "UNIT, climate": Toy("earth-climate", "unit", steps=160),
    "pix2pix, emoji": Toy("emoji", "pix2pix", steps=160),
    "CycleGAN, digits, learning rate times 100": Toy(
        "digits-color", "cyclegan", steps=160, lr_scale=300.0, is_sound=False
    ),
    "CycleGAN, climate, learning rate times 100": Toy(
        "earth-climate", "cyclegan", steps=160, lr_scale=300.0, is_sound=False
    ),
    "UNIT, climate, KL weights times 10,000": Toy(
        "earth-climate",
        "unit",
        steps=160,
        config={"kl_weight": 1000.0, "cycle_kl_weight": 1000.0},
        is_sound=False,
    ),
    "GAN alone, climate": Toy("earth-climate", "cyclegan", recipe="gan-alone"),
}
Case = tuple[str, Tensor, Tensor, bool]
"""A direction, its inputs, real images of its target, and whether these are the true pairs."""


def cases(sample: str) -> list[Case]:
    """Both directions of a sample, of test images."""
    data = open_data(f"sample:{sample}", size=SIZE)
    assert data.test is not None
    pairs, how = data.test.pairs, {"size": SIZE, "is_tiled": data.is_tiled}
    if pairs is not None:
        x, y = evaluation_pairs(pairs, evenly_spaced(len(pairs[0]), IMAGES), **how)  # type: ignore[arg-type]
    else:
        x, y = (
            evaluation_images(images, evenly_spaced(len(images), IMAGES), **how)  # type: ignore[arg-type]
            for images in data.test.domains
        )
    there, back = "→".join(data.domains), "→".join(data.domains[::-1])
    return [(there, x, y, pairs is not None), (back, y, x, pairs is not None)]


def dark(case: Case) -> Case:
    """The same in domains whose values lie in [-1, -0.9]."""
    name, x, y, is_paired = case
    return f"{name}, dark", (x + 1) / 20 - 1, (y + 1) / 20 - 1, is_paired


def made(x: Tensor, y: Tensor, *, is_paired: bool) -> dict[str, Tensor]:
    """Outputs for (N, C, H, W) inputs that no network made, by their names."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    found = {"inputs as they are": x, "real images, any order": y[order]}
    if is_paired:
        found["true pairs"] = y
        found["true pairs, blurred"] = F.interpolate(F.avg_pool2d(y, 8), scale_factor=8)
        middle = y.mean((0, 2, 3), keepdim=True)
        found["true pairs, a quarter of contrast"] = middle + (y - middle) / 4
    one = y[:1].expand(len(x), -1, -1, -1)
    outputs = (
        one,
        one + 0.02 * x,
        y.mean(0, keepdim=True).expand(len(x), -1, -1, -1),
        torch.full_like(x, -1.0),
        torch.full_like(x, 1.0),
        torch.zeros_like(x),
        x.mean((2, 3), keepdim=True).expand_as(x),
    )
    return found | dict(zip(COLLAPSED, outputs, strict=True))


def measured(outputs: Tensor, x: Tensor, y: Tensor, *, is_paired: bool) -> dict[str, Any]:
    """The shares of the reference of all images, and of draws of a few."""
    rng, draws = torch.Generator().manual_seed(1), []
    for _ in range(DRAWS):
        some = torch.randperm(len(x), generator=rng)[:PREVIEW]
        others = some if is_paired else torch.randperm(len(y), generator=rng)[:PREVIEW]
        draws.append(collapse(outputs[some], x[some], y[others]))
    whole = collapse(outputs, x, y)
    verdicts = Counter(one.verdict or "none" for one in draws)
    return {
        "verdict": whole.verdict,
        "verdicts_of_draws": dict(sorted(verdicts.items())),
        "across": _range(whole, draws, lambda one: one.across_share),
        "within": _range(whole, draws, lambda one: one.within_share),
    }


def _range(
    whole: Collapse, draws: list[Collapse], share: Callable[[Collapse], float | None]
) -> list[float | None]:
    """Return the figure of all images, then the least and the most of the draws that have a
    reference."""
    known = [value for value in map(share, draws) if value is not None]
    figures = [share(whole), min(known, default=None), max(known, default=None)]
    return [None if value is None else round(value, 4) for value in figures]


def measure_made(sample: str) -> dict[str, Any]:
    """`measured` of the outputs that no network made, by direction."""
    rows = {}
    for case in cases(sample):
        for name, x, y, is_paired in (case, dark(case)):
            outputs = made(x, y, is_paired=is_paired)
            rows[name] = {
                key: measured(output, x, y, is_paired=is_paired) for key, output in outputs.items()
            }
    return {"rows": rows}


def measure_trained(toy: Toy, folder: Path, options: Any) -> dict[str, Any]:
    """`measured` at each moment of a training that is carried out first, by direction."""
    config, run = chosen(toy.method, preset="fast", recipe=toy.recipe)
    steps = options.steps or toy.steps
    settings = run | {"lr_scale": toy.lr_scale, "keep_every": max(1, steps // MOMENTS)}
    settings |= {"precision": "fp32", "workers": 0, "logger": "none", "compile": "off"}
    settings |= {"data": f"sample:{toy.sample}", "steps": steps, "threads": options.threads}
    settings |= {"out": str(folder), "device": "cpu", "preview_every": steps}
    made_config = make_config(toy.method, config | {"size": SIZE, "width": 16, **toy.config})
    train_to_end(toy.method, made_config, Settings(**settings))
    rows: dict[str, Any] = {}
    known = cases(toy.sample)
    for path in sorted((folder / SNAPSHOTS_FOLDER).glob("*.safetensors")):
        translator = Translator(*load_translator(path), device="cpu")
        for name, x, y, is_paired in known:
            to = name.partition("→")[2]
            with torch.no_grad(), cpu_threads(options.threads):
                outputs = translator.translate_batch(x, to)
            row = measured(outputs, x, y, is_paired=is_paired)
            rows.setdefault(name, {})[str(int(path.stem))] = row
    return {"rows": rows, "steps": steps, "lr_scale": toy.lr_scale}


def measure_untrained(options: Any) -> dict[str, Any]:
    """`measured` of first weights, by method and direction."""
    rows: dict[str, Any] = {}
    for toy in {toy.method: toy for toy in TOYS.values()}.values():
        config, _ = chosen(toy.method, preset="fast")
        torch.manual_seed(0)
        method = build(
            toy.method, make_config(toy.method, config | {"size": SIZE, "width": 16}), (3, 3)
        )
        assert isinstance(method, Translates)
        for index, (name, x, y, is_paired) in enumerate(cases(toy.sample)):
            with torch.no_grad(), cpu_threads(options.threads):
                outputs = method.eval().translate(x, (1 - index,))
            row = measured(outputs, x, y, is_paired=is_paired)
            rows[f"{toy.method}, {name}"] = {"0": row}
    return {"rows": rows}


def lines(found: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """The tables: made outputs over all directions, then each training over its moments."""
    parts = [part for key, one in found.items() if key in SAMPLES for part in one["rows"].values()]
    names = dict.fromkeys(name for part in parts for name in part)
    heads = ["spread across", "spread within", "verdicts of 6 images"]
    of_made = [[name, *_cells([p[name] for p in parts if name in p])] for name in names]
    yield from table(["outputs", *heads], of_made)
    yield ""
    of_toys = [
        [f"{toy}: {name}", *_cells(list(part.values()))]
        for toy in (UNTRAINED, *TOYS)
        for name, part in found.get(toy, {"rows": {}})["rows"].items()
    ]
    yield from table(["trained, eight moments", *heads], of_toys)
    yield ""
    yield (
        f"Shares of the reference: the least and the most, of {IMAGES} test images of {SIZE} pixels"
        f" and of {DRAWS} draws of {PREVIEW} of them. Made outputs are of both directions of"
        f" {', '.join(SAMPLES)}, each as dark domains, too."
        f" Commit {every(found.values(), 'commit')}."
    )


def _cells(rows: list[Mapping[str, Any]]) -> list[str]:
    """The least and the most of rows, and how many draws have each verdict."""
    cells = []
    for key in ("across", "within"):
        known = [value for row in rows for value in row[key] if value is not None]
        cells.append(f"{min(known):.2f} to {max(known):.2f}" if known else "—")
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row["verdicts_of_draws"])
    return [*cells, ", ".join(f"{name} {count:,}" for name, count in counts.most_common())]


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("collapse", __doc__)
    parser.add_argument("--steps", type=int, help="fewer, for a trial")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args(arguments)
    jobs: dict[str, Any] = {sample: partial(measure_made, sample) for sample in SAMPLES}
    jobs[UNTRAINED] = partial(measure_untrained, options)
    for name, toy in TOYS.items():
        folder = options.runs / slug(name)
        jobs[name] = partial(measure_trained, toy, folder, options)
    return carry_out("collapse", options, jobs, lines, keeps=True)


if __name__ == "__main__":
    sys.exit(main())
