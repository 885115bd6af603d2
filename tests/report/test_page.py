"""Charts and the report page."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from diptych.errors import InputError
from diptych.report.grids import picture_grid, write_grid
from diptych.report.page import chart_of, write_report
from diptych.report.scores import number, scores_section

HOSTILE = "\"><script>alert('x')</script><img src=https://evil.example/x>"
VOID = {"meta", "img", "input", "br", "path", "polyline", "link"}


@dataclass(frozen=True)
class Colours:
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]


class Page(HTMLParser):
    """The page's tags; asserts that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def noise(side: int, seed: int) -> Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def save_preview(folder: Path, step: int, *, side: int = 8, rows: int = 2) -> tuple[int, Path]:
    pictures = [[noise(side, 10 * i + j) for j in range(4)] for i in range(rows)]
    path = folder / f"{step:08d}.png"
    write_grid(path, picture_grid(pictures, ["x", "→ y", "y", "→ x"], groups=[2, 2]))
    return step, path


def metrics(count: int = 30) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "losses": {"adversarial": 1.0, "cycle": 1 / step, "D_Y": 0.25},
            "learning_rates": {"generators": 1e-4 * (count - step), "discriminators": 2e-4},
            "seconds": 10.0 * step + 2,
            "images_per_second": 9.84,
        }
        for step in range(1, count + 1)
    ]


def write(folder: Path, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "title": "cyclegan on album/",
        "domains": ["horse", "zebra"],
        "config": {"seed": 0, "config": {"width": 16}},
        "metrics": metrics(),
        "previews": [],
    }
    return write_report(folder, **arguments | changes).read_text("utf-8")


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    page = Page(
        write(
            tmp_path,
            previews=[save_preview(tmp_path, step) for step in (10, 20, 30)],
            palettes={"zebra": Colours(("black", "white"), ((0, 0, 0), (255, 255, 255)))},
            scores={"horse→zebra": {"l1": 0.1}},
        )
    )
    sources = [a.get("src") or "" for _, a in page.tags if "src" in a]
    assert len(sources) == 3 * 2
    assert all(source.startswith("data:image/") for source in sources)
    assert not any("href" in attributes for _, attributes in page.tags)
    assert page.named("link") == page.named("iframe") == []
    assert not re.search(r"://|@import|url\(", page.text)  # styles and script included
    assert [a["class"] for a in page.named("svg")] == ["chart"] * 3


def test_the_headline_tells_what_was_learnt_in_which_time(tmp_path: Path) -> None:
    page = Page(write(tmp_path, machine="a machine"))
    assert (
        "horse ⇄ zebra cyclegan on album/. 30 steps in 5 min 2 s, 9.8 images a second" in page.text
    )
    assert "a second, on a machine." in page.text


def test_hostile_names_stay_text_everywhere(tmp_path: Path) -> None:
    grid = picture_grid([[noise(8, 0)]], [HOSTILE])
    write_grid(tmp_path / "1.png", grid)
    broken = tmp_path / "<b>.png"
    broken.write_bytes(b"no picture")
    line = {"step": 1, "losses": {HOSTILE: 1.0}, "learning_rates": {}}
    html = write(
        tmp_path,
        title=HOSTILE,
        domains=[HOSTILE, "y"],
        config={HOSTILE: HOSTILE, "part": {HOSTILE: [HOSTILE]}},
        defaults={HOSTILE: HOSTILE + "!"},
        metrics=[line, {**line, "step": 2, "losses": {HOSTILE: None}}],
        previews=[(1, tmp_path / "1.png"), (2, broken)],
        scores={HOSTILE: {HOSTILE: {"why_not": HOSTILE}, "a": {"mean": 1, HOSTILE: HOSTILE}}},
        notes=[HOSTILE],
        palettes={HOSTILE: Colours((HOSTILE,), ((0, 0, 0),))},
        machine=HOSTILE,
    )
    page = Page(html)
    assert len(page.named("script")) == 1
    assert [(a.get("src") or "")[:11] for a in page.named("img")] == ["data:image/"]
    assert HOSTILE in page.text
    assert "<script>alert" not in html


def test_newest_pictures_come_first_and_nine_at_most_are_shown(tmp_path: Path) -> None:
    samples = [save_preview(tmp_path, step) for step in range(0, 31, 2)]
    page = Page(write(tmp_path, previews=samples))
    words = [a["data-words"] for a in page.named("figure") if "data-words" in a]
    assert len(words) == 9
    assert (words[0], words[-1]) == ("Step 30, the last", "Step 0 of 30")


def test_pictures_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    broken = tmp_path / "7.png"
    broken.write_bytes(b"no picture")
    samples = [(7, broken), (8, tmp_path / "gone.png"), save_preview(tmp_path, 5)]
    page = Page(write(tmp_path, previews=samples))
    assert "The picture 7.png could not be read: cannot identify image file" in page.text
    assert "The picture gone.png could not be read: [Errno 2]" in page.text
    assert len(page.named("img")) == 2


@pytest.mark.slow
def test_a_page_of_large_noisy_pictures_stays_below_three_megabytes(tmp_path: Path) -> None:
    _, path = save_preview(tmp_path, 1, side=256, rows=4)  # noise: no picture compresses worse
    html = write(tmp_path, previews=[(step, path) for step in range(5)], metrics=metrics(2000))
    assert len(html.encode()) < 3_000_000
    newest = re.findall(r'src="data:image/\w+;base64,([^"]*)"', html)[0]
    assert Image.open(io.BytesIO(base64.b64decode(newest))).width >= 260


def test_losses_are_charted_by_who_minimises_them(tmp_path: Path) -> None:
    titles = re.findall(r"<figure><h3>([^<]*)", write(tmp_path))
    assert titles == ["Generators", "Discriminators", "Learning rate"]
    assert {chart_of(t) for t in ("cycle", "G1", "F")} == {"Generators"}
    assert {chart_of(t) for t in ("D_X", "C_Y", "critic", "discriminators")} == {"Discriminators"}


def test_a_constant_learning_rate_gets_no_chart(tmp_path: Path) -> None:
    lines = [{**line, "learning_rates": {"generators": 2e-4}} for line in metrics()]
    assert "Learning rate" not in write(tmp_path, metrics=lines)


def test_a_loss_that_was_not_finite_is_pointed_out(tmp_path: Path) -> None:
    lines = metrics()
    lines[11]["losses"] = {"cycle": None}
    assert "The loss cycle was not finite at step 12" in Page(write(tmp_path, metrics=lines)).text


def test_a_run_without_metrics_or_pictures_has_a_page(tmp_path: Path) -> None:
    page = Page(write(tmp_path, metrics=[]))
    assert "Nothing is logged yet." in page.text
    assert page.named("svg") == page.named("img") == []


def test_options_off_their_default_are_marked(tmp_path: Path) -> None:
    html = write(
        tmp_path,
        config={"seed": 0, "run": {"steps": 9}, "config": {"width": 16, "size": 256}},
        defaults={"seed": 0, "run": {"steps": None}, "config": {"width": 64, "size": 256}},
    )
    assert re.findall(r"<div><h3>(\w+)", html) == ["run", "config"]
    assert "<dt>seed</dt><dd>0</dd><dt>steps</dt><dd>9</dd>" in html
    assert html.count('class="changed"') == 1
    assert '<dt>width</dt><dd class="changed">16<small>default 64</small></dd>' in html
    assert "<dt>size</dt><dd>256</dd>" in html


def test_commands_quote_what_a_shell_would_split(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    folder.mkdir()
    page = Page(write(folder, domains=["x", "my zebra"]))
    assert f"diptych translate '{folder}' photo.jpg --to 'my zebra'" in page.text


def test_scores_become_a_table_with_a_column_a_direction() -> None:
    html = scores_section(
        {
            "split": "test",
            "x→y": {
                "kid": {"mean": 0.03124, "std": 0.0021, "images": 203},
                "kid_of_real": {"mean": 0.01, "std": 0.0, "images": 203},
                "fid": {"why_not": "too few images"},
                "accuracy_per_class": {"sea": 0.5},
                "iou_per_class": {"sea": 0.25},
            },
            "y→x": {"kid": {"mean": -0.002, "std": 0.001}, "psnr": 19.314},
            "notes": ["the last step was scored"],
        }
    )
    page = Page(html)
    assert page.text.startswith("Split: test. The last step was scored. x→y y→x KID ")
    assert "0.0312 ± 0.0021 images 203 −0.0020 ± 0.0010" in page.text
    assert html.count("<small>images 203</small>") == 1  # said once a column
    assert "–<small>too few images</small></td><td>–</td>" in html
    assert "<td>–</td><td>19.31</td>" in html
    details = html[html.index("<details>") :]
    assert "Accuracy per class · sea</th><td>0.5000</td>" in details
    assert "Iou per class · sea</th><td>0.2500</td>" in details


def test_numbers_have_four_digits() -> None:
    values = [0.5, 19.314, 1234.5678, 203, -0.25, 0.0, 0.00001, float("nan")]
    assert [number(v) for v in values] == [
        *("0.5000", "19.31", "1,235", "203", "−0.2500", "0.0000", "1.000e−05", "not finite")
    ]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone/report.html cannot be written \(No such file"):
        write(tmp_path / "gone")


def test_warnings_come_first_and_the_confusion_is_drawn_as_a_matrix() -> None:
    table = {"classes": ["sea", "<land>", "ice"], "counts": [[1, 3, 0], [2, 2, 0], [0, 0, 0]]}
    scores = {
        "split": "test",
        "x→y": {"images": 4, "kid": {"mean": 0.2, "interval": 0.1}, "confusion": table},
        "warnings": ["x→y: sea and <land> are swapped"],
    }
    html = scores_section(scores)
    page = Page(html)
    assert html.index("are swapped") < html.index("Split: test")
    assert "0.2000 ± 0.1000" in page.text
    assert "x→y: what pixels of each class (rows) are called (columns)" in page.text
    cells = [attributes for attributes in page.named("td") if "style" in attributes]
    assert [cell["style"] for cell in cells[:4]] == [
        "--share:0.250", "--share:0.750", "--share:0.000", "--share:0.500",
    ]  # fmt: skip
    assert [cell.get("class") for cell in cells[:2]] == [None, "strong"]
    assert "sea 25% 75% 0%" in page.text
    assert "ice – – –" in page.text
    assert "<land>" not in html
