"""How many inputs are called unlike: what is counted, what the table holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import familiarity
from diptych.bench.place import write_json
from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.evaluation.familiarity import Look, learn_familiarity
from diptych.networks.features import load_features


def _flat(count: int, seed: int, colour: tuple[int, int, int]) -> ArrayImages:
    """Images of about one colour."""
    draws = np.random.default_rng(seed)
    pixels = np.array(colour) + draws.normal(0, 6, (count, 32, 32, 3))
    return ArrayImages(pixels.clip(0, 255).astype(np.uint8))


def test_each_domain_is_shown_every_one_and_its_own_with_noise() -> None:
    network = load_features()
    red, blue = (200, 40, 40), (40, 40, 200)
    train = Split((_flat(40, 0, red), _flat(40, 1, blue)))
    validation = Split((_flat(60, 2, red), _flat(60, 3, blue)))
    data = Data("test", ("red", "blue"), train, validation, fingerprint="f", is_tiled=True)
    learnt = learn_familiarity(network, data)
    known = [
        familiarity.Known("red", learnt, _flat(10, 4, red), "blue"),
        familiarity.Known("blue", learnt, _flat(18, 5, blue), "red"),  # more than a batch
    ]
    found = familiarity.counts(network, known)
    assert list(found["red"]) == [
        "red", "blue", "noise of 20 levels", "noise of 60 levels",
        "a thing of half the side", "a thing of a quarter of the side",
    ]  # fmt: skip
    strange = found["blue"]["a thing of half the side"]
    assert (strange["images"], strange["unlike"]) == (18, 18)
    assert found["red"]["blue"] == {"images": 18, "unlike": 18, "as_wholes": 18}
    assert found["blue"]["red"] == {"images": 10, "unlike": 10, "as_wholes": 10}
    assert found["red"]["noise of 60 levels"] == {"images": 10, "unlike": 10, "as_wholes": 10}
    assert all(cell["as_wholes"] <= cell["unlike"] for cell in found["red"].values())
    assert found["blue"]["blue"]["unlike"] <= 1


def test_noise_has_the_deviation_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = ArrayImages(np.full((1, 112, 112, 3), 128, np.uint8))
    monkeypatch.setattr(familiarity, "look", lambda _, squares: Look(*[torch.stack(squares)] * 2))
    noisy = familiarity.looks(load_features(), grey, familiarity.noisy(20)).whole
    assert (noisy * 127.5).std().item() == pytest.approx(20, rel=0.02)
    clean = familiarity.looks(load_features(), grey).whole
    assert clean.min() == clean.max()


def test_a_thing_has_its_part_of_the_side_and_leaves_its_white_ground_out() -> None:
    pixels = np.full((1, 16, 16, 3), 255, np.uint8)
    pixels[0, :, 8:] = (200, 0, 0)  # the right half of it is no ground
    image = Image.new("RGB", (64, 64), (0, 0, 200))
    change = familiarity.holding(ArrayImages(pixels), 4)
    rng = torch.Generator().manual_seed(0)
    seen = [np.asarray(change(image, rng)) for _ in range(5)]
    reds = [(one[..., 0] > 100) & (one[..., 2] < 100) for one in seen]
    assert [int(red.sum()) for red in reds] == [8 * 16] * 5
    assert all((one[~red] == (0, 0, 200)).all() for one, red in zip(seen, reds, strict=True))
    assert len({red.tobytes() for red in reds}) == 5  # in other places
    assert image.getpixel((32, 32)) == (0, 0, 200)


def test_the_table_has_a_row_of_each_domain(tmp_path: Path) -> None:
    row = {
        "x": {"images": 4, "unlike": 0, "as_wholes": 0},
        "y": {"images": 5, "unlike": 3, "as_wholes": 3},
        "a thing of half the side": {"images": 4, "unlike": 3, "as_wholes": 1},
        "a thing of a quarter of the side": {"images": 4, "unlike": 2, "as_wholes": 0},
    }
    other = row | {"y": {"images": 1000, "unlike": 1, "as_wholes": 1}}
    facts = {"unlike": {"x": row, "y": other}, "size": 64, "network": "a", "commit": "c" * 40}
    results, readme = tmp_path / "found.json", tmp_path / "README.md"
    write_json(results, {"familiarity": facts})
    readme.write_text("<!-- familiarity: begin -->\n<!-- familiarity: end -->\n")
    options = ["--only", "table", "--results", str(results), "--readme", str(readme)]
    assert familiarity.main(options) == 0
    page = readme.read_text().splitlines()
    assert "| x | 0 of 4 | 3 of 5 | 3 of 4 | 2 of 4 |" in page
    assert page[-4:-1] == [
        "- the row's own as they are: 1 of 1,004 in all, 1 if no part were judged",
        "- with a thing of half the side: 6 of 8 in all, 2 if no part were judged",
        "- with a thing of a quarter of the side: 4 of 8 in all, 0 if no part were judged",
    ]


def test_without_results_it_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert familiarity.main(["--only", "table", "--results", str(tmp_path / "no.json")]) == 2
    assert "run python -m benchmarks.familiarity" in capsys.readouterr().err
