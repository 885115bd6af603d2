"""What the contract's checks are made of: batches, pictures, optimisers that watch, differences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from diptych.errors import InputError
from diptych.methods import method_class
from diptych.methods.cyclegan import Config, CycleGAN
from diptych.testing.cases import (
    Case,
    Still,
    Watched,
    Yielding,
    difference,
    draw_batches,
    fresh_clock,
    make_batch,
    make_optimisers,
    make_pictures,
    some,
    tiny_config,
    with_tuples,
)

CASE = Case(CycleGAN, Config(width=2, size=32, blocks=1, batch_size=3), falls="cycle")


def test_small_options_are_those_that_the_config_has() -> None:
    config = tiny_config(CycleGAN, blocks=2)
    assert (config.width, config.size, config.blocks) == (4, 32, 2)
    assert tiny_config(method_class("gatys")).size == 32  # it has no width
    with pytest.raises(InputError, match="CycleGAN has no option 'block'"):
        tiny_config(CycleGAN, block=2)


def test_a_seed_builds_the_same_method_and_the_random_state_follows_it() -> None:
    first = CASE.build(3).state_dict()
    drawn = torch.rand(()).item()
    assert difference(first, CASE.build(3).state_dict(), "state") is None
    assert torch.rand(()).item() == drawn
    assert difference(first, CASE.build(4).state_dict(), "state") is not None


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("cyclegan", {"x": (3, 3, 32, 32), "y": (3, 3, 32, 32)}),
        ("stargan", {"image": (3, 3, 32, 32), "label": (3, 2)}),
        ("unit_adaptation", {"x": (3, 3, 32, 32), "x_label": (3,), "y": (3, 3, 32, 32)}),
    ],
)
def test_a_batch_has_the_type_that_the_method_takes(name: str, shapes: dict[str, Any]) -> None:
    method = method_class(name)
    case = Case(method, tiny_config(method, batch_size=3))
    built = case.build()
    batch = make_batch(case, built)
    assert isinstance(batch, built.batch_type)
    assert {key: tuple(value.shape) for key, value in vars(batch).items()} == shapes


def test_batches_are_smooth_in_range_the_seeds_and_other_images_each() -> None:
    method = CASE.build()
    batches = draw_batches(CASE, method)
    first, second = next(batches), next(batches)
    assert difference(vars(first), vars(make_batch(CASE, method, 0)), "batch") is None
    assert difference(vars(second), vars(make_batch(CASE, method, 1)), "batch") is None
    assert not torch.equal(first.x, second.x)
    assert first.x.abs().max().item() <= 1
    assert (first.x[..., 1:] - first.x[..., :-1]).abs().max().item() < 0.3  # from 4 pixels to 32


def test_images_of_a_batch_for_each_domain_are_as_many_as_there_are_domains() -> None:
    method = method_class("gan")
    case = Case(method, tiny_config(method, batch_size=2), channels=(3, 1))
    batch = make_batch(case, case.build())
    assert [tuple(images.shape) for images in batch.images] == [
        (2, 3, 32, 32),
        (2, 1, 32, 32),
    ]


def test_pictures_are_dark_and_bright_in_ten_folders_each(tmp_path: Path) -> None:
    for folder, bright in zip(make_pictures(tmp_path, 24), (False, True), strict=True):
        files = sorted(Path(folder).rglob("*.png"))
        assert sorted({file.parent.name for file in files}) == [str(i) for i in range(10)]
        assert len(files) == 20
        image = Image.open(files[0]).convert("L")
        assert image.size == (24, 24)
        assert (np.asarray(image).min() >= 127) == bright


def test_a_watched_step_notes_what_it_changed_and_what_had_no_gradient() -> None:
    method = CASE.build()
    watched = Watched("generators", make_optimisers(method)["generators"], method, CASE)
    assert {name.split(".")[0] for name in watched.own} == {"G", "F"}
    watched.minimise(method.G(make_batch(CASE, method).x).square().mean())
    assert {name.split(".")[0] for name in watched.changed} == {"G"}
    assert {name.split(".")[0] for name in watched.without_gradient} == {"F"}


def test_a_watched_step_refuses_losses_that_train_nothing_and_changes_of_another_group() -> None:
    method = CASE.build()
    inner = make_optimisers(method)["generators"]
    watched = Watched("generators", inner, method, CASE)
    with pytest.raises(AssertionError, match=r"^CycleGAN: the loss .* has the shape \(2,\), not"):
        watched.minimise(torch.zeros(2, requires_grad=True))
    with pytest.raises(AssertionError, match=r"^CycleGAN: the loss .* has no gradient"):
        watched.minimise(torch.zeros(()))
    watched.own = set()
    with pytest.raises(AssertionError, match=r"changed G\.\d+\..*, of another group"):
        watched.minimise(method.G(make_batch(CASE, method).x).square().mean())


def test_a_still_optimiser_leaves_all_as_it_is() -> None:
    layer = nn.Linear(1, 1)
    before = layer.weight.item()
    Still().minimise(layer(torch.ones(1, 1)).sum())
    assert (layer.weight.item(), layer.weight.grad) == (before, None)


def test_what_is_yielded_must_be_an_update_of_a_group_of_the_method() -> None:
    class Wrong(CycleGAN):
        def iteration(self, batches: Any, clock: Any) -> Any:
            for update in super().iteration(batches, clock):
                yield update.loss if self.yields_losses else type(update)("others", update.loss)

    case = Case(Wrong, CASE.config, falls="cycle")
    method = case.build()
    for yields_losses, message in (
        (True, "yields Tensor: it must be diptych.types.Update"),
        (False, "yields an update of 'others', and groups() names ['generators', "),
    ):
        method.yields_losses = yields_losses
        with pytest.raises(AssertionError, match=re.escape(f"Wrong: iteration {message}")):
            next(Yielding(method, case).iteration(draw_batches(case, method), fresh_clock()))


def test_a_few_names_stand_for_many() -> None:
    assert some([]) == ""
    assert some({"b", "a"}) == "a, b"
    assert some("edcba") == "a, b, c and 2 more"


def test_lists_of_a_file_become_the_tuples_of_a_config() -> None:
    assert with_tuples({"a": [1, 2], "b": 3}) == {"a": (1, 2), "b": 3}


@pytest.mark.parametrize(
    ("a", "b", "where"),
    [
        ({"w": torch.zeros(2)}, {"w": torch.zeros(2)}, None),
        ({"w": torch.zeros(2)}, {"w": torch.zeros(2, dtype=torch.float64)}, "s.w"),
        ({"w": [0, {"v": 1.0}]}, {"w": [0, {"v": 2.0}]}, "s.w[1].v"),
        ({"w": 1}, {"w": 1.0}, "s.w"),
        ({"w": (1, 2)}, {"w": (1,)}, "s.w"),
        ({"w": 1}, {"v": 1}, "s"),
    ],
)
def test_a_difference_is_told_by_its_place(a: Any, b: Any, where: str | None) -> None:
    assert difference(a, b, "s") == where
