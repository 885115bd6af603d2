"""Every command and every Python block of README and docs/ is one that Diptych takes."""

from __future__ import annotations

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import diptych
from diptych.cli import parse, train
from diptych.cli.main import main
from diptych.methods import find_method
from tests.docs.pages import ROOT, Block, blocks, pages, shell

BLOCKS = [block for page in pages() for block in blocks(page)]
COMMANDS = [
    pytest.param(words, id=f"{block} {' '.join(words)}"[:100])
    for block in BLOCKS
    if shell(block)
    for words in block.commands()
]
PYTHON = [block for block in BLOCKS if block.language == "python"]
RUNNING = [page for page in pages() if any(block.runs for block in blocks(page))]

TINY = (
    (r"--preset fast --minutes \d+", "--steps 2 --size 32 --width 4 --workers 0"),
    (r'preset="fast", minutes=\d+', "steps=2, size=32, width=4, workers=0, overwrite=True"),
    (r'preset="fast",\n +minutes=\d+,', "steps=2, size=32, width=4, workers=0,"),
    (r'"sample:earth-map", size=64', '"globe/", size=32'),
)
"""What makes a block of a page one for a test: two steps, small networks, small images."""


class Parsed(BaseException):
    """What a command parsed its options to, in the place of carrying them out."""

    def __init__(self, options: Any) -> None:
        self.options = options


@pytest.fixture
def parse_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands parse their options by their own parsers, and then do nothing."""
    read = parse.parse_parts

    def stop(*given: Any) -> None:
        raise Parsed(read(*given))

    for module in (parse, train):
        monkeypatch.setattr(module, "parse_parts", stop)


def test_the_pages_hold_commands_of_every_kind():
    first = {parameter.values[0][0] for parameter in COMMANDS}
    assert first >= {"train", "translate", "evaluate", "bench", "study", "generate", "report"}
    assert len(COMMANDS) > 100
    assert len(PYTHON) > 12


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_the_pages_is_parsed(
    words: list[str],
    parse_alone: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    if words[0] == "train" and re.match(r"my_|.*\.py", words[1]):
        pytest.skip("the reader's own module: the test of its page runs it")
    if "--config" in words:
        file = tmp_path / words[words.index("--config") + 1]
        file.parent.mkdir(parents=True)
        file.write_text("[config]\n[run]\n")
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words)
    except Parsed:
        code = 0
    assert code == 0, capsys.readouterr().err


def test_an_option_that_is_not_there_is_found(
    parse_alone: None, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "cyclegan", "--data", "x", "--no-such-option", "1"]) == 2
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_compiles(block: Block):
    compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_options_that_a_methods_page_names_are_its_own():
    """In the first column of a table, as `--cycle-weight`."""
    for page in sorted((ROOT / "docs" / "methods").glob("*.md")):
        if page.stem == "README":
            continue
        config = vars(find_method(page.stem))["Config"]
        named = re.findall(r"^\| `--([a-z0-9-]+)[ `]", page.read_text("utf-8"), re.M)
        known = {field.replace("_", "-") for field in config.__dataclass_fields__}
        shared = {"load-size", "recipe", "preset", "steps", "ema", "starts", "seed", "samples"}
        assert {name.removeprefix("no-") for name in named} <= known | shared, page.name


@pytest.fixture
def own_folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "work")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages take for granted: photos in folders, and a run of two steps."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("horses", "zebras", "album"):
        _photos(folder / name, 8)
    for split in ("train", "val", "test"):
        for side in "AB":
            _photos(folder / "horse2zebra" / f"{split}{side}", 8)
    for domain in ("map", "aerial"):
        for split in ("train", "val", "test"):
            _photos(folder / "globe" / domain / split, 8)
    _photo(7).save(folder / "photo.jpg")
    _photo(7).save(folder / "album" / "horse.jpg")
    for i in (1, 2):
        _photo(i).save(folder / "album" / f"{i}.jpg")
    diptych.train(
        "cyclegan", data=folder / "horse2zebra", out=folder / "runs" / "x", steps=1, size=32,
        width=4, blocks=1, workers=0, logger="none",
    )  # fmt: skip
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.name)
def test_the_blocks_of_a_page_that_are_marked_run_one_after_another(
    page: Path,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(own_folder)
    for block in blocks(page):
        if not block.runs:
            continue
        text = block.text
        for pattern, small in TINY:
            text = re.sub(pattern, small, text)
        if block.language == "python":
            exec(compile(text, str(block), "exec"), {"__name__": "__main__"})
        else:
            for words in replace(block, text=text).commands():
                assert main(words) == 0, f"{block}: {capsys.readouterr().err}"


def _photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        _photo(i).save(folder / f"{i:04}.png")


def _photo(i: int) -> Image.Image:
    return Image.linear_gradient("L").rotate(45 * i).resize((48, 40)).convert("RGB")
