"""Methods from outside: how they are given, what their runs say, and that no file imports any."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import diptych
from diptych import methods
from diptych.checkpoint import read_translator
from diptych.cli.main import main
from diptych.methods import give, list_methods, method_class, named_method
from diptych.methods.cyclegan import Config as CycleGANConfig
from diptych.methods.cyclegan import CycleGAN
from diptych.types import Clock, Group, Unpaired, Update
from tests.methods.outside_cases import SHARP, method_of, refusal

pytestmark = pytest.mark.usefixtures("nothing_given")


@dataclass(frozen=True, kw_only=True)
class Options(CycleGANConfig):
    extra: float = 1.0


class Mine(CycleGAN):
    """One of two methods in this module."""

    def __init__(self, config: Options, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)


class Other(CycleGAN):
    """The other."""


# --- given as a class --------------------------------------------------------------


def test_a_class_is_trained_resumed_loaded_and_scored(trained, tmp_path):
    folder = trained(Mine, extra=2.0)
    name = f"{__name__}:Mine"
    assert method_of(folder) == name
    assert tomllib.loads((folder / "config.toml").read_text("utf-8"))["config"]["extra"] == 2.0
    assert read_translator(folder)[1].method == name
    assert "Mine on" in (folder / "report.html").read_text("utf-8")
    image = Image.new("RGB", (50, 37), (200, 100, 50))
    assert diptych.load(folder)(image, to="bright").size == (50, 37)
    assert diptych.resume(folder).folder == folder


def test_another_process_needs_the_class_and_then_does_the_same(trained, monkeypatch):
    folder = trained(Mine)
    image = Image.new("RGB", (32, 32), (200, 100, 50))
    before = diptych.load(folder, device="cpu")(image, to="bright")
    for use in (diptych.load, diptych.resume, diptych.evaluate):
        monkeypatch.setattr(methods, "_given", {})
        message = refusal(lambda use=use: use(folder))
        assert f"no method '{__name__}:Mine'" in message
        assert "pass its class as method=" in message
        if use is not diptych.evaluate:  # which needs test images
            use(folder, method=Mine)
            assert methods._given == {f"{__name__}:Mine": Mine}
    after = diptych.load(folder, method=Mine, device="cpu")(image, to="bright")
    assert after.tobytes() == before.tobytes()


def test_a_class_of_another_name_may_take_over_a_run_if_its_options_fit(trained, monkeypatch):
    folder = trained(Other)
    monkeypatch.setattr(methods, "_given", {})
    message = refusal(lambda: diptych.load(folder, method=_unlike()))
    assert "has no option 'beta1'; there are: size, batch_size" in message
    assert diptych.load(folder, method=Mine).domains == ("dark", "bright")


def test_a_class_for_a_run_of_diptychs_own_method_is_refused(trained):
    folder = trained("cyclegan")
    message = refusal(lambda: diptych.load(folder, method=Mine))
    assert "is of the method 'cyclegan', not of Mine: leave out method=" in message
    assert diptych.load(folder, method=CycleGAN).domains == ("dark", "bright")


def test_a_module_that_is_named_from_python_is_not_imported():
    message = refusal(lambda: diptych.train("antigravity.sub", data="nowhere"))
    assert message.startswith("no method 'antigravity.sub': no module is imported for its name; im")


def test_diptychs_own_class_has_its_own_name():
    assert give(CycleGAN) == "cyclegan"
    assert methods._given == {}


def test_a_class_that_is_defined_again_replaces_the_first():
    first, second = (_in_main("Again") for _ in range(2))
    assert give(first) == give(second) == "Again"
    assert method_class("Again") is second


def test_a_class_of_a_notebook_with_the_name_of_a_method_is_refused():
    message = refusal(lambda: give(_in_main("cyclegan")))
    assert message == (
        "cyclegan would have the name 'cyclegan', which another method has: give its file, or in"
        " a notebook its class, another"
    )


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_class_of_a_notebook_trains_with_worker_processes(trained, start_method, monkeypatch):
    if start_method not in torch.multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    before = torch.multiprocessing.get_start_method()
    torch.multiprocessing.set_start_method(start_method, force=True)
    try:
        folder = trained(_in_main("Notebook"), workers=2)
    finally:
        torch.multiprocessing.set_start_method(before, force=True)
    assert method_of(folder) == "Notebook"
    assert len((folder / "metrics.jsonl").read_text("utf-8").splitlines()) >= 1


# --- what is no method -------------------------------------------------------------


def _with(**parts: Any) -> type[nn.Module]:
    """A class called MyMethod with the parts of a method, some of them replaced; None is none."""

    def init(self: nn.Module, config: Options, channels: tuple[int, ...] = (3, 3)) -> None:
        nn.Module.__init__(self)

    def iteration(self: nn.Module, batches: Any, clock: Clock) -> Iterator[Update]:
        yield Update("all", torch.zeros(()))

    def groups(self: nn.Module) -> dict[str, Group]:
        return {}

    init.__annotations__["config"] = parts.pop("config", Options)
    if init.__annotations__["config"] is None:
        del init.__annotations__["config"]
    named = {"__init__": init, "iteration": iteration, "groups": groups, "batch_type": Unpaired}
    named |= parts
    return type("MyMethod", (nn.Module,), {k: v for k, v in named.items() if v is not None})


def _in_main(name: str) -> type[nn.Module]:
    return type(name, (Mine,), {"__module__": "__main__", "__qualname__": name})


def _unlike() -> type[nn.Module]:
    @dataclass(frozen=True, kw_only=True)
    class Few:
        size: int = 32
        batch_size: int = 1

    return _with(config=Few)


def _without_channels(self: nn.Module, config: Options) -> None: ...


@dataclass
class _Loose:
    size: int = 32
    batch_size: int = 1


@dataclass(frozen=True)
class _Sizeless:
    batch_size: int = 1


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (3, "3 is no method: give a method's name or its class"),
        (Unpaired, "Unpaired is no method: derive it from torch.nn.Module"),
        (_with(iteration=None), "MyMethod has no iteration: a generator that yields a"),
        (_with(groups=None), "MyMethod has no groups: a function that returns its optimisers"),
        (_with(batch_type=None), "MyMethod has no batch_type: the batches that it takes"),
        (_with(batch_type=int), "MyMethod.batch_type is <class 'int'>: it must be one of Unpaired"),
        (_with(config=None), "MyMethod.__init__ does not say what its config is: annotate it"),
        (_with(config="Gone"), "annotation that cannot be found (name 'Gone' is not defined)"),
        (_with(config=int), "the config of MyMethod is <class 'int'>: it must be a frozen datacl"),
        (_with(config=_Loose), "_Loose, the config of MyMethod, can be changed: declare it as"),
        (_with(config=_Sizeless), "_Sizeless, the config of MyMethod, has no size: it needs at"),
        (
            _with(__init__=_without_channels),
            "MyMethod.__init__ has no channels: it must be __init__",
        ),
    ],
)
def test_what_a_class_lacks_to_be_a_method_is_said_in_one_line(method, message):
    assert message in refusal(lambda: diptych.train(method, data="nowhere", steps=1))


# --- named by an installed package ---------------------------------------------------


def test_an_installed_method_is_found_by_its_entry_point(installed, trained, monkeypatch, capsys):
    installed("sharp-package", sharp="sharp_pkg.sharp")
    assert "sharp_pkg" not in sys.modules
    assert "sharp" in list_methods()
    assert "sharp_pkg" not in sys.modules  # listing imports nothing
    assert method_of(trained("sharp")) == "sharp"
    assert give(method_class("sharp")) == "sharp"
    assert give(named_method("sharp_pkg.sharp")) == "sharp"
    folder = trained(method_class("sharp"))
    assert method_of(folder) == "sharp"
    assert methods._given == {}
    assert diptych.load(folder).domains == ("dark", "bright")
    capsys.readouterr()
    assert main(["methods"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("cyclegan") < shown.index("From the package sharp-package")
    assert "sharp  Sharp CycleGAN: a method in a file.\n  edges too" in shown
    assert "--recipe crisp" in shown


def test_an_entry_point_may_name_a_class_of_several(installed):
    text = SHARP + "\n\nclass Blunt(CycleGAN):\n    pass\n"
    Path("sharp_pkg/sharp.py").write_text(text, encoding="utf-8")
    installed("two", blunt="sharp_pkg.sharp:Blunt")
    assert method_class("blunt").__name__ == "Blunt"
    assert give(method_class("blunt")) == "blunt"
    assert give(named_method("sharp_pkg.sharp:Sharp")) == "sharp_pkg.sharp:Sharp"


def test_names_that_are_taken_are_refused_and_the_others_stay(installed, capsys):
    installed("bold-package", cyclegan="sharp_pkg.sharp", sharp="sharp_pkg.sharp")
    installed("late-package", sharp="sharp_pkg.late", broken="sharp_pkg.missing")
    assert method_class("cyclegan") is CycleGAN
    assert "sharp" not in list_methods()
    message = refusal(lambda: method_class("sharp"))
    assert message == (
        "the method 'sharp' of bold-package is refused: it has the name of late-package's; its"
        " entry point needs another"
    )
    assert main(["methods"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "the method 'cyclegan' of bold-package is refused: it has the name of Diptych's own"
    ) in shown
    assert (
        "broken cannot be used: ModuleNotFoundError: No module named 'sharp_pkg.missing'" in shown
    )
