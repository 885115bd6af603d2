"""The house keeps its shape: few rooms, short files and functions, no circles of imports."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "diptych"
FILES = sorted(SOURCE.rglob("*.py"))


def _module(path: Path) -> str:
    parts = ("diptych", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path, known: set[str]) -> set[str]:
    """The project's modules that a file imports as it is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.If))]
    later = {id(child) for node in inside for child in ast.walk(node)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in later:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & known) | ({node.module} if names - known else set())
    return found & known - {_module(path)}


def test_the_top_level_has_at_most_24_files_and_packages():
    rooms = [p for p in SOURCE.iterdir() if p.name not in ("__pycache__", "py.typed")]
    assert len(rooms) <= 24, sorted(p.name for p in rooms)


def test_no_circle_of_imports():
    known = {_module(path) for path in FILES}
    graph = {_module(path): _imports(path, known) for path in FILES}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("diptych.types") < order.index("diptych.methods.cyclegan")
    assert order.index("diptych.training.loop") < order.index("diptych.training.trainer")


def test_files_have_at_most_400_lines():
    lines = {str(p.relative_to(SOURCE)): len(p.read_text("utf-8").splitlines()) for p in FILES}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_functions_have_at_most_60_lines():
    long = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node, clean=False) or ""
                count = (node.end_lineno or 0) - node.lineno + 1 - len(docstring.splitlines())
                if count > 60:
                    long[f"{path.relative_to(SOURCE)}:{node.name}"] = count
    assert long == {}
