"""What the grids of a run's progress show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from diptych.data import open_data
from diptych.train.pictures import GridLayout
from diptych.train.samples import Samples


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
    grid = Samples(open_data(x=x, y=y, size=32), 32, rows=4).draw(method, torch.device("cpu"))
    assert method.translated == translated
    layout = GridLayout(
        columns=("",) * columns,
        groups=(columns // 2,) * 2,
        rows=translated[0],
        tile=(128, 128),
    )
    assert grid is not None
    assert grid.size == layout.size
