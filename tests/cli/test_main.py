"""The command line: what works, and one clear line with exit code 2 for what cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from diptych import __version__
from diptych.checkpoint import TRANSLATOR_FILE
from diptych.cli.main import main

SMALL = ["--width", "4", "--size", "32", "--blocks", "1", "--device", "cpu", "--workers", "0"]
SMALL += ["--precision", "fp32", "--threads", "1", "--no-evaluate"]

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs a command that must end with exit code 2 and one line, which it returns."""

    def run(*arguments: object, code: int = 2) -> str:
        capsys.readouterr()
        assert main([str(a) for a in arguments]) == code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("diptych: ")
        return lines[0].removeprefix("diptych: ")

    return run


@pytest.fixture
def folders(picture_folders) -> list[str]:
    x, y = picture_folders()
    return ["--x", x, "--y", y]


@pytest.fixture
def run(folders: list[str], tmp_path: Path) -> Path:
    """A run of two steps."""
    out = tmp_path / "run"
    assert main(["train", "cyclegan", *folders, "--steps", "2", "--out", str(out), *SMALL]) == 0
    return out


def test_train_translate_and_report_work_from_end_to_end(run, tmp_path, capsys) -> None:
    album = tmp_path / "album" / "deep"
    album.mkdir(parents=True)
    Image.new("RGB", (50, 37), (200, 100, 50)).save(album / "one.jpg")
    names = _domains(run)
    out = tmp_path / "out"
    assert (
        main(["translate", str(run), str(album.parent), "--to", names[1], "--out", str(out)]) == 0
    )
    with Image.open(out / "deep" / "one.png") as image:
        assert image.size == (50, 37)
    assert "1 image translated" in capsys.readouterr().out
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").stat().st_size > 10_000


def test_resuming_a_finished_run_says_so_and_succeeds(run, capsys) -> None:
    before = (run / "state.pt").read_bytes()
    assert main(["train", "--resume", str(run)]) == 0
    assert "is finished: 2 of 2 steps are done" in capsys.readouterr().out
    assert (run / "state.pt").read_bytes() == before


def test_a_config_file_a_recipe_and_a_preset_are_where_options_start_from(
    run, folders, tmp_path
) -> None:
    out = tmp_path / "second"
    base = ["train", "cyclegan", *folders, "--steps", "1", "--no-evaluate", "--out", str(out)]
    assert main([*base, "--config", str(run / "config.toml"), "--cycle-weight", "5"]) == 0
    text = (out / "config.toml").read_text()
    assert "width = 4\n" in text
    assert "cycle_weight = 5.0\n" in text
    assert main([*base, *SMALL, "--recipe", "gan-forward", "--overwrite"]) == 0
    assert 'cycle = "forward"\n' in (out / "config.toml").read_text()
    assert main([*base, *SMALL, "--preset", "fast", "--batch-size", "2", "--overwrite"]) == 0
    text = (out / "config.toml").read_text()
    assert "lr_scale = 3.0\n" in text
    assert "batch_size = 2\n" in text


def test_help_version_methods_and_samples_are_printed(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"diptych {__version__}\n"
    for arguments, words in (
        ([], "train METHOD"),
        (["methods"], "cyclegan"),
        (["samples"], "sample:earth-climate"),
        (["train", "--help"], "cyclegan"),
    ):
        assert main(arguments) == 0
        assert words in capsys.readouterr().out
    main(["methods"])
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "two generators, trained to be each other's inverse",
        "takes the same scenes in two",
        "1703.10593",
    ):
        assert words in shown
    with pytest.raises(SystemExit, match="0"):
        main(["train", "cyclegan", "--help"])
    shown = capsys.readouterr().out
    for flag in ("--cycle-weight", "--minutes", "--identity-weight", "--overwrite", "--ema"):
        assert flag in shown


def test_unknown_words_are_named_with_what_there_is(fails, tmp_path) -> None:
    assert fails("frobnicate").startswith("no command 'frobnicate'; there are: train")
    assert fails("train", "cyclgan") == "no method 'cyclgan': did you mean 'cyclegan'?"
    assert "Unrecognized options: --wdth" in fails("train", "cyclegan", "--wdth", "3")
    assert "no recipe 'foo'" in fails("train", "cyclegan", "--recipe", "foo")
    assert "no preset 'foo'; there are: paper, fast" in fails(
        "train", "cyclegan", "--preset", "foo"
    )
    assert "no sample 'mars'" in fails("train", "cyclegan", "--data", "sample:mars")
    config = tmp_path / "config.toml"
    config.write_text("[config]\ncicle_weight = 3\n")
    line = fails("train", "cyclegan", "--config", config)
    assert line.startswith("cyclegan has no option 'cicle_weight': did you mean 'cycle_weight'?")
    config.write_text("[run]\nstepz = 3\n")
    assert "has no option 'stepz': did you mean 'steps'?" in fails(
        "train", "cyclegan", "--config", config
    )
    config.write_text("width = = 3")
    assert "is no TOML" in fails("train", "cyclegan", "--config", config)


def test_values_out_of_range_are_named(fails, folders) -> None:
    base = ["train", "cyclegan", *folders]
    assert fails(*base, "--size", "30").startswith("size is 30: it must be a multiple of 4")
    assert fails(*base, "--steps", "0").startswith("--steps is 0: it must be above 0")
    both = fails(*base, "--steps", "9", "--minutes", "1")
    assert both.startswith("give one budget, not --steps and --minutes")
    assert "'hexagon'" in fails(*base, "--generator", "hexagon")
    assert "load size is 20, smaller than the crop of 32" in fails(
        *base, "--load-size", "20", "--steps", "1", *SMALL
    )
    assert "no device 'quantum' here" in fails(*base, "--device", "quantum")


def _folder(path: Path, count: int = 3, side: int = 40) -> Path:
    path.mkdir()
    for i in range(count):
        Image.new("RGB", (side, side), (40 * i, 90, 200 - 40 * i)).save(path / f"{i}.jpg")
    return path


def test_data_that_cannot_be_used_are_named_with_the_way_out(fails, tmp_path) -> None:
    good = _folder(tmp_path / "good")

    def train(x: Path) -> str:
        return fails("train", "cyclegan", "--x", x, "--y", good, "--out", tmp_path / "r", *SMALL)

    assert "no data: give a folder" in fails("train", "cyclegan")
    assert str(tmp_path / "nowhere") in train(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in train(tmp_path / "empty")
    assert "one" in train(_folder(tmp_path / "one", count=1))
    assert "smaller than the crop of 32" in train(_folder(tmp_path / "tiny", side=20))
    assert "good" in train(good / "0.jpg") or "0.jpg" in train(good / "0.jpg")
    text = _folder(tmp_path / "text", count=0)
    for i in range(3):
        (text / f"{i}.png").write_text("no image")
    assert "0.png" in train(text)
    cut = _folder(tmp_path / "cut")
    for file in cut.iterdir():
        file.write_bytes(file.read_bytes()[:400])
    assert "0.jpg" in train(cut)
    assert not (tmp_path / "r").exists()  # nothing was left behind


def test_a_few_broken_images_are_named_and_passed_over(tmp_path, capsys) -> None:
    x, y = _folder(tmp_path / "x", 6), _folder(tmp_path / "y", 6)
    (x / "4.jpg").write_bytes((x / "4.jpg").read_bytes()[:300])
    (x / "2.jpg").write_bytes((x / "2.jpg").read_bytes()[:300])  # the one that is held out
    out = tmp_path / "run"
    command = ["train", "cyclegan", "--x", str(x), "--y", str(y), "--steps", "12", *SMALL]
    assert main([*command, "--out", str(out)]) == 0
    assert "4.jpg" in capsys.readouterr().err
    assert "4.jpg" in (out / "report.html").read_text()


def test_nothing_is_overwritten_without_being_told(fails, run, folders, tmp_path) -> None:
    before = (run / "state.pt").read_bytes()
    line = fails("train", "cyclegan", *folders, "--steps", "1", "--out", run, *SMALL)
    assert line.startswith(f"{run} already holds a run: go on with it by diptych train --resume")
    assert (run / "state.pt").read_bytes() == before
    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(picture)
    command = ["translate", run, picture, "--to", _domains(run)[0], "--out", tmp_path / "o"]
    assert main([str(a) for a in command]) == 0
    assert "--overwrite" in fails(*command)


def test_runs_and_translators_that_cannot_be_read_are_named(fails, run, tmp_path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(picture)
    assert "no such run or file" in fails("translate", tmp_path / "no", picture, "--to", "a")
    known = " and ".join(_domains(run))
    assert f"knows {known}" in fails("translate", run, picture)
    assert "no domain 'mars'" in fails("translate", run, picture, "--to", "mars")
    assert "config.toml cannot be read" in fails("train", "--resume", tmp_path)
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
    line = fails("translate", run, bomb, "--to", _domains(run)[0], "--out", tmp_path / "o")
    assert "bomb.png" in line
    assert "400" in line  # megapixels


def _domains(run: Path) -> list[str]:
    from diptych.training.settings import read_plan

    return list(read_plan(run).resolved.domains)
