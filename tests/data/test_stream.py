from __future__ import annotations

import itertools
import logging
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data import Data, Images, Split, default_workers, open_data, stream
from diptych.data.collections import ArrayImages, FileImages
from diptych.data.pixels import PixelFormat
from diptych.data.raster import Raster
from diptych.data.stream import Stream
from diptych.errors import InputError
from diptych.types import Adapting, Batch, Labelled, Paired, PerDomain, Unpaired

SIZE = 8


def _numbered(count: int, domain: int = 0) -> ArrayImages:
    """Image i of a domain has i in red and the domain in green, everywhere."""
    pixels = np.zeros((count, SIZE, SIZE, 3), dtype=np.uint8)
    pixels[..., 0] = np.arange(count)[:, None, None]
    pixels[..., 1] = domain
    return ArrayImages(pixels)


class Faulty:
    """Images of which some cannot be read. In the module, so that workers can be sent it."""

    def __init__(self, images: Images, broken: frozenset[int]) -> None:
        self.images = images
        self.broken = broken

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return self.images.name(index)

    @property
    def pixels(self) -> PixelFormat:
        return self.images.pixels

    def read(self, index: int) -> Raster:
        if index in self.broken:
            raise InputError(f"number {index} is broken")
        return self.images.read(index)


class Plain(ArrayImages):
    """One large black image, made when it is read: nothing to send to a worker."""

    def read(self, index: int) -> Raster:
        return Raster.from_image(Image.new("RGB", (2048, 2048)))


class TellsWhetherInterruptsAreIgnored(ArrayImages):
    def read(self, index: int) -> Raster:
        is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return Raster.from_image(Image.new("RGB", (SIZE, SIZE), (255 if is_ignored else 0, 0, 0)))


def _data(*domains: Images, pairs: tuple[Images, ...] | None = None) -> Data:
    names = tuple("xyzuvw"[: len(domains)])
    return Data("memory", names, Split(domains, pairs), is_tiled=True)


def _open(data: Data, batch_type: type[Batch] = Unpaired, **options: int) -> Stream[Batch]:
    return stream(data, batch_type, **{"batch_size": 2, "size": SIZE, "seed": 0} | options)  # type: ignore[arg-type]


def _numbers(image: torch.Tensor) -> list[int]:
    """Which images a batch of `_numbered` ones holds."""
    return ((image[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def _drawn(data: Data, count: int, **options: int) -> list[tuple[list[int], list[int]]]:
    with _open(data, **options) as batches:
        return [(_numbers(b.x), _numbers(b.y)) for b in itertools.islice(batches, count)]  # type: ignore[union-attr]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders of JPEGs of different shapes, all too large to be cropped whole."""
    rng = np.random.default_rng(0)
    for domain, count in (("x", 8), ("y", 6)):
        (tmp_path / domain).mkdir()
        for i in range(count):
            noise = rng.integers(0, 256, (10 + i, 14, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((60, 40 + 4 * i)).save(
                tmp_path / domain / f"{domain}{i}.jpg"
            )
    return tmp_path


def _photos(
    folder: Path, workers: int = 0, start: int = 0, method: str | None = None
) -> Stream[Unpaired]:
    data = open_data(x=folder / "x", y=folder / "y", size=24)
    return stream(
        data,
        Unpaired,
        batch_size=3,
        size=24,
        seed=5,
        start=start,
        workers=workers,
        start_method=method,
    )


def _check_equal(left: list[Unpaired], right: list[Unpaired]) -> None:
    assert len(left) == len(right) > 0
    for one, other in zip(left, right, strict=True):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.y, other.y)


def test_batches_are_float_images_in_minus_1_to_1(photos: Path) -> None:
    batch = next(_photos(photos))
    assert batch.x.shape == batch.y.shape == (3, 3, 24, 24)
    assert batch.x.dtype == torch.float32
    assert -1 <= batch.x.min() < -0.5 < 0.5 < batch.x.max() <= 1


def test_resuming_at_a_batch_gives_the_same_bits_as_having_gone_on(photos: Path) -> None:
    whole = list(itertools.islice(_photos(photos), 9))
    for start in (1, 4, 8):
        resumed = _photos(photos, start=start)
        assert resumed.position == start
        _check_equal(list(itertools.islice(resumed, 9 - start)), whole[start:])
        assert resumed.position == 9
    assert not torch.equal(whole[0].x, whole[1].x)


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, "spawn"])
def test_worker_processes_give_the_same_bits_from_any_start(
    photos: Path, method: str | None
) -> None:
    whole = list(itertools.islice(_photos(photos), 9))
    with _photos(photos, workers=2, start=4, method=method) as batches:
        _check_equal(list(itertools.islice(batches, 5)), whole[4:])


@pytest.mark.slow
def test_a_worker_that_is_ended_while_it_sends_ends_without_an_abort(
    capfd: pytest.CaptureFixture[str],
) -> None:
    plain = Plain(np.zeros((4, 1, 1, 3), dtype=np.uint8))
    data = Data("memory", ("x", "y"), Split((plain, plain)), is_tiled=True)
    large = {"size": 2048, "load_size": 0, "batch_size": 1}
    with stream(data, Unpaired, seed=0, workers=2, start_method="spawn", **large) as batches:  # type: ignore[arg-type]
        next(batches)
    assert capfd.readouterr().err == ""


def test_another_seed_gives_another_order_and_other_crops(photos: Path) -> None:
    data = open_data(x=photos / "x", y=photos / "y", size=24)
    one, other = (next(stream(data, Unpaired, batch_size=3, size=24, seed=seed)) for seed in (0, 1))
    assert not torch.equal(one.x, other.x)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_take_the_parts_of_what_one_process_would_draw(world: int) -> None:
    data = _data(_numbered(24), _numbered(18))
    alone = _drawn(data, 5, batch_size=2 * world)
    ranks = [_drawn(data, 5, rank=rank, world=world) for rank in range(world)]
    for number in range(5):
        assert alone[number][0] == [n for rank in ranks for n in rank[number][0]]
        assert alone[number][1] == [n for rank in ranks for n in rank[number][1]]


def test_an_epoch_is_a_pass_through_the_larger_domain() -> None:
    data = _data(_numbered(21), _numbered(4))
    assert _open(data, batch_size=2).epoch_batches == 11
    assert _open(data, batch_size=2, world=3).epoch_batches == 4


def test_pairs_stay_pairs_with_one_crop_and_one_mirroring(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for domain in "xy":
        (tmp_path / domain).mkdir()
    for i in range(12):
        pixels = rng.integers(0, 246, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "x" / f"{i}.png")
        Image.fromarray(pixels + 10).save(tmp_path / "y" / f"{i}.bmp")
    data = open_data(x=tmp_path / "x", y=tmp_path / "y", size=12)
    for batch in itertools.islice(
        stream(data, Paired, batch_size=4, size=12, load_size=20, seed=1), 6
    ):
        assert batch.x.shape == (4, 3, 12, 12)
        assert torch.allclose((batch.y - batch.x) * 127.5, torch.tensor(10.0), atol=1e-3)


def test_unpaired_batches_of_paired_data_draw_the_sides_independently() -> None:
    pairs = (_numbered(30, 0), _numbered(30, 1))
    batches = _open(_data(*pairs, pairs=pairs), batch_size=30)
    batch = next(batches)
    assert _numbers(batch.x) != _numbers(batch.y)  # type: ignore[union-attr]
    assert sorted(_numbers(batch.y)) == list(range(30))  # type: ignore[union-attr]


def test_labelled_batches_draw_all_domains_by_their_size_and_say_which() -> None:
    counts = (5, 9, 6)
    data = _data(*(_numbered(count, domain) for domain, count in enumerate(counts)))
    batches = _open(data, Labelled, batch_size=20)
    for batch in itertools.islice(batches, 2):
        assert isinstance(batch, Labelled)
        assert batch.label.shape == (20, 3)
        assert batch.label.dtype == torch.float32
        assert batch.label.sum(0).tolist() == [5, 9, 6]
        assert batch.label.sum(1).tolist() == [1] * 20
        green = ((batch.image[:, 1, 0, 0] + 1) * 127.5).round().long()
        assert torch.equal(batch.label.argmax(1), green)
    assert batches.epoch_batches == 1


def test_batches_of_every_domain_draw_as_many_of_each_as_unpaired_ones_do() -> None:
    three = _data(*(_numbered(count, domain) for domain, count in enumerate((5, 9, 6))))
    two = _data(*three.train.domains[:2])
    batches = _open(three, PerDomain)
    for batch, (x, y) in zip(batches, _drawn(two, 5), strict=False):
        assert isinstance(batch, PerDomain)
        assert [image.shape for image in batch.images] == [(2, 3, SIZE, SIZE)] * 3
        assert [_numbers(image) for image in batch.images[:2]] == [x, y]
        green = [((image[:, 1] + 1) * 127.5).round().unique().tolist() for image in batch.images]
        assert green == [[0], [1], [2]]
    assert batches.epoch_batches == 5  # of the largest, 9


@pytest.mark.parametrize(("kind", "images"), [(Unpaired, 4), (Labelled, 2), (PerDomain, 4)])
def test_batches_tell_how_many_images_they_have(kind: type[Batch], images: int) -> None:
    data = _data(_numbered(5), _numbered(4))
    assert _open(data, kind).batch_images == images
    assert _open(data, kind, rank=1, world=3).batch_images == 3 * images


@pytest.mark.slow
def test_workers_report_each_unusable_image_once_and_change_no_batch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = _data(Faulty(_numbered(10), frozenset({2, 7})), _numbered(4))
    with _open(data, workers=2) as batches, caplog.at_level(logging.WARNING, logger="diptych"):
        got = [_numbers(b.x) for b in itertools.islice(batches, 15)]  # type: ignore[union-attr]
    assert sorted(batches.skipped) == ["x/000002.png", "x/000007.png"]
    assert len([r for r in caplog.records if "skipped" in r.getMessage()]) == 2
    assert got == [x for x, _ in _drawn(data, 15)]


def test_opening_fails_where_none_of_16_spread_images_can_be_used() -> None:
    every = Faulty(_numbered(200), frozenset(range(200)))
    with pytest.raises(InputError, match=r"none of 16 images tried in y .* number 0 is broken"):
        _open(_data(_numbered(4), every))
    last_alone = Faulty(_numbered(200), frozenset(range(199)))
    _open(_data(_numbered(4), last_alone))


def test_opening_fails_with_a_size_that_would_fit_where_all_images_are_too_small(
    photos: Path,
) -> None:
    data = open_data(x=photos / "x", y=photos / "y", size=128)
    with pytest.raises(
        InputError,
        match=r"in x can be used; .*x0\.jpg is 60x40, smaller than the crop of 128: pass size=32",
    ):
        stream(data, Unpaired, batch_size=1, size=128, seed=0)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_50_unusable_images_in_a_row_are_an_input_error_of_one_line(workers: int) -> None:
    data = _data(Faulty(_numbered(200), frozenset(range(1, 200))), _numbered(4))
    with _open(data, workers=workers, seed=3) as batches:
        with pytest.raises(InputError) as caught:
            list(itertools.islice(batches, 100))
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("50 images in a row cannot be used")
        assert len(batches.skipped) >= 50


@pytest.mark.slow
def test_workers_leave_interrupts_to_the_parent_and_end_when_closed() -> None:
    images = TellsWhetherInterruptsAreIgnored(np.zeros((4, SIZE, SIZE, 3), dtype=np.uint8))
    assert _numbers(next(_open(_data(images, images))).x) == [0, 0]  # type: ignore[union-attr]
    batches = _open(_data(images, images), workers=2)
    assert _numbers(next(batches).x) == [255, 255]  # type: ignore[union-attr]
    children = torch.multiprocessing.active_children()
    assert len(children) >= 2
    batches.close()
    deadline = time.monotonic() + 10
    while torch.multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert torch.multiprocessing.active_children() == []
    with pytest.raises(ValueError, match="the stream is closed"):
        next(batches)


@pytest.mark.slow
def test_streams_leave_the_global_random_state_alone(photos: Path) -> None:
    for workers in (0, 1):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        with _photos(photos, workers=workers) as batches:
            next(batches)
        assert torch.equal(torch.get_rng_state(), before)


def test_errors_name_what_the_method_needs_and_what_was_found() -> None:
    two, three = _data(_numbered(4), _numbered(4)), _data(*(_numbered(4) for _ in range(3)))
    with pytest.raises(InputError, match=r"takes 2 domains, but memory has 3 \(x, y, z\)"):
        _open(three)
    with pytest.raises(InputError, match="memory has no training pairs, only 4 images of x"):
        _open(two, Paired)
    with pytest.raises(InputError, match="needs the classes of x, but memory does not give them"):
        _open(two, Adapting)
    with pytest.raises(TypeError, match="no stream of Data"):
        _open(two, Data)  # type: ignore[type-var]
    with pytest.raises(InputError, match="load_size is 7, smaller than the crop of 8"):
        _open(two, load_size=7)
    with pytest.raises(InputError, match="rank is 2 of 2"):
        _open(two, rank=2, world=2)
    for name in ("batch_size", "size", "workers", "seed", "start"):
        with pytest.raises(InputError, match=f"{name.replace('_', ' ')} is -1: expected at least"):
            _open(two, **{name: -1})


def test_workers_are_worth_having_for_files_alone(tmp_path: Path) -> None:
    assert default_workers(_data(_numbered(4), _numbered(4))) == 0
    files = FileImages(tmp_path, ["a.png"])
    assert 1 <= default_workers(_data(files, files)) <= 4
