"""The run's options and config.toml."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from diptych.errors import InputError
from diptych.methods.cyclegan import Config
from diptych.training.settings import Plan, Resolved, Settings, read_plan, read_toml, write_plan

PLAN = Plan(
    method="cyclegan",
    config=Config(width=8, size=64, identity_weight=0.5, blocks=None),
    run=Settings(x="a", y="b", names=("left", "right"), steps=10, ema=0.99),
    resolved=Resolved(
        threads=2,
        domains=("left", "right"),
        fingerprint="abc",
        steps=10,
        precision="bf16",
        device="cpu",
    ),
)


def _one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": -5}, "steps is -5"),
        ({"epochs": 0.0}, "epochs is 0.0"),
        ({"epochs": math.inf}, "epochs is inf"),
        ({"minutes": -1.0}, "minutes is -1.0"),
        ({"minutes": math.nan}, "minutes is nan"),
        ({"steps": 5, "epochs": 1.0}, "not steps and epochs"),
        ({"steps": 5, "minutes": 1.0}, "not steps and minutes"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"preview_every": -1}, "preview_every is -1"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"ema": -0.1}, "ema is -0.1"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": -1}, "workers is -1"),
        ({"load_size": -1}, "load_size is -1"),
        ({"seed": 10**23}, "seed is 100000000000000000000000: it must be at most"),
        ({"data": "d", "x": "a"}, "not both"),
    ],
)
def test_a_setting_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    with pytest.raises(InputError) as caught:
        Settings(**options)
    assert named in _one_line(caught.value)


def test_config_toml_round_trip(tmp_path):
    write_plan(tmp_path, PLAN)
    assert read_plan(tmp_path) == PLAN


def test_config_toml_holds_every_resolved_value(tmp_path):
    write_plan(tmp_path, PLAN)
    tables = tomllib.loads((tmp_path / "config.toml").read_text(encoding="utf-8"))
    assert tables["method"] == "cyclegan"
    assert tables["config"]["cycle_weight"] == 10.0  # a default, written down
    assert "blocks" not in tables["config"]  # None
    assert tables["run"]["names"] == ["left", "right"]
    assert tables["resolved"]["precision"] == "bf16"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("width = 8", "width = 8\nwidht = 9", "no option 'widht': did you mean 'width'?"),
        ("steps = 10\nlogger", "stpes = 10\nlogger", "no option 'stpes': did you mean 'steps'?"),
        ('fingerprint = "abc"', 'fingerprint = "abc"\ncolour = 1', "no option 'colour'"),
        ('method = "cyclegan"', 'method = "cyclegan"\ncolour = 1', "unknown key 'colour'"),
        ('method = "cyclegan"', 'method = "cycle"', "no method 'cycle'"),
        ('method = "cyclegan"', "method = 3", "method is 3"),
        ('method = "cyclegan"', "", "no 'method'"),
        ("width = 8", 'width = "8"', "width is '8': it must be int"),
        ("width = 8", "width = 8.5", "width is 8.5: it must be int"),
        ("width = 8", "width = 0", "width is 0"),
        ("ema = 0.99", "ema = true", "ema is True: it must be float"),
        ('precision = "bf16"', 'precision = "fp8"', "precision is 'fp8'"),
        ('precision = "bf16"', "", "lacks 'precision'"),
        ('["left", "right"]', "[1, 2]", "it must be"),
        ("width = 8", "width = ", "is no TOML"),
    ],
)
def test_a_mistake_in_config_toml_is_named_in_one_line(tmp_path, old, new, named):
    write_plan(tmp_path, PLAN)
    path = tmp_path / "config.toml"
    text = _in_one_line_lists(path.read_text(encoding="utf-8"))
    assert old in text
    changed = text.replace(old, new)
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_plan(tmp_path)
    assert named in _one_line(caught.value)


def _in_one_line_lists(text: str) -> str:
    """tomli_w writes a list over several lines."""
    return text.replace('[\n    "left",\n    "right",\n]', '["left", "right"]')


@pytest.mark.parametrize("table", ["config", "run", "resolved"])
def test_a_missing_or_misshapen_table_is_named(tmp_path, table):
    path = tmp_path / "config.toml"
    others = [name for name in ("config", "run", "resolved") if name != table]
    head = 'method = "cyclegan"\n'
    path.write_text(head + "".join(f"[{name}]\n" for name in others))
    with pytest.raises(InputError, match=f"has no '{table}'"):
        read_plan(tmp_path)
    path.write_text(head + f"{table} = 3\n" + "".join(f"[{name}]\n" for name in others))
    with pytest.raises(InputError, match=f"{table} is 3"):
        read_plan(tmp_path)


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path):
    path = tmp_path / "config.toml"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_toml(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no TOML"):
        read_toml(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(Path(tmp_path))
