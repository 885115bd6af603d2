"""A bench keeps to its own folders."""

from __future__ import annotations

import io
import shutil

import pytest
from PIL import Image
from rich.console import Console

from diptych.bench.claim import claim
from diptych.bench.place import Place, read_result
from diptych.bench.plan import make_bench
from diptych.bench.run import Options, Running
from diptych.data import open_data
from diptych.errors import InputError
from diptych.training.settings import Settings


def test_a_bench_does_not_take_another_s_folders(bench, carried, place, paired_data, tmp_path):
    bench("cyclegan")
    before = read_result(place, "cyclegan", 0)
    other = tmp_path / "summer" / "dark2bright"
    shutil.copytree(paired_data, other)
    Image.new("RGB", (32, 32)).save(other / "trainA" / "new.png")
    carried.pieces.clear()
    with pytest.raises(InputError, match=r"bench holds a bench of other data than .*summer"):
        bench("cyclegan", data=str(other))
    elsewhere = Place(tmp_path / "another", place.runs)
    with pytest.raises(InputError, match=r"runs holds the runs of .*bench: give another --runs"):
        claim(elsewhere, [Settings(data=paired_data)], [open_data(paired_data, size=32)])
    console = Console(file=io.StringIO())
    asked = make_bench({"data": str(other), "size": 32, "steps": 4, "rows": ["cyclegan"]})
    for mixed in (Place(place.out, tmp_path / "new"), Place(tmp_path / "new", place.runs)):
        with pytest.raises(InputError, match="give another"):
            Running(asked, mixed, Options(device="cpu"), console).run()
    assert not (tmp_path / "new").exists()
    assert carried.names == []
    assert read_result(place, "cyclegan", 0) == before
    (other / "trainA" / "new.png").unlink()  # now it is a copy: the same data
    bench("cyclegan", data=str(other))
    assert carried.names == []
