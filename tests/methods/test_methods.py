"""Methods by name, and options checked before anything is built."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

import diptych.methods
from diptych.errors import InputError, dataclass_from
from diptych.methods import build, find_method, find_recipe, list_methods, make_config, method_class
from diptych.methods.cyclegan import Config, CycleGAN


@dataclass(frozen=True, kw_only=True)
class _Options:
    count: int
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    is_on: bool = False
    limit: int | None = None
    names: tuple[str, ...] = ()


def test_methods_are_the_files_of_their_package():
    assert "cyclegan" in list_methods()
    assert list_methods() == sorted(list_methods())
    assert not any(name.startswith("_") for name in list_methods())


def test_the_docs_table_has_every_method_and_says_of_it_what_its_file_says():
    table = (Path(__file__).parents[2] / "docs" / "methods" / "README.md").read_text("utf-8")
    told = dict(re.findall(r"^\| \[`(\w+)`\]\(\1\.md\) \| (.*?) \|", table, re.M))
    assert told == {name: vars(find_method(name))["SUMMARY"] for name in list_methods()}


def test_a_method_is_found_by_its_files_name():
    assert find_method("cyclegan").__name__ == "diptych.methods.cyclegan"
    assert method_class("cyclegan") is CycleGAN


def test_an_unknown_method_is_named_with_the_nearest_one():
    with pytest.raises(InputError, match=r"no method 'cyclgan': did you mean 'cyclegan'\?"):
        find_method("cyclgan")
    with pytest.raises(InputError, match=r"no method 'zzz'; there are: .*cyclegan"):
        find_method("zzz")


def test_an_error_inside_a_methods_file_propagates(tmp_path, monkeypatch):
    (tmp_path / "broken_method.py").write_text("raise ZeroDivisionError('mine')\n")
    monkeypatch.setattr(diptych.methods, "__path__", [str(tmp_path)])
    assert list_methods() == ["broken_method"]
    with pytest.raises(ZeroDivisionError, match="mine"):
        find_method("broken_method")


def test_a_recipe_is_found_by_name_or_the_nearest_is_told():
    assert find_recipe("cyclegan", "cycle-alone").config == {"gan_weight": 0.0}
    with pytest.raises(InputError, match=r"no recipe 'cycle-aloen': did you mean 'cycle-alone'\?"):
        find_recipe("cyclegan", "cycle-aloen")


def test_a_config_is_made_from_values_and_defaults():
    assert make_config("cyclegan", {"width": 8, "lr": 1}) == Config(width=8, lr=1)


def test_build_draws_from_the_global_random_state():
    config = make_config("cyclegan", {"width": 1, "size": 32, "blocks": 1})

    def weight(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        method = build("cyclegan", config, 2)
        assert isinstance(method, nn.Module)
        return next(method.parameters())

    assert torch.equal(weight(0), weight(0))
    assert not torch.equal(weight(0), weight(1))


@pytest.mark.parametrize(
    "values",
    [
        {"count": 1, "rate": 2, "kind": "b", "is_on": True, "limit": None, "names": ("x",)},
        {"count": 1, "limit": 3, "names": ["x", "y"]},
    ],
)
def test_values_of_the_right_types_are_taken(values):
    made = dataclass_from(_Options, values, owner="test")
    assert {key: vars(made)[key] for key in values} == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": True}, "count is True: it must be int"),
        ({"count": 1.0}, "count is 1.0: it must be int"),
        ({"count": "1"}, "count is '1': it must be int"),
        ({"count": 1, "rate": "fast"}, "rate is 'fast': it must be float"),
        ({"count": 1, "rate": False}, "rate is False: it must be float"),
        ({"count": 1, "kind": "c"}, "kind is 'c': it must be 'a' or 'b'"),
        ({"count": 1, "is_on": 1}, "is_on is 1: it must be bool"),
        ({"count": 1, "limit": 0.5}, "limit is 0.5"),
        ({"count": 1, "names": "x"}, "names is 'x'"),
        ({"count": 1, "names": (1,)}, "names is (1,)"),
        ({"cuont": 1}, "test has no option 'cuont': did you mean 'count'?"),
        ({}, "test lacks 'count': it must be int"),
    ],
)
def test_a_wrong_name_or_type_is_told_in_one_line(values, message):
    with pytest.raises(InputError) as caught:
        dataclass_from(_Options, values, owner="test")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
