"""Studies are made whole or not at all, of runs or of folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.cli import main
from diptych.data import open_data
from diptych.errors import InputError
from diptych.study.items import Item, make_study
from diptych.study.settings import StudySettings
from diptych.study.sources import HeldOut, named_paths
from diptych.study.store import Study
from tests.study.conftest import FAKE, REAL, grey_items

SETTINGS = StudySettings(direction="x→y", methods=("a",), practice=1, counted=3)
FEW = ["--practice", "1", "--trials", "3"]


def folder_of(path: Path, level: int, names: str, side: int = 16) -> Path:
    path.mkdir(parents=True)
    for i, name in enumerate(names):
        Image.new("RGB", (side, side), (level, i, 0)).save(path / f"{name}.png")
    return path


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["study", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("diptych: ")


def test_images_that_differ_in_size_make_no_study(tmp_path) -> None:
    odd = Item("odd", Image.new("RGB", (32, 31)))
    with pytest.raises(InputError, match="scene-0 of the real images is 32x32 and odd of a 32x31"):
        make_study(
            tmp_path / "s", grey_items(REAL, 4), {"a": [*grey_items(FAKE, 4), odd]}, SETTINGS
        )
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_make_no_study(tmp_path) -> None:
    with pytest.raises(InputError, match="4 real images and 3 of a give 3 pairs, and a session of"):
        make_study(tmp_path / "s", grey_items(REAL, 4), {"a": grey_items(FAKE, 3)}, SETTINGS)
    same = StudySettings(direction="", methods=("a",), practice=1, counted=3, pairing="same")
    with pytest.raises(InputError, match="give 0 pairs of the same scenes"):
        make_study(tmp_path / "s", grey_items(REAL, 4), {"a": grey_items(FAKE, 4, "no")}, same)
    with pytest.raises(InputError, match="two images of the real ones have one name"):
        make_study(tmp_path / "s", grey_items(REAL, 4) * 2, {"a": grey_items(FAKE, 4)}, SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_is_there_is_never_written_to(new_study) -> None:
    folder = new_study()
    before = (folder / "study.sqlite").read_bytes()
    with pytest.raises(InputError, match="is there already: give another --out"):
        make_study(folder, grey_items(REAL, 4), {"a": grey_items(FAKE, 4)}, SETTINGS)
    assert (folder / "study.sqlite").read_bytes() == before


def test_names_stand_before_paths(tmp_path) -> None:
    tricky = tmp_path / "a=b"
    tricky.mkdir()
    found = named_paths([f"x={tmp_path}", str(tricky), str(tmp_path)], lambda path: path.name)
    assert found == {"x": tmp_path, "a=b": tricky, tmp_path.name: tmp_path}
    with pytest.raises(InputError, match="as another is: name it"):
        named_paths([f"x={tmp_path}", f"x={tricky}"], lambda path: path.name)


def test_translations_and_real_images_of_one_pair_are_of_one_scene(tmp_path) -> None:
    """Pairs by name; the translation here is the negative."""
    for side, level in (("trainA", 10), ("trainB", 90), ("testA", 10), ("testB", 90)):
        folder_of(tmp_path / "maps" / side, level, "abcdefgh")
    data = open_data(str(tmp_path / "maps"), size=16)
    x, y = data.domains
    held_out = HeldOut(data, x, y, "test", 16, most=4)
    assert held_out.direction == f"{x}→{y}"
    real, fake = list(held_out.real()), list(held_out.translated(lambda images, to: -images))
    assert len(real) == len(fake) == 4
    assert [item.image.getpixel((0, 0))[0] for item in real] == [90] * 4
    assert [item.image.getpixel((0, 0))[0] for item in fake] == [245] * 4
    if data.test is not None and data.test.pairs is not None:
        numbers = [item.image.getpixel((0, 0))[1] for item in real]
        assert [255 - item.image.getpixel((0, 0))[1] for item in fake] == numbers
        assert [item.scene for item in real] == [item.scene for item in fake]
    else:
        assert {item.scene for item in real}.isdisjoint(item.scene for item in fake)
    with pytest.raises(InputError, match="no domain 'mars'"):
        HeldOut(data, "mars", y, "test", 16, most=4)


def test_a_study_of_folders_from_the_command_line(tmp_path, capsys) -> None:
    real = folder_of(tmp_path / "real", REAL, "abcdef")
    ours, theirs = (folder_of(tmp_path / n, FAKE, "abcdef") for n in ("ours", "theirs"))
    out = tmp_path / "studies" / "x"
    base = ["study", "make", "--real", real, "--fake", ours, f"other={theirs}", "--out", out]
    assert main([*map(str, base), *FEW, "--direction", "map→photo", "--pairing", "same"]) == 0
    settings = Study(out).settings
    assert settings.methods == ("ours", "other")
    assert (settings.direction, settings.total, settings.pairing) == ("map→photo", 4, "same")
    assert len(list((out / "images").iterdir())) == 18
    token = Study(out).join("r1")
    records = Study(out).records()
    assert all(r["real_scene"] == r["fake_scene"] for r in records)
    assert token
    capsys.readouterr()
    assert main(["study", "invite", str(out), "2", "--url", "http://x.test:80"]) == 0
    links = capsys.readouterr().out.splitlines()
    assert len(set(links)) == 2
    assert all(link.startswith("http://x.test:80/#") for link in links)
    files = [str(tmp_path / name) for name in ("r.json", "r.md", "r.csv")]
    more = ["--json", files[0], "--table", files[1], "--csv", files[2]]
    assert main(["study", "report", str(out), *more, "--paper"]) == 0
    shown = capsys.readouterr().out
    for words in ("map→photo", "ours", "26.8 ± 2.8", "1 did not finish"):
        assert words in shown
    assert "| other | - |" in Path(files[1]).read_text(encoding="utf-8")


def test_what_cannot_be_made_or_served_is_one_line(tmp_path, capsys, new_study) -> None:
    real = folder_of(tmp_path / "real", REAL, "abcdef")
    wide = folder_of(tmp_path / "wide", FAKE, "abcdef", side=20)
    out = tmp_path / "x"
    assert fails(capsys, "draw").startswith("no command study 'draw'; there are: make, serve")
    assert "give runs, or --real FOLDER" in fails(capsys, "make", "--out", out)
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
    assert "report on what?" in fails(capsys, "report")
    assert "must end in .md, .tex" in fails(capsys, "report", out, "--table", "x.doc")


def test_help_names_the_commands(capsys) -> None:
    assert main(["study"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("make RUN", "serve STUDY", "invite", "report STUDY"))


@pytest.mark.slow
def test_a_study_of_runs_from_the_command_line(tmp_path, picture_folders) -> None:
    x, y = picture_folders(count=8)
    run = tmp_path / "run"
    small = ["--width", "4", "--size", "32", "--blocks", "1", "--device", "cpu", "--workers", "0"]
    small += ["--precision", "fp32", "--threads", "1", "--no-evaluate", "--steps", "2"]
    assert main(["train", "cyclegan", "--x", x, "--y", y, "--out", str(run), *small]) == 0
    out = tmp_path / "study"
    command = ["study", "make", str(run), f"again={run}", "--to", "bright", "--split", "train"]
    assert main([*command, "--images", "5", "--out", str(out), "--device", "cpu", *FEW]) == 0
    settings = Study(out).settings
    assert settings.direction == "dark→bright"
    assert settings.methods == ("cyclegan", "again")
    means = [np.asarray(Image.open(f)).mean() for f in (out / "images").iterdir()]
    assert len(means) == 15
    assert sum(mean > 170 for mean in means) == 5  # the real, bright ones
