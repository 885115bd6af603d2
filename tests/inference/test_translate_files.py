"""Files, folders and patterns in, one result each out, and nothing lost on the way."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.errors import InputError
from diptych.inference.translate_files import plan_files, translate_files
from diptych.inference.translator import Translator


class Negative(nn.Module):
    inference_modules = ()
    exportable = True
    size_multiple = 4
    fixed_size = None

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def translate(self, image: Tensor, to: tuple[int, ...], rng=None) -> Tensor:
        self.batches.append(len(image))
        return -image


class Darker(Negative):
    def draw(self, image: Tensor, to: tuple[int, ...], rng: torch.Generator) -> Tensor:
        return image - float(torch.randint(1, 100, (), generator=rng)) / 127.5


def negative(
    memory_gib: float = 2.0, method: type[Negative] = Negative, **options: bool
) -> Translator:
    info = TranslatorInfo(
        method="negative",
        config={},
        domains=("a", "b"),
        size=64,
        step=0,
        fingerprint="",
        source="",
        version="",
    )
    return Translator(method(), info, device="cpu", memory_gib=memory_gib, **options)


def write(path: Path, value: int = 10, size: tuple[int, int] = (20, 12), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)
    return path


def value(path: Path) -> int:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.min() == pixels.max()
    return int(pixels.min())


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_files_keep_their_names_and_folders_their_structure(tmp_path):
    write(tmp_path / "album/b/2.jpg")
    write(tmp_path / "album/1.PNG", 20)
    write(tmp_path / "album/.hidden.png")
    (tmp_path / "album/notes.txt").write_text("no image")
    single = write(tmp_path / "photo.webp", 30, lossless=True)
    out = tmp_path / "deep" / "out"
    done = translate_files(negative(), [tmp_path / "album", single], out, to="b")
    assert names(out) == ["1.png", "b/2.png", "photo.png"]
    assert done.written == [out / "1.png", out / "b/2.png", out / "photo.png"]
    assert [value(p) for p in done.written] == [235, 245, 225]
    assert str(done) == "3 images translated"


def test_patterns_are_expanded_here_and_keep_what_lies_below_their_fixed_part(tmp_path):
    write(tmp_path / "album/x/1.png")
    write(tmp_path / "album/y/1.png")
    (tmp_path / "album/y/1.txt").write_text("no image")
    for pattern in ("album/**/*.png", "album/**", "album/*/1.*"):
        jobs = plan_files([tmp_path / pattern], tmp_path / "out", lambda _: ".png", overwrite=False)
        assert [r for _, r in jobs] == [tmp_path / "out/x/1.png", tmp_path / "out/y/1.png"]
    with pytest.raises(InputError, match="no images match"):
        plan_files([tmp_path / "*.gif"], tmp_path / "out", lambda _: ".png", overwrite=False)


def test_a_name_that_looks_like_a_pattern_is_taken_as_it_stands(tmp_path):
    file = write(tmp_path / "photo[1].png")
    jobs = plan_files([file], tmp_path / "out", lambda _: ".png", overwrite=False)
    assert jobs == [(file, tmp_path / "out/photo[1].png")]


def test_a_file_given_twice_is_translated_once(tmp_path):
    file = write(tmp_path / "a/1.png")
    jobs = plan_files([file, tmp_path / "a"], tmp_path / "out", lambda _: ".png", overwrite=False)
    assert len(jobs) == 1


@pytest.mark.parametrize("others", [("x/1.png", "y/1.png"), ("1.jpg", "1.png"), ("A.jpg", "a.png")])
def test_two_results_of_one_name_are_refused_before_anything_is_done(tmp_path, others):
    files = [write(tmp_path / other) for other in others]
    with pytest.raises(InputError) as caught:
        translate_files(negative(), files, tmp_path / "out", to="b")
    assert f"{files[0]} and {files[1]} would both become" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unless_asked_and_all_is_checked_first(tmp_path):
    files = [write(tmp_path / f"in/{n}.png") for n in range(3)]
    out = tmp_path / "out"
    write(out / "1.png", 99)
    write(out / "2.png", 99)
    with pytest.raises(InputError) as caught:
        translate_files(negative(), files, out, to="b")
    assert str(caught.value) == (
        f"{out / '1.png'} and 1 more exist: give overwrite=True or another folder"
    )
    assert names(out) == ["1.png", "2.png"]
    assert value(out / "1.png") == 99
    translate_files(negative(), files, out, to="b", overwrite=True)
    assert [value(out / f"{n}.png") for n in range(3)] == [245, 245, 245]


def test_inputs_are_never_replaced(tmp_path):
    write(tmp_path / "1.png")
    with pytest.raises(InputError, match="would replace an input"):
        translate_files(negative(), [tmp_path], tmp_path, to="b", overwrite=True)
    assert value(tmp_path / "1.png") == 10


def test_earlier_results_inside_a_folder_are_no_inputs(tmp_path):
    write(tmp_path / "1.png")
    out = tmp_path / "translated"
    translate_files(negative(), [tmp_path], out, to="b")
    translate_files(negative(), [tmp_path], out, to="b", overwrite=True)
    assert names(out) == ["1.png"]


def test_broken_files_are_named_counted_and_passed_over(tmp_path):
    write(tmp_path / "in/1.png")
    (tmp_path / "in/2.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (tmp_path / "in/3.jpg").touch()
    write(tmp_path / "in/4.png")
    done = translate_files(negative(), [tmp_path / "in"], tmp_path / "out", to="b")
    assert names(tmp_path / "out") == ["1.png", "4.png"]
    assert [path.name for path, _ in done.broken] == ["2.png", "3.jpg"]
    lines = str(done).splitlines()
    assert lines[0] == "2 images translated, 2 broken files passed over"
    assert str(tmp_path / "in/2.png") in lines[1]
    assert "3.jpg is empty" in lines[2]


def test_all_files_broken_is_an_error(tmp_path):
    (tmp_path / "1.png").write_bytes(b"rubbish")
    with pytest.raises(InputError, match=r"none of 1 file could be translated; first: .*1\.png"):
        translate_files(negative(), [tmp_path / "1.png"], tmp_path / "out", to="b")


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("absent.png", {}, "no such file or folder: .*absent.png"),
        ("empty", {}, "no images in .*empty: expected files ending in .jpg"),
        ("1.png", {"format": "gif"}, "no format 'gif': expected png, jpg, jpeg, webp"),
        ("1.png", {"to": "c"}, "no domain 'c': this translator knows a, b"),
    ],
)
def test_unusable_requests_are_refused(tmp_path, given, options, message):
    write(tmp_path / "1.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        translate_files(negative(), [tmp_path / given], tmp_path / "out", **{"to": "b"} | options)
    with pytest.raises(InputError, match="is a file: give a folder"):
        translate_files(negative(), [tmp_path / "1.png"], tmp_path / "1.png", to="b")
    with pytest.raises(InputError, match="no images were given"):
        translate_files(negative(), [], tmp_path / "out", to="b")


@pytest.mark.parametrize(
    ("format", "name", "kind"),
    [
        ("png", "1.png", "PNG"),
        ("jpg", "1.jpg", "JPEG"),
        ("JPEG", "1.jpg", "JPEG"),
        ("webp", "1.webp", "WEBP"),
        ("tiff", "1.tiff", "TIFF"),
    ],
)
def test_results_have_the_format_asked_for(tmp_path, format, name, kind):
    file = write(tmp_path / "1.bmp")
    translate_files(negative(), [file], tmp_path / "out", to="b", format=format)
    with Image.open(tmp_path / "out" / name) as image:
        assert (image.format, image.size) == (kind, (20, 12))


def test_orientation_is_applied_and_transparency_kept(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "sideways.jpg", exif=exif)
    Image.new("RGBA", (20, 12), (10, 10, 10, 77)).save(tmp_path / "clear.png")
    out = tmp_path / "out"
    translate_files(negative(), [tmp_path / "sideways.jpg", tmp_path / "clear.png"], out, to="b")
    with Image.open(out / "sideways.png") as image:
        assert image.size == (12, 20)
        assert 0x0112 not in image.getexif()
    with Image.open(out / "clear.png") as image:
        assert image.getpixel((3, 3)) == (245, 245, 245, 77)


def test_small_images_of_one_size_share_batches_and_keep_their_places(tmp_path):
    for n in range(11):
        write(tmp_path / f"in/{n:02}.png", n, (20, 12) if n != 9 else (12, 20))
    translator = negative()
    translator.fits(12, 20)  # measures, with a pass of its own
    translator._method.batches.clear()
    done = translate_files(translator, [tmp_path / "in"], tmp_path / "out", to="b")
    assert translator._method.batches == [8, 1, 1, 1]
    assert [value(p) for p in done.written] == [255 - n for n in range(11)]


def test_tiled_images_are_noted_by_name(tmp_path):
    torch.manual_seed(0)
    noise = torch.randint(0, 256, (300, 400, 3), dtype=torch.uint8).numpy()
    Image.fromarray(noise).save(tmp_path / "big.png")
    done = translate_files(
        negative(memory_gib=0.001), [tmp_path / "big.png"], tmp_path / "out", to="b"
    )
    assert len(done.notes) == 1
    assert done.notes[0].startswith("big.png: 400x300 was translated in ")
    with Image.open(tmp_path / "out/big.png") as image:
        assert np.array_equal(np.asarray(image), 255 - noise)


def test_a_result_folder_that_cannot_be_made_is_an_error(tmp_path):
    file = write(tmp_path / "1.png")
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        translate_files(negative(), [file], tmp_path / "taken/out", to="b")


def test_progress_is_drawn_on_terminals_only(tmp_path):
    file = write(tmp_path / "1.png")
    plain, terminal = io.StringIO(), io.StringIO()
    for screen, is_terminal in ((plain, False), (terminal, True)):
        console = Console(file=screen, force_terminal=is_terminal, width=80)
        translate_files(
            negative(), [file], tmp_path / "out", to="b", overwrite=True, console=console
        )
    assert plain.getvalue() == ""
    assert "to b" in terminal.getvalue()


def test_draws_are_numbered_and_each_is_that_of_its_seed(tmp_path):
    photo, out = write(tmp_path / "a.b.png", 200), tmp_path / "out"
    translator = negative(method=Darker, draws=True)
    done = translate_files(translator, [photo], out, to="b", draws=3, seed=5)
    assert names(out) == ["a.b-1.png", "a.b-2.png", "a.b-3.png"]
    assert [path.name for path in done.written] == names(out)
    values = [value(path) for path in done.written]
    assert len(set(values)) == 3
    translate_files(translator, [photo], tmp_path / "one", to="b", draws=1, seed=6)
    assert value(tmp_path / "one" / "a.b-1.png") == values[1]


def test_a_broken_file_among_draws_is_named_once(tmp_path):
    write(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    translator = negative(method=Darker, draws=True)
    done = translate_files(translator, [tmp_path / "in"], tmp_path / "out", to="b", draws=2)
    assert len(done.written) == 2
    assert [path.name for path, _ in done.broken] == ["bad.png"]
    with pytest.raises(InputError, match=r"^draws is 0"):
        translate_files(translator, [tmp_path / "in"], tmp_path / "out", to="b", draws=0)


def test_one_path_is_as_good_as_a_list_and_the_target_goes_without_saying(tmp_path):
    file = write(tmp_path / "in" / "1.png")
    for number, given in enumerate((str(file), file, tmp_path / "in", [file])):
        out = tmp_path / f"out-{number}"
        done = translate_files(negative(), given, out, source="a")
        assert done.written == [out / "1.png"]
        assert value(out / "1.png") == 255 - value(file)
    with pytest.raises(InputError, match="which domain"):
        translate_files(negative(), file, tmp_path / "out")


def test_what_exists_is_left_out_where_that_is_asked_for(tmp_path):
    for name in "abc":
        Image.new("RGB", (32, 32), (200, 9, 90)).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    translate_files(negative(), tmp_path / "a.png", out, to="b")
    before = (out / "a.png").stat().st_mtime_ns
    files = sorted(tmp_path.glob("*.png"))
    done = translate_files(negative(), files, out, to="b", skip_existing=True)
    assert [path.name for path in done.written] == ["b.png", "c.png"]
    assert str(done) == "2 images translated, 1 result existed"
    assert (out / "a.png").stat().st_mtime_ns == before
    again = translate_files(negative(), files, out, to="b", skip_existing=True)
    assert (again.written, again.existing) == ([], 3)


def test_larger_images_than_the_limit_are_passed_over_and_the_option_named(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "b.png")
    files = sorted(tmp_path.glob("*.png"))
    done = translate_files(negative(), files, tmp_path / "out", to="b", max_pixels=2000)
    assert [path.name for path in done.written] == ["a.png"]
    assert "shrink it or raise max_pixels" in done.broken[0][1]
