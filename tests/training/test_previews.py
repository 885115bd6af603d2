"""What the grids of a run's progress show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diptych.data import Data, Split, open_data
from diptych.data.collections import ArrayImages, Attributes
from diptych.evaluation.collapse import Collapse, Spread
from diptych.report.grids import GridLayout
from diptych.training.previews import CollapseWatch, Previews


class Negative(nn.Module):
    """A method that translates by turning pictures to negatives."""

    inference_modules = ()
    size_multiple = 1
    fixed_size = None

    def __init__(self, exportable: bool) -> None:
        super().__init__()
        self.exportable = exportable
        self.translated: list[int] = []

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        assert not torch.is_grad_enabled()
        self.translated.append(len(image))
        return -image


@pytest.mark.parametrize(
    ("exportable", "translated", "columns"), [(True, [4, 4, 4, 4], 8), (False, [2, 2], 6)]
)
def test_methods_that_optimise_are_shown_fewer_pictures_and_no_way_back(
    exportable: bool,
    translated: list[int],
    columns: int,
    picture_folders: Callable[..., tuple[str, str]],
):
    x, y = picture_folders(count=100)
    method = Negative(exportable)
    preview = Previews(open_data(x=x, y=y, size=32), 32, rows=4).draw(method, torch.device("cpu"))
    assert method.translated == translated
    layout = GridLayout(
        columns=("x",) * columns,
        groups=(columns // 2,) * 2,
        rows=translated[0],
        tile=(128, 128),
    )
    assert preview is not None
    assert preview.grid.size == layout.size


class Alike(Negative):
    """A method that makes the same image of everything, but for one domain."""

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        return -image if to == (1,) else image[:1].expand_as(image)


def test_collapse_is_found_in_what_is_shown_by_direction():
    preview = Previews(_domains(2), 16).draw(Alike(True), torch.device("cpu"))
    assert preview is not None
    found = {name: one.verdict for name, one in preview.collapses.items()}
    assert found == {"a→b": None, "b→a": "alike"}
    preview = Previews(_domains(3), 16).draw(Alike(True), torch.device("cpu"))
    assert preview is not None
    # Two inputs of each other domain, and each gives one image: of two domains, two images.
    assert list(preview.collapses) == ["→a", "→b", "→c"]
    assert preview.collapses["→a"].outputs.images == 4
    preview = Previews(_domains(3), 16).draw(Making(), torch.device("cpu"))
    assert preview is not None
    assert {name: one.verdict for name, one in preview.collapses.items()} == dict.fromkeys(
        "abc", "constant"
    )


def test_collapse_is_told_when_it_begins_and_of_first_weights_once_it_stays():
    sound, flat = Spread(6, 0.5, 0.5, 0.0), Spread(6, 0.0, 0.0, 0.0)
    black, bad = Spread(6, 0.0, 0.0, -1.0), Spread(6, None, None, None, 6)

    def told(*outputs: Spread) -> list[tuple[int, int]]:
        """The steps of previews, a hundred apart, and how many lines each has."""
        watch, found = CollapseWatch(), []
        for step, spread in enumerate(outputs):
            lines = watch.after_preview(100 * step, {"a→b": Collapse(spread, sound, sound)})
            found += [(100 * step, len(lines))] * bool(lines)
        return found

    assert told(sound, flat, flat, flat) == [(100, 1)]
    assert told(flat, sound, sound) == []
    assert told(flat, flat, sound) == []  # it only begins slowly
    assert told(flat, flat, flat) == [(200, 1)]
    assert told(sound, flat, black, flat, black) == [(100, 1), (200, 1)]
    assert told(bad, bad) == [(100, 1)]
    watch = CollapseWatch()
    both = {name: Collapse(sound, sound, sound) for name in ("a→b", "b→a")}
    assert watch.after_preview(0, both) == []
    (line,) = watch.after_preview(
        1200, {name: Collapse(black, sound, sound) for name in ("a→b", "b→a")}
    )
    assert line.startswith("warning: at step 1,200, a→b has collapsed: outputs are black")


class Making(nn.Module):
    """A method that makes images: plain grey of what its noise and the domain say."""

    inference_modules = ()

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.asked.append((n, to))
        return (torch.rand((n, 1, 1, 1), generator=rng) - to / 3).expand(-1, 3, 16, 16)


class Coding(Making):
    """One that has codes as well: the negatives."""

    size_multiple = 1
    fixed_size = None

    def encode(self, image: Tensor, source: int) -> Tensor:
        return -image

    def decode(self, z: Tensor, to: int) -> Tensor:
        return -z


def _domains(count: int, images: int = 4) -> Data:
    draws = np.random.default_rng(0)
    folders = tuple(
        ArrayImages(draws.integers(0, 256, (images, 16, 16, 3), dtype=np.uint8))
        for _ in range(count)
    )
    names = tuple("abcdefgh"[:count])
    return Data("memory", names, Split(folders, None), is_tiled=True)


@pytest.mark.parametrize(("domains", "new"), [(2, 3), (3, 1), (8, 1)])
def test_of_methods_that_generate_real_images_and_new_ones_of_the_same_noise_are_shown(
    domains: int, new: int
):
    method = Making().train()
    samples = Previews(_domains(domains), 16)
    first = samples.draw(method, torch.device("cpu"))
    torch.manual_seed(99)
    second = samples.draw(method, torch.device("cpu"))
    assert first is not None
    assert second is not None
    assert np.array_equal(np.asarray(first.grid), np.asarray(second.grid))
    assert method.asked == [(4 * new, to) for to in range(domains)] * 2
    assert method.training
    layout = GridLayout(
        columns=("x",) * (domains * (1 + new)),
        groups=(1 + new,) * domains,
        rows=4,
        tile=(128, 128),
    )
    assert first.grid.size == layout.size


def test_of_methods_that_encode_reconstructions_are_shown_too():
    data = _domains(2)
    preview = Previews(data, 16).draw(Coding(), torch.device("cpu"))
    assert preview is not None
    columns = ("a", "a again", "new a", "new a", "b", "b again", "new b", "new b")
    layout = GridLayout(columns=columns, groups=(4, 4), rows=4, tile=(128, 128))
    assert preview.grid.size == layout.size
    for domain, column in ((0, 0), (1, 4)):
        for row in range(4):
            real = data.train.domains[domain].read(row).picture().resize((128, 128), 0)
            for place in (column, column + 1):
                shown = preview.grid.crop(layout.box(row, place))
                assert np.array_equal(np.asarray(shown), np.asarray(real))


class Listed(Negative):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(exportable=True)
        self.asked: list[tuple[int, ...]] = []

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        self.asked.append(to)
        return image


def _faces(first: int = 0) -> Data:
    """Attributes 0 and 1 exclude each other, 2 goes with both; `first` is the first row's kind."""
    kinds = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]], np.uint8)
    values = np.tile(np.roll(kinds, -first, axis=0), (20, 1))
    images = ArrayImages(np.zeros((80, 16, 16, 3), np.uint8))
    split = Split((images,) * 3, attributes=Attributes(images, values))
    return Data("faces", ("Black", "Blond", "Male"), split)


def test_of_attributes_a_column_changes_one_and_keeps_the_others():
    method = Listed()
    preview = Previews(_faces(2), 16, rows=2).draw(method, torch.device("cpu"))
    # The middles of two halves: images 20, [0, 0, 0], and 60, the same.
    assert method.asked == [(0,), (1,), (2,)] * 2
    assert preview is not None
    assert (
        preview.grid.size
        == GridLayout(columns=("x",) * 4, groups=(4,), rows=2, tile=(128, 128)).size
    )
    method = Listed()
    Previews(_faces(), 16, rows=5).draw(method, torch.device("cpu"))
    # Images 8, 24, 40, 56, 72 are all [1, 0, 0]: Black stays, Blond takes its place.
    assert method.asked == [(0,), (1,), (0, 2)] * 5


def test_of_folders_a_row_is_an_input_and_a_column_a_domain(tmp_path):
    from PIL import Image

    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for i in range(40):  # of which two are held out
            Image.new("RGB", (32, 32)).save(tmp_path / name / f"{name}{i}.png")
    method = Listed()
    preview = Previews(open_data(tmp_path, size=32), 32).draw(method, torch.device("cpu"))
    assert method.asked == [(0,), (1,), (2,)] * 3
    assert preview is not None
    # Two of each of three domains.
    assert (
        preview.grid.size
        == GridLayout(columns=("x",) * 4, groups=(4,), rows=6, tile=(128, 128)).size
    )
