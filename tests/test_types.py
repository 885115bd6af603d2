"""Which method has which capabilities, and what a group is by default."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diptych.methods import build, list_methods, make_config
from diptych.types import (
    Classifies,
    Encodes,
    Generates,
    Group,
    Kept,
    Method,
    Translates,
    Update,
    adam,
)

TRANSLATES = {
    "bigan", "cogan", "cut", "cyclegan", "discogan", "dualgan", "feature_gan", "gatys", "pix2pix",
    "simgan", "stargan", "unit", "unit_adaptation",
}  # fmt: skip
GENERATES = {"acgan", "cogan", "gan", "unit", "unit_adaptation", "vaegan"}
ENCODES = {"unit", "unit_adaptation", "vaegan"}


@pytest.mark.parametrize("name", sorted({*TRANSLATES, *GENERATES}))
def test_each_method_has_the_capabilities_of_its_paper(name: str) -> None:
    options = {"acgan": {"size": 64}}.get(name, {"size": 32})
    config = make_config(name, options if name == "gatys" else {"width": 4, **options})
    method = build(name, config, (3, 3))
    assert isinstance(method, Method)
    assert isinstance(method, Kept)
    assert isinstance(method, Translates) == (name in TRANSLATES)
    assert isinstance(method, Generates) == (name in GENERATES)
    assert isinstance(method, Encodes) == (name in ENCODES)
    assert isinstance(method, Classifies) == (name == "unit_adaptation")


def test_the_table_of_capabilities_has_every_method() -> None:
    assert set(list_methods()) == TRANSLATES | GENERATES


def test_a_group_is_the_papers_adam_and_an_update_logs_nothing_unasked() -> None:
    group = Group(modules=(nn.Linear(1, 1),), lr=2e-4)
    assert (group.betas, group.optimiser, group.weight_decay) == ((0.5, 0.999), "adam", 0.0)
    assert group.decay_from == 1.0  # never
    assert dict(Update("generators", torch.zeros(())).terms) == {}


def test_adam_takes_a_methods_options_and_decays_weights_only_when_told() -> None:
    config = make_config("cyclegan", {"lr": 3e-4, "beta1": 0.25, "decay_from": 0.75})
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    group = adam(config, first, second)
    assert group == Group(
        modules=(first, second), lr=3e-4, betas=(0.25, 0.999), decay_from=0.75, weight_decay=0.0
    )
    assert adam(config, first, weight_decay=1e-4).weight_decay == 1e-4
