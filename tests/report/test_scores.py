"""The matrices that the report draws of scores."""

from __future__ import annotations

from diptych.report.scores import scores_section


def test_what_the_fcn_reads_in_photos_is_drawn_as_matrices_and_not_told_in_detail() -> None:
    def counted(*counts: list[int]) -> dict[str, object]:
        return {"pixel_accuracy": 0.5, "confusion": {"classes": ["sea", "ice"], "counts": counts}}

    fcn = {"fcn": counted([1, 3], [2, 2]), "fcn_of_real": counted([4, 0], [1, 3])}
    html = scores_section({"map→photo": {"images": 4, **fcn}, "photo→map": counted([0, 4], [4, 0])})
    what = ": what pixels of each class (rows) are called (columns)</caption>"
    captions = [part.partition("<caption>")[2] for part in html.split(what)[:-1]]
    assert captions == [
        "map→photo, photos read by the FCN",
        "map→photo, real photos read by the FCN",
        "photo→map",
    ]
    shares = html.split("--share:")[1:]
    assert [float(share[:5]) for share in shares[:4]] == [0.25, 0.75, 0.5, 0.5]
    assert len(shares) == 12
    assert "confusion" not in html
