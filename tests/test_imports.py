"""Who imports whom: the table in docs/design.md, enforced."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import diptych

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "diptych"
FRONT_DOORS = {"", "__main__"}
"""What `import diptych` and `python -m diptych` find: they hand on to api and cli."""


def _table() -> dict[str, set[str]]:
    """Module to what it may import of the project's own, from docs/design.md."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.search(r"\| module \| may import.*?\n\|[-|]+\n((?:\|.*\n)+)", text)
    assert rows is not None, "docs/design.md has lost its table of imports"
    allowed: dict[str, set[str]] = {}
    for row in rows[1].splitlines():
        modules, may = (cell.strip() for cell in row.strip("|").split("|"))
        names = re.findall(r"[\w.]+", re.sub(r"\(.*?\)", "", may.partition(";")[0]))
        for module in modules.split(", "):
            allowed[module] = set(names)
            if "each other downwards" in may:
                allowed[module] |= set(modules.split(", "))
    return allowed


def _unit(module: str) -> str:
    """diptych.training.loop belongs to training; diptych.files to files."""
    return module.removeprefix("diptych").lstrip(".").split(".")[0]


def _imports(path: Path) -> set[str]:
    """Full names of the project's own modules that a file imports, functions' imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "diptych"}


def _violations() -> list[str]:
    allowed, bad = _table(), []
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__")
        own = _unit("diptych." + module)
        if own in FRONT_DOORS or "all" in allowed.get(own, ()):
            continue
        if own not in allowed:
            bad.append(f"{own} has no row in the table of docs/design.md")
            continue
        for name in _imports(path):
            inside = name.removeprefix("diptych.")
            is_allowed = any(
                inside == may or inside.startswith(f"{may}.") for may in (*allowed[own], own)
            )
            if not is_allowed and name != "diptych.__version__":
                bad.append(f"{path.relative_to(SOURCE)} imports {name}")
    return bad


def test_modules_import_only_what_the_table_allows():
    assert _violations() == []


def test_the_table_is_read_as_it_is_written():
    table = _table()
    assert table["errors"] == {"nothing"}
    assert table["methods"] == {"types", "networks", "objectives", "errors"}
    assert "networks.features" in table["evaluation"]
    assert "networks" not in table["evaluation"]
    assert "checkpoint" in table["training"]
    assert "training" not in table["checkpoint"]


def test_every_row_is_of_a_module_that_exists_or_will():
    assert {"types", "networks", "methods", "data", "training", "checkpoint"} <= set(_table())


def test_the_loop_imports_types_only():
    own = {name.rpartition(".")[0] for name in _imports(SOURCE / "training" / "loop.py")}
    assert own == {"diptych.types"}


@pytest.mark.slow
def test_importing_diptych_loads_no_torch_and_reads_nothing_else():
    script = """
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import diptych
print(json.dumps([sorted(sys.modules), opened]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules, opened = json.loads(done.stdout)
    assert not {"torch", "numpy", "PIL", "safetensors", "rich"} & set(modules)
    others = [name for name in opened if not name.endswith((".py", ".pyc"))]
    assert others == []


def test_no_module_takes_the_place_of_a_public_function():
    # Importing diptych.train would set diptych.train, the function, to the module.
    modules = {path.stem if path.is_file() else path.name for path in SOURCE.iterdir()}
    assert modules.isdisjoint(diptych.__all__)
    assert {"api", "training"} <= modules
