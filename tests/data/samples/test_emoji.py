"""The sample of emoji, on small archives made here."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.data.samples import emoji, open_sample
from diptych.errors import InputError


def _entry(points: str, category: str = "Objects", **has: bool) -> dict[str, Any]:
    drawn = {"has_img_google": True, "has_img_twitter": True} | has
    return {"unified": points, "image": f"{points.lower()}.png", "category": category, **drawn}


PICTURES = [_entry(f"1F4{i:02X}") for i in range(60)] + [_entry("2702-FE0F", "Objects")]
OTHERS = [
    _entry("0023-FE0F-20E3", "Symbols"),  # a keycap
    _entry("2764", "Symbols"),
    _entry("1F1E6-1F1E8", "Flags"),
    _entry("1F3F4", "Flags"),
    _entry("1F3FB", "Component"),  # a tone of skin
    _entry("1F468-200D-1F33E", "People & Body"),  # a joined one
]
ONE_SIDED = [
    _entry("1F600", has_img_google=False),
    _entry("1F601", has_img_twitter=False),
]


def _png(value: int) -> bytes:
    """Left half transparent, right half grey."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, 32:] = (value, value, value, 255)
    held = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(held, "PNG")
    return held.getvalue()


@cache  # the time is in it
def _archive(domain: str) -> bytes:
    """What npm packs; the files' bytes differ by set, and their order is not the names'."""
    held = io.BytesIO()
    table = [*ONE_SIDED, *OTHERS, *reversed(PICTURES)]
    files = {"package/emoji.json": json.dumps(table).encode()}
    for number, one in enumerate(table):
        if one[f"has_img_{domain}"]:
            value = number if domain == "google" else 200
            files[f"package/img/{domain}/64/{one['image']}"] = _png(value)
    files[f"../../evil-{domain}.png"] = _png(0)
    with tarfile.open(fileobj=held, mode="w:gz") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return held.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a folder with the two archives."""
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "packages"
    folder.mkdir()
    sums = {}
    for domain in emoji.DOMAINS:
        archive = _archive(domain)
        (folder / f"emoji-datasource-{domain}-16.0.0.tgz").write_bytes(archive)
        sums[domain] = hashlib.sha256(archive).hexdigest()
    monkeypatch.setattr(emoji, "DOMAINS", sums)
    monkeypatch.setenv("DIPTYCH_EMOJI", str(folder))
    return tmp_path


def test_the_rule_keeps_single_pictures_that_all_sets_draw(place: Path):
    data = open_sample("emoji", 64)
    assert data.domains == ("google", "twitter")
    splits = (data.train, data.validation, data.test)
    names = [split.domains[0].name(i) for split in splits if split
             for i in range(len(split.domains[0]))]  # fmt: skip
    assert sorted(names) == sorted(one["image"] for one in PICTURES)
    assert data.is_tiled
    assert all(len(split.domains[0]) > 0 for split in splits if split)


def test_pairs_are_files_of_one_name_and_never_in_two_splits(place: Path):
    data = open_sample("emoji", 64)
    seen: set[str] = set()
    for split in (data.train, data.validation, data.test):
        assert split is not None
        assert split.pairs is not None
        google, twitter = split.pairs
        names = [google.name(i) for i in range(len(google))]
        assert names == [twitter.name(i) for i in range(len(twitter))]
        assert not seen & set(names)
        seen |= set(names)


def test_a_hash_of_the_name_decides_the_split():
    shares = [emoji._part(f"{i:x}.png") for i in range(4000)]
    assert shares.count("test") == pytest.approx(800, abs=80)
    assert shares.count("validation") == pytest.approx(400, abs=60)
    assert emoji._part("1f600.png") == "train"
    assert emoji._part("1f40c.png") == emoji._part("1f40c.png")


def test_pictures_stand_on_white_in_the_size_that_is_asked_for(place: Path):
    for size in (64, 32):
        data = open_sample("emoji", size)
        image = np.asarray(data.train.domains[1].read(0).picture())
        assert image.shape == (size, size, 3)
        assert (image[:, : size // 4] == 255).all()
        assert (image[:, -size // 4 :] == 200).all()
    google = data.train.domains[0]
    numbers = {one["image"]: i for i, one in enumerate([*ONE_SIDED, *OTHERS, *reversed(PICTURES)])}
    for i in range(len(google)):  # each name has its own picture
        assert np.asarray(google.read(i).picture())[0, -1, 0] == numbers[google.name(i)]


def test_the_second_time_reads_the_cache_and_nothing_is_written_beside_it(place: Path, monkeypatch):
    first = open_sample("emoji", 64)
    monkeypatch.setenv("DIPTYCH_EMOJI", str(place / "nowhere"))
    second = open_sample("emoji", 64)
    assert second.fingerprint == first.fingerprint
    assert open_sample("emoji", 32).fingerprint != first.fingerprint
    kept = sorted(path.name for path in (place / "cache").rglob("*") if path.is_file())
    assert kept == ["emoji-google-16.0.0-v1.npz", "emoji-twitter-16.0.0-v1.npz"]
    assert not list(place.parent.rglob("evil*"))
    damaged = place / "cache" / "samples" / kept[0]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(InputError, match="nowhere, which has no emoji-datasource-google"):
        open_sample("emoji", 64)


class _Npm:
    """Stands for npm: writes an archive, or fails."""

    def __init__(self, *, works: bool) -> None:
        self.works, self.asked = works, []  # type: ignore[var-annotated]

    def __call__(self, command: list[str], *, cwd: str, **_: object):
        assert command[1:] == ["pack", command[2], "--silent"]
        self.asked.append(command[2])
        if not self.works:
            return subprocess.CompletedProcess(command, 1, "", "npm ERR! no\nnetwork")
        domain = command[2].partition("@")[0].rpartition("-")[2]
        name = f"emoji-datasource-{domain}-16.0.0.tgz"
        (Path(cwd) / name).write_bytes(_archive(domain))
        return subprocess.CompletedProcess(command, 0, "", "")


def test_npm_is_asked_once_for_each_and_what_is_missing_is_said(place: Path, monkeypatch):
    monkeypatch.delenv("DIPTYCH_EMOJI")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match="is fetched by npm: install npm, or set DIPTYCH_EMOJI"):
        open_sample("emoji", 64)
    monkeypatch.setattr("shutil.which", lambda _: "npm")
    monkeypatch.setattr(subprocess, "run", _Npm(works=False))
    with pytest.raises(InputError, match=r"npm pack emoji-datasource-google@16.0.0 failed \(npm"):
        open_sample("emoji", 64)
    npm = _Npm(works=True)
    monkeypatch.setattr(subprocess, "run", npm)
    for _ in range(2):
        open_sample("emoji", 64)
    packages = [f"emoji-datasource-{domain}@16.0.0" for domain in ("google", "twitter")]
    assert npm.asked == packages


def test_other_archives_than_the_known_ones_are_refused(place: Path, monkeypatch):
    monkeypatch.setattr(emoji, "DOMAINS", dict.fromkeys(emoji.DOMAINS, "0" * 64))
    with pytest.raises(InputError, match=r"does not have the SHA-256 of emoji-datasource-google"):
        open_sample("emoji", 64)
    monkeypatch.delenv("DIPTYCH_EMOJI")
    monkeypatch.setattr("shutil.which", lambda _: "npm")
    monkeypatch.setattr(subprocess, "run", _Npm(works=True))
    with pytest.raises(InputError, match="does not have the expected SHA-256"):
        open_sample("emoji", 64)
    assert not list((place / "cache").rglob("*.npz"))
