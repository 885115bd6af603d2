"""The command line: what works, and one clear line with exit code 2 for what cannot."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from PIL import Image

from diptych import __version__
from diptych.cli.main import main
from tests.cli.conftest import domains_of


def test_train_translate_and_report_work_from_end_to_end(run, tmp_path, capsys) -> None:
    album = tmp_path / "album" / "deep"
    album.mkdir(parents=True)
    Image.new("RGB", (50, 37), (200, 100, 50)).save(album / "one.jpg")
    names = domains_of(run)
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
    assert fails("frobnicate").startswith("no command 'frobnicate'; there are: doctor, train")
    assert fails("train", "cyclgan") == "no method 'cyclgan': did you mean 'cyclegan'?"
    assert fails("train", "cyclegan", "--wdth", "3") == (
        "no option --wdth: did you mean --width? (see diptych train cyclegan --help)"
    )
    assert fails("methods", "foo").startswith("unexpected 'foo': nothing more is expected there")
    assert fails("samples", "--foo") == "no option --foo (see diptych samples --help)"
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
    config.write_text("width = 3\n")
    assert "has an unknown key 'width': options go into [config] or [run]" in fails(
        "train", "cyclegan", "--config", config
    )
    config.write_text("config = 3\n")
    assert "config is 3: it must be a table" in fails("train", "cyclegan", "--config", config)
    config.write_text("width = = 3")
    assert "is no TOML" in fails("train", "cyclegan", "--config", config)


def test_an_output_without_a_letter_for_an_arrow_shows_a_question_mark(monkeypatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit, match="0"):
        main(["evaluate", "--help"])
    out.seek(0)
    assert "Add the FCN score of labels ? photos." in out.read()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "translate --help", "evaluate --help", "generate --help",
     "bench --help", "bench --frobnicate", "study report --help", "translate"],
)  # fmt: skip
def test_help_and_slips_need_no_torch(command: str) -> None:
    script = f"""
import sys
from diptych.cli.main import main
try:
    code = main({command.split()})
except SystemExit as stop:
    code = stop.code
sys.exit(100 if "torch" in sys.modules else code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == (0 if command.startswith("--") or "--help" in command else 2)
