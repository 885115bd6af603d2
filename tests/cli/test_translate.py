"""`diptych translate`: what works, and one clear line for what cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from diptych.checkpoint import TRANSLATOR_FILE
from diptych.cli.main import main
from tests.cli.conftest import domains_of
from tests.conftest import Fails

OLD_UNIT = Path(__file__).parents[1] / "old_runs" / "0.1.0" / "unit"


def test_runs_and_translators_that_cannot_be_read_are_named(fails, run, tmp_path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(picture)
    assert "no such run or file" in fails("translate", tmp_path / "no", picture, "--to", "a")
    known = " and ".join(domains_of(run))
    assert f"knows {known}" in fails("translate", run, picture)
    assert "no domain 'mars'" in fails("translate", run, picture, "--to", "mars")
    assert "holds no config.toml: give a run's folder" in fails("train", "--resume", tmp_path)
    file = run / TRANSLATOR_FILE
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    assert f"{file} is damaged" in fails("translate", run, picture, "--to", "a")
    file.write_bytes(data.replace(b'\\"format\\": 1', b'\\"format\\": 9', 1))
    assert "this version cannot read it" in fails("translate", run, picture, "--to", "a")
    state = torch.load(run / "state.pt", weights_only=True)
    torch.save(state | {"format": 99}, run / "state.pt")
    assert "has format 99, this version of Diptych reads 2" in fails("train", "--resume", run)
    (run / "state.pt").write_bytes(b"not a state")
    assert "damaged" in fails_last_line(fails, run)


def fails_last_line(fails: Fails, run: Path) -> str:
    """Without a checkpoint before it, a damaged state ends the command."""
    (run / "state.previous.pt").unlink(missing_ok=True)
    return fails("train", "--resume", run)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(fails, run, tmp_path) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    line = fails("translate", run, bomb, "--to", domains_of(run)[0], "--out", tmp_path / "o")
    assert "bomb.png" in line
    assert "400" in line  # megapixels


def test_messages_of_the_library_name_flags_in_a_shell(fails, run, tmp_path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (300, 200)).save(picture)
    to = domains_of(run)[0]
    given = ["translate", run, picture, "--to", to, "--out", tmp_path / "o", "--memory", "1e-6"]
    assert "raise --memory to 0.1 or more" in fails(*given)
    slip = fails("translate", run, picture, "--to", to.upper())
    assert slip == f"no domain {to.upper()!r}: did you mean {to!r}?"


@pytest.mark.parametrize("option", [["--draws", "2"], ["--samples", "2"], ["--samples=2"]])
def test_draws_are_asked_for_by_their_name_or_by_that_of_0_1_0(option, tmp_path) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.new("RGB", (16, 16), (200, 40, 40)).save(photo)
    to = domains_of(OLD_UNIT)[1]
    given = [OLD_UNIT, photo, "--to", to, "--out", out, "--no-check", "--device", "cpu"]
    assert main(["translate", *map(str, given), *option]) == 0
    drawn = [(out / f"photo-{i}.png").read_bytes() for i in (1, 2)]
    assert drawn[0] != drawn[1]
