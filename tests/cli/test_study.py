"""`diptych study` from the command line."""

from __future__ import annotations

from diptych.cli.main import main
from tests.cli.test_study_make import FEW, fails, folder_of
from tests.study.conftest import (
    FAKE,
    REAL,
    new_study,  # noqa: F401  # a fixture
)


def test_what_cannot_be_made_or_served_is_one_line(tmp_path, capsys, new_study) -> None:  # noqa: F811
    real = folder_of(tmp_path / "real", REAL, "abcdef")
    wide = folder_of(tmp_path / "wide", FAKE, "abcdef", side=20)
    out = tmp_path / "x"
    assert fails(capsys, "draw").startswith("no command study 'draw'; there are: make, serve")
    assert "Give runs and --to DOMAIN, or --real FOLDER and --fake" in fails(
        capsys, "make", "--out", out
    )
    folders = ["make", "--real", real, "--fake", wide, "--out", out]
    assert fails(capsys, *folders, "--split", "train") == (
        "--split is for a study of runs, not of folders: leave it out"
    )
    assert fails(capsys, "make", real, "--to", "y", "--out", out, "--size", 16) == (
        "--size is for a study of folders, not of runs: leave it out"
    )
    assert fails(capsys, "make").startswith("--out is missing: folder for the study")
    assert "no such folder" in fails(capsys, "make", "--real", out, "--fake", real, "--out", out)
    assert "give --size to scale" in fails(
        capsys, "make", "--real", real, "--fake", wide, "--out", out, *FEW
    )
    size = ["--size", "16", *FEW]
    assert (
        main([*map(str, ["study", "make", "--real", real, "--fake", wide, "--out", out]), *size])
        == 0
    )
    assert "no such run or file" in fails(
        capsys, "make", tmp_path / "run", "--to", "y", "--out", tmp_path / "z"
    )
    assert "--to which domain?" in fails(capsys, "make", tmp_path, "--out", tmp_path / "z")
    assert "no study in" in fails(capsys, "serve", tmp_path)
    assert "cannot listen" in fails(capsys, "serve", out, "--host", "192.0.2.1")
    assert "STUDY is missing" in fails(capsys, "report")
    assert "must end in .md, .tex" in fails(capsys, "report", out, "--table", "x.doc")
    for option in ("--json", "--csv", "--plot"):
        missing = fails(capsys, "report", out, option, tmp_path / "no" / "x.png")
        assert (
            missing == f"cannot write {tmp_path / 'no' / 'x.png'}: there is no folder"
            f" {tmp_path / 'no'}"
        )
    assert "it is a folder" in fails(capsys, "report", out, "--json", tmp_path)
    assert fails(capsys, "report", out, "--seed", -1) == "--seed is -1: it must be at least 0"
    for side in (0, -3):
        refused = fails(capsys, "make", "--real", real, "--fake", wide, "--size", side,
                        "--out", tmp_path / "z")  # fmt: skip
        assert refused == f"--size is {side}: it must be at least 1"
    assert not (tmp_path / "z").exists()
    assert "expected an address" in fails(capsys, "serve", out, "--port", "0", "--url", "x.test")


def test_help_names_the_commands(capsys) -> None:
    assert main(["study"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("make RUN", "serve STUDY", "invite", "report STUDY"))
