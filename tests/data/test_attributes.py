"""Tables of attributes beside a folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data import Data, open_data, stream
from diptych.data.attributes import changed, exclusions, read_table
from diptych.errors import InputError
from diptych.types import Attributed, Labelled, Unpaired

SIZE = 16
ROWS = {f"{i:02d}.png": (i % 2, int(i % 3 == 0), int(i >= 30)) for i in range(40)}
"""Odd, a multiple of three, late: by the image's number, which is its brightness too."""
NAMES = ("Odd", "Third", "Late")


def _images(folder: Path, names: list[str] | None = None) -> Path:
    for name in names or list(ROWS):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        value = 6 * int(file.stem)
        Image.new("RGB", (SIZE, SIZE), (value, value, value)).save(file)
    return folder


def _csv(path: Path, no: str = "0") -> Path:
    lines = ["image_id," + ",".join(NAMES)]
    lines += [",".join([name, *("1" if v else no for v in row)]) for name, row in ROWS.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def _celeba(path: Path) -> Path:
    lines = [str(len(ROWS)), " ".join(NAMES) + " "]
    lines += [f"{name}  " + "  ".join("1" if v else "-1" for v in row)
              for name, row in ROWS.items()]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    _csv(tmp_path / "table.csv")
    return _images(tmp_path / "faces")


def _open(faces: Path, **options: object) -> Data:
    return open_data(faces, attributes=faces.parent / "table.csv", size=SIZE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["zeros", "minus ones", "celeba", "spaces"])
def test_csv_and_celebas_own_list_say_the_same(kind: str, tmp_path: Path):
    path = tmp_path / "table"
    if kind == "celeba":
        _celeba(path)
    else:
        _csv(path, no="0" if kind == "zeros" else "-1")
    if kind == "spaces":
        path.write_text("\ufeff" + path.read_text().replace(",", ", "), encoding="utf-8")
    table = read_table(path)
    assert table.names == NAMES
    assert {name: tuple(table.values[row]) for name, row in table.rows.items()} == ROWS
    chosen = read_table(path, ["Late", "Odd"])
    assert chosen.names == ("Late", "Odd")
    assert chosen.values[chosen.rows["31.png"]].tolist() == [1, 1]


def test_every_image_is_drawn_with_what_it_has(faces: Path):
    data = _open(faces)
    assert data.domains == NAMES
    for workers in (0, 1):
        seen = set()
        options = {"batch_size": 7, "size": SIZE, "load_size": 0, "seed": 3, "workers": workers}
        with stream(data, Labelled, **options) as batches:
            for _ in range(8):
                batch = next(batches)
                assert type(batch) is Attributed
                assert batch.label.dtype == torch.float32
                for image, label in zip(batch.image, batch.label, strict=True):
                    number = round((image[0, 0, 0].item() + 1) * 127.5 / 6)
                    assert tuple(label.tolist()) == ROWS[f"{number:02d}.png"]
                    seen.add(number)
        assert len(seen) == 38  # all but those held out


def test_a_domain_has_the_images_with_its_attribute_so_that_other_methods_can_use_it(faces: Path):
    data = _open(faces, names=("Third", "Odd"))
    assert data.domains == ("Third", "Odd")
    for split in (data.train, data.test):
        assert split is not None
        assert split.attributes is not None
        for k, domain in enumerate(split.domains):
            names = [domain.name(i) for i in range(len(domain))]
            having = np.flatnonzero(split.attributes.values[:, k])
            assert names == [split.attributes.images.name(i) for i in having]
    with stream(data, Unpaired, batch_size=4, size=SIZE, seed=0) as batches:
        batch = next(batches)
    assert all(round((i[0, 0, 0].item() + 1) * 127.5 / 6) % 2 == 1 for i in batch.y)


def test_what_is_held_out_is_said_and_stays(faces: Path):
    data = _open(faces)
    assert data.notes == ("no test images: 2 training images are held out for testing",)
    assert data.test is not None
    assert data.test.attributes is not None
    test = {data.test.attributes.images.name(i) for i in range(2)}
    again = _open(faces, names=("Odd",)).test
    assert again is not None
    assert again.attributes is not None
    assert {again.attributes.images.name(i) for i in range(2)} == test


def test_own_splits_and_folders_within_are_found_by_the_files_name(tmp_path: Path):
    _csv(tmp_path / "table.csv")
    names = list(ROWS)
    _images(tmp_path / "faces" / "train" / "img", names[:30])
    _images(tmp_path / "faces" / "val", names[30:34])
    _images(tmp_path / "faces" / "test", names[34:38])
    data = _open(tmp_path / "faces", names=("Odd", "Third"))
    assert data.validation is not None
    assert data.test is not None
    sizes = [len(s.attributes.images) for s in (data.train, data.validation, data.test)]  # type: ignore[union-attr]
    assert sizes == [30, 4, 4]
    assert data.notes == ("table.csv has 40 rows for 38 images",)


def test_the_fingerprint_follows_the_table(faces: Path):
    first = _open(faces, names=("Odd", "Third")).fingerprint
    assert _open(faces, names=("Odd", "Third")).fingerprint == first
    assert _open(faces, names=("Third", "Odd")).fingerprint != first
    table = faces.parent / "table.csv"
    table.write_text(table.read_text().replace("39.png,1,1,1", "39.png,1,1,0"))
    assert _open(faces, names=("Odd", "Third")).fingerprint == first  # another column
    table.write_text(table.read_text().replace("39.png,1,1,0", "39.png,1,0,0"))
    assert _open(faces, names=("Odd", "Third")).fingerprint != first


def test_a_table_may_lie_in_the_folder(faces: Path):
    _celeba(faces / "list_attr.txt")
    data = open_data(faces, attributes="list_attr.txt", names=("Odd",), size=SIZE)
    assert data.domains == ("Odd",)


# --- changing one ----------------------------------------------------------------


def test_attributes_that_hardly_ever_occur_together_exclude_each_other():
    hair = np.zeros((1000, 3), np.uint8)
    hair[:400, 0] = 1
    hair[400:700, 1] = 1
    hair[::2, 2] = 1
    hair[0, 1] = 1  # one of 120 that chance would give
    expected = [[False, True, False], [True, False, False], [False, False, False]]
    assert exclusions(hair).tolist() == expected
    hair[:40, 1] = 1
    assert not exclusions(hair).any()


@pytest.mark.parametrize(
    ("label", "attribute", "expected"),
    [
        ((1, 0, 0), 1, (0, 1, 0)),  # another colour of hair
        ((1, 0, 1), 0, (1, 0, 1)),  # the same: no other is named
        ((0, 0, 1), 0, (1, 0, 1)),
        ((1, 0, 1), 2, (1, 0, 0)),
        ((1, 0, 0), 2, (1, 0, 1)),
    ],
)
def test_one_attribute_is_changed_and_the_others_stay(label, attribute, expected):
    excluded = np.zeros((3, 3), bool)
    excluded[0, 1] = excluded[1, 0] = True
    row = np.array(label, np.uint8)
    assert tuple(changed(row, attribute, excluded)) == expected
    assert tuple(row) == label


# --- what cannot be used -----------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("07.png,1,0,0", "07.png,1,2,0", r"line 9: Third is '2' for 07.png: expected 1, 0 or"),
        ("07.png,1,0,0", "07.png,1,,0", r"Third is '' for 07.png"),
        ("07.png,1,0,0", "07.png,1,0", r"line 9 has 3 fields: expected a file name and 3 val"),
        ("07.png,1,0,0", "06.png,1,0,0", r"line 9: 06.png already has a row"),
        ("07.png,1,0,0\n", "", r"has no row for 07.png of the \d+ images in .*faces: add rows"),
        ("Odd,Third,Late", "Odd,Odd,Late", r"two columns 'Odd'"),
        ("image_id,Odd,Third,Late", "image_id", r"is not a table of attributes: expected a header"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_its_line(faces, old, new, message):
    table = faces.parent / "table.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        _open(faces)
    assert "\n" not in str(caught.value)


def test_images_without_a_row_are_counted(faces: Path):
    _images(faces, ["41.png", "42.png"])
    with pytest.raises(InputError, match=r"no row for 4\d\.png( and 1 more)? of"):
        _open(faces)


def test_missing_files_and_unknown_columns_are_named(faces: Path):
    with pytest.raises(InputError, match=r"no table of attributes no\.csv: no such file, and none"):
        open_data(faces, attributes="no.csv", size=SIZE)
    with pytest.raises(InputError, match=r"has no column 'Od': did you mean 'Odd'\?"):
        _open(faces, names=("Od",))
    with pytest.raises(InputError, match=r"no column 'Zzz': it has Odd, Third, Late"):
        _open(faces, names=("Zzz",))
    with pytest.raises(InputError, match="names an attribute twice"):
        _open(faces, names=("Odd", "Odd"))
    with pytest.raises(InputError, match="needs a folder of images"):
        open_data("sample:earth-map", attributes=faces.parent / "table.csv", size=SIZE)
    with pytest.raises(InputError, match="give the folder as data"):
        open_data(attributes=faces.parent / "table.csv", size=SIZE)
    (faces.parent / "empty.csv").write_text("image_id,Odd\n")
    with pytest.raises(InputError, match=r"empty\.csv has no rows"):
        open_data(faces, attributes=faces.parent / "empty.csv", size=SIZE)
    (faces.parent / "odd.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"odd\.csv cannot be read"):
        open_data(faces, attributes=faces.parent / "odd.csv", size=SIZE)


@pytest.mark.parametrize(("value", "message"), [("0", "none of the"), ("1", "each of the")])
def test_an_attribute_that_all_images_have_or_none_is_refused(faces, value, message):
    lines = ["f,Odd,Same", *(f"{name},{row[0]},{value}" for name, row in ROWS.items())]
    (faces.parent / "table.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=f"{message} 38 training images has Same"):
        _open(faces)
    assert _open(faces, names=("Odd",)).domains == ("Odd",)
