"""How many inputs `diptych translate` calls unlike its training images, from where they come.

    python -m benchmarks.familiarity

Learns what training images of five domains look like, as `diptych evaluate` does, and shows
each of them the test images of every domain, and its own with noise or with a strange thing in
the picture: an emoji without its white ground, or a square of the Earth among the emoji. Nothing
is trained. The table goes into benchmarks/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.harness import carry_out, parser_of, say, table
from diptych.data import Images, open_data
from diptych.data.images import to_image, to_tensor
from diptych.evaluation.familiarity import (
    Familiarity,
    Look,
    joined,
    learn_familiarity,
    look,
    square,
)
from diptych.networks.features import FeatureNetwork, load_features

SIZE = 64
DOMAINS = (
    ("earth-climate", "aerial"),
    ("earth-climate", "climate"),
    ("earth-map", "map"),
    ("emoji", "google"),
    ("emoji", "twitter"),
)
"""Sample and domain; the aerial tiles of `earth-map` are those of `earth-climate`."""
NOISE = (20, 60)
"""Standard deviations, in levels of 255."""
THINGS = {"earth-climate": "google", "earth-map": "google", "emoji": "aerial"}
"""By sample, the domain whose test images are put into its own."""
SHARES = {"half the side": 2, "a quarter of the side": 4}
"""The part of a picture's side that a strange thing has."""
SEED = 0
_BATCH = 16
Change = Callable[[Image.Image, torch.Generator], Image.Image]


@dataclass(frozen=True)
class Known:
    """What a domain's training images look like, and its test images."""

    domain: str
    familiarity: Familiarity
    test: Images
    thing: str
    """The domain whose images are strange here."""

    def unlike(self, seen: Look, *, has_parts: bool = True) -> int:
        known = self.familiarity if has_parts else replace(self.familiarity, parts={})
        return int(known.is_unlike(seen, [self.domain]).sum())


def known_domains(network: FeatureNetwork) -> Iterator[Known]:
    """Return the data of each of `DOMAINS`, in their order.

    Raises InputError: the features extra is missing.
    """
    learnt: dict[str, Familiarity] = {}
    for sample, domain in DOMAINS:
        data = open_data(f"sample:{sample}", size=SIZE)
        if sample not in learnt:
            learnt[sample] = learn_familiarity(network, data)
            say(f"{sample}: learnt")
        assert data.test is not None
        test = data.test.domains[data.domains.index(domain)]
        yield Known(domain, learnt[sample], test, THINGS[sample])


def noisy(levels: int) -> Change:
    """Adds Gaussian noise of so many levels of 255."""

    def change(image: Image.Image, rng: torch.Generator) -> Image.Image:
        pixels = to_tensor(image)
        return to_image(pixels + torch.randn(pixels.shape, generator=rng) * levels / 127.5)

    return change


def holding(things: Images, part: int) -> Change:
    """Puts one of `things`, of a `part`-th of the side, into a place; what is white stays out."""

    def change(image: Image.Image, rng: torch.Generator) -> Image.Image:
        def drawn(below: int) -> int:
            return int(torch.randint(below, (), generator=rng))

        side = min(image.size) // part
        thing, place = (
            things.read(drawn(len(things))).picture(),
            [drawn(n - side + 1) for n in image.size],
        )
        ground = np.asarray(thing).min(-1) == 255
        mask = Image.fromarray(np.where(ground, 0, 255).astype(np.uint8))
        held = image.copy()
        held.paste(
            thing.resize((side, side), Image.Resampling.LANCZOS),
            (place[0], place[1]),
            mask.resize((side, side), Image.Resampling.BOX),
        )
        return held

    return change


def looks(network: FeatureNetwork, images: Images, change: Change | None = None) -> Look:
    """Return the figures of all images, each as `change` makes it."""
    rng = torch.Generator().manual_seed(SEED)
    found = []
    for start in range(0, len(images), _BATCH):
        numbers = range(start, min(start + _BATCH, len(images)))
        shown = [images.read(i).picture() for i in numbers]
        if change is not None:
            shown = [change(image, rng) for image in shown]
        found.append(look(network, [square(image) for image in shown]))
    return joined(found)


def counts(network: FeatureNetwork, known: Sequence[Known]) -> dict[str, dict[str, Any]]:
    """By domain, and by what it is shown: how many images, how many of them are unlike, and how
    many would be if no part of them were judged."""
    clean = {each.domain: looks(network, each.test) for each in known}
    tests = {each.domain: each.test for each in known}
    rows = {}
    for each in known:
        changes = {f"noise of {n} levels": noisy(n) for n in NOISE}
        for name, part in SHARES.items():
            changes[f"a thing of {name}"] = holding(tests[each.thing], part)
        changed = {name: looks(network, each.test, change) for name, change in changes.items()}
        shown = clean | changed
        rows[each.domain] = {
            name: {
                "images": len(seen.whole),
                "unlike": each.unlike(seen),
                "as_wholes": each.unlike(seen, has_parts=False),
            }
            for name, seen in shown.items()
        }
        say(f"{each.domain}: shown {len(shown)} collections")
    return rows


def measure() -> dict[str, Any]:
    """`counts` of all `DOMAINS`, and what they depend on."""
    network = load_features()
    found = counts(network, list(known_domains(network)))
    return {"size": SIZE, "network": network.name, "seed": SEED, "unlike": found}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The table: domains of training images down, what each was shown across."""
    found = found["familiarity"]
    rows = found["unlike"]
    shown = list(next(iter(rows.values())))
    yield from table(
        ["training images of", *shown],
        [
            [domain, *(f"{cell['unlike']} of {cell['images']}" for cell in row.values())]
            for domain, row in rows.items()
        ],
        numbers=True,
    )
    yield ""
    yield (
        f"Test images of each domain at {found['size']} pixels, and the row's own with Gaussian"
        " noise, or with a strange thing in a random place: an emoji without its white ground, or"
        f" among emoji an aerial square. By {found['network']}; commit {found['commit'][:10]}."
    )
    yield ""
    for thing in (None, *(f"a thing of {share}" for share in SHARES)):
        counted = [row[thing or domain] for domain, row in rows.items()]
        images, unlike, as_wholes = (
            sum(cell[key] for cell in counted) for key in ("images", "unlike", "as_wholes")
        )
        what = f"with {thing}" if thing else "the row's own as they are"
        yield f"- {what}: {unlike:,} of {images:,} in all, {as_wholes:,} if no part were judged"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    options = parser_of("familiarity", __doc__).parse_args(arguments)

    return carry_out("familiarity", options, {"familiarity": measure}, lines)


if __name__ == "__main__":
    sys.exit(main())
