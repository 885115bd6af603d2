"""Inputs unlike the training images: by hand, on sample data, and as a user sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation.familiarity import (
    FAMILIARITY_FILE,
    Familiarity,
    Look,
    Watch,
    _kept,
    _limit,
    _limit_of_parts,
    learn_familiarity,
    look,
    part_distances,
    read_familiarity,
    save_familiarity,
    square,
    threshold,
    watch,
)
from diptych.networks.features import FeatureNetwork, load_features


@pytest.fixture(scope="module")
def lite() -> FeatureNetwork:
    return load_features()


def _blobs(count: int, seed: int, colour: tuple[int, int, int]) -> ArrayImages:
    """Soft spots of about one colour on white, in places of their own."""
    draws = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:32]
    pixels = np.empty((count, 32, 32, 3))
    for i in range(count):
        at_y, at_x, radius = draws.uniform(10, 22), draws.uniform(10, 22), draws.uniform(5, 8)
        inside = ((y - at_y) ** 2 + (x - at_x) ** 2 < radius**2)[..., None]
        pixels[i] = np.where(inside, np.array(colour) + draws.normal(0, 10, 3), 250)
    return ArrayImages(pixels.clip(0, 255).astype(np.uint8))


RED, BLUE = (200, 40, 40), (40, 40, 200)


def _data(*, has_validation: bool = True) -> Data:
    train = Split((_blobs(40, 0, RED), _blobs(40, 1, BLUE)))
    held_out = Split((_blobs(20, 2, RED), _blobs(20, 3, BLUE)))
    validation = held_out if has_validation else None
    return Data("test", ("red", "blue"), train, validation, fingerprint="f", is_tiled=True)


def _noise(count: int) -> list[Image.Image]:
    draws = np.random.default_rng(9)
    return [Image.fromarray(draws.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(count)]


def test_distances_are_to_the_fifth_nearest_and_thresholds_the_hundredth_part() -> None:
    angles = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 3.0])
    known = torch.stack([angles.cos(), angles.sin()], 1)
    one = Familiarity({"a": known, "b": known[:2]}, {"a": 0.3, "b": 0.05}, "n", "f")
    at = torch.tensor([[1.0, 0.0]])
    assert one.distances(at, "a").item() == pytest.approx(2 * np.sin(0.2))  # a chord
    assert one.distances(at, "b").item() == pytest.approx(2 * np.sin(0.05))  # of two, the second
    seen = Look(at, at[None])
    assert one.is_unlike(seen, ["a"]).tolist() == [True]  # 0.397 is above 0.3
    wide = replace(one, thresholds={"a": 0.4, "b": 0})
    assert wide.is_unlike(seen, ["a", "b"]).tolist() == [False]
    assert threshold(torch.arange(200.0)) == 198.0  # the ⌈0.99 · 201⌉ = 199th smallest
    assert threshold(torch.arange(20.0)) == 19.0  # the largest of few


def test_of_few_validation_images_the_training_images_have_a_say() -> None:
    at = torch.linspace(0, 1, 50)
    known = torch.stack([at.cos(), at.sin()], 1).double()
    apart = 2 * np.sin(5 / 49 / 2)  # of neighbours in a row, the fifth of the outermost
    inside, outside = known[20:30] + 1e-3, known[-1:].repeat(10, 1) * 1.5
    assert _limit(known, known[:0]) == pytest.approx(apart, rel=1e-6)
    assert _limit(known, inside) == pytest.approx(apart, rel=1e-6)
    assert _limit(known, outside) > 0.5  # as far out as these are
    assert _limit(known, inside.repeat(10, 1)) < 0.8 * apart  # of 100, theirs alone


@pytest.mark.parametrize("has_validation", [True, False])
def test_images_from_outside_are_unlike_and_new_ones_from_within_are_not(
    lite: FeatureNetwork, has_validation: bool
) -> None:
    known = learn_familiarity(lite, _data(has_validation=has_validation))
    new, other = _blobs(20, 5, RED), _noise(4)
    inside = look(lite, [square(new.read(i).picture()) for i in range(20)])
    assert int(known.is_unlike(inside, ["red"]).sum()) <= 2
    assert known.is_unlike(look(lite, [square(image) for image in other]), ["red"]).all()
    # Red ones are unlike blue, and like one of the two.
    assert known.is_unlike(inside, ["blue"]).float().mean() > 0.8
    assert int(known.is_unlike(inside, ["blue", "red"]).sum()) <= 2


def test_a_file_brings_back_what_was_learnt_and_a_damaged_one_is_named(
    lite: FeatureNetwork, tmp_path: Path
) -> None:
    known = learn_familiarity(lite, _data())
    path = tmp_path / FAMILIARITY_FILE
    assert read_familiarity(path) is None
    save_familiarity(path, known)
    back = read_familiarity(path)
    assert back is not None
    for name in ("red", "blue"):
        assert torch.equal(back.features[name], known.features[name])
        assert torch.equal(back.parts[name], known.parts[name])
    assert (back.features.keys(), back.part_thresholds) == ({"red", "blue"}, known.part_thresholds)
    assert (back.thresholds, back.network, back.fingerprint) == (known.thresholds, lite.name, "f")
    assert watch(tmp_path, ["red"], "f") is not None
    assert watch(tmp_path, ["red"], "other data") is None
    assert watch(tmp_path / "elsewhere", ["red"], "f") is None
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"is damaged .*: remove it, and diptych evaluate"):
        read_familiarity(path)


def test_files_of_older_versions_are_read_and_judge_whole_images(
    lite: FeatureNetwork, tmp_path: Path
) -> None:
    known = replace(learn_familiarity(lite, _data()), parts={}, part_thresholds={})
    path = tmp_path / FAMILIARITY_FILE
    save_familiarity(path, known)
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["familiarity"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del facts["part_thresholds"]
    save_file(tensors, path, {"familiarity": json.dumps(facts)})
    back = read_familiarity(path)
    assert back is not None
    assert not back.parts
    seen = look(lite, [square(image) for image in _noise(4)])
    assert back.is_unlike(seen, ["red"]).all()
    new = _blobs(20, 5, RED)
    inside = look(lite, [square(new.read(i).picture()) for i in range(20)])
    assert int(back.is_unlike(inside, ["red"]).sum()) <= 2


def test_the_furthest_part_of_an_image_decides() -> None:
    whole = torch.tensor([[1.0, 0.0]]).expand(3, -1)
    angles = torch.tensor([[0.0, 0.1], [0.1, 0.5], [0.5, 0.5]])
    parts = torch.stack([angles.cos(), angles.sin()], 2)
    known = Familiarity(
        {"a": whole}, {"a": 0.1}, "n", "f", {"a": torch.tensor([[1.0, 0.0]] * 5)}, {"a": 0.2}
    )
    assert part_distances(parts, known.parts["a"]).tolist() == pytest.approx(
        [2 * np.sin(0.05), 2 * np.sin(0.25), 2 * np.sin(0.25)], abs=1e-6
    )
    assert known.is_unlike(Look(whole, parts), ["a"]).tolist() == [False, True, True]


def test_of_every_image_other_parts_are_kept_and_few_held_out_ones_do_not_decide_alone() -> None:
    places = torch.arange(49.0).expand(49, -1)[..., None]
    kept = _kept(places)[..., 0]
    assert kept.shape == (49, 16)
    assert all(len(row.unique()) == 16 for row in kept)
    assert all((kept == place).sum() == 16 for place in range(49))
    angles = torch.linspace(0, 1, 50)[:, None]
    known = torch.stack([angles.cos(), angles.sin()], 2)  # one part each
    apart = 2 * np.sin(5 / 49 / 2)  # as of whole images in a row
    for held_out in (known[:0], known[20:30]):
        assert _limit_of_parts(known, held_out) == pytest.approx(apart, rel=1e-4)
    assert _limit_of_parts(known, known[:1].repeat(120, 1, 1)) < 0.9 * apart
    assert _limit_of_parts(known[:1], known[:0]) == 0


@pytest.mark.parametrize("has_validation", [True, False])
def test_a_strange_part_of_an_image_like_the_others_is_seen(
    lite: FeatureNetwork, has_validation: bool
) -> None:
    known = learn_familiarity(lite, _data(has_validation=has_validation))
    new = _blobs(20, 5, RED)
    odd = [new.read(i).picture().copy() for i in range(20)]
    for image in odd:
        image.paste((90, 160, 90), (0, 26, 6, 32))
    seen = look(lite, [square(image) for image in odd])
    assert known.is_unlike(seen, ["red"]).all()
    as_wholes = replace(known, parts={}).is_unlike(seen, ["red"])
    assert int(as_wholes.sum()) < 10


def test_one_line_names_how_many_and_which(lite: FeatureNetwork) -> None:
    known = learn_familiarity(lite, _data())
    quiet = Watch(known, lite, ["red"])
    quiet.see("in.png", known_image := _blobs(1, 0, RED).read(0).picture())
    assert quiet.finding() is None
    one = Watch(known, lite, ["red"])
    one.see("in.png", known_image)
    one.see("odd.png", _noise(1)[0])
    assert one.finding() == (
        "1 of 2 inputs is unlike the training images of red, as a whole or in a part, so expect"
        " little: odd.png"
    )
    many = Watch(known, lite, ["red"])
    for i, image in enumerate(_noise(20)):  # more than are looked at together
        many.see(f"{i}.png", image)
    line = many.finding()
    assert line is not None
    assert line.startswith("20 of 20 inputs are unlike")
    assert line.endswith("0.png, 1.png, 2.png, 3.png, 4.png and 15 more")
