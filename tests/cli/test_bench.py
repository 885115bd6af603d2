"""`diptych bench` on the command line: plans, names, complaints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diptych.bench.place import Place, write_json
from diptych.bench.run import Running
from diptych.cli.bench import BenchCommand
from diptych.cli.bench_run import _place, _plan
from diptych.cli.main import main


def command(*target: str, **options: Any) -> BenchCommand:
    return BenchCommand(target=target, **options)


def test_data_alone_are_every_method_in_a_folder_of_their_name():
    plan, name = _plan(command("photos/horse2zebra/", seeds=1), "photos/horse2zebra/")
    assert (plan["rows"], plan["minutes"], plan["preset"]) == (["all"], 5, "fast")
    assert (plan["data"], plan["seeds"], name) == ("photos/horse2zebra/", 1, "horse2zebra")
    place = _place(command(), name)
    assert place == Place(Path("bench/horse2zebra"), Path("runs/bench/horse2zebra"))


def test_a_table_of_the_paper_is_a_plan_and_a_given_budget_takes_the_place_of_its_own():
    plan, name = _plan(command(table=4, minutes=2.0), None)
    assert name == "earth-climate-ablations"
    assert plan["minutes"] == 2.0
    assert "steps" not in plan
    assert [row["label"] for row in plan["rows"]][:2] == ["Cycle alone", "GAN alone"]


def test_a_plan_of_one_s_own_is_named_after_its_file_and_methods_replace_its_rows(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('data = "sample:emoji"\nsteps = 8\nrows = ["unit"]\n')
    plan, name = _plan(command(str(file), methods=("gan", "vaegan")), str(file))
    assert (name, plan["rows"], plan["data"]) == ("mine", ["gan", "vaegan"], "sample:emoji")


def test_two_folders_and_palettes_are_options_of_their_own():
    given = command(x="my/horses", y="my/zebras", palette=("zebras=cityscapes",), plan="papers")
    plan, name = _plan(given, None)
    assert (plan["x"], plan["y"], plan["palette"]) == ("my/horses", "my/zebras",
                                                       ["zebras=cityscapes"])  # fmt: skip
    assert "data" not in plan  # the plan's own sample
    assert name == "horses-zebras-papers"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "papers", "--table", "2"], "give one plan: a FILE.toml, --plan or --table"),
        (["--table", "6"], "--table is 6: it must be 2, 3, 4 or 5"),
        (["a", "b"], "give one target, not 2: a b"),
        (["a", "--x", "b"], "give a, or --x and --y, not both"),
        (["no.toml"], "no.toml cannot be read"),
        (["--methods", "unit"], "no data to train on: name a folder or a sample, such as"),
        (["--report-only", "nowhere"], "bench/nowhere holds no bench"),
        (["sample:emoji", "--markdown", "no/page.md"], "cannot write no/page.md: there is no"),
        ([], "no data to train on: name a folder or a sample, such as diptych bench horse2zebra/"),
        (["sample:emoji", "--steps", "7"], "--steps is 7: runs are scored at 25% and 50% too"),
        (["--report-only", "x", "--rescore"], "--report-only trains nothing: leave out it, or"),
        (["--report-only", "x", "--minutes", "3"], "leave out it, or --minutes"),
        (["--methods", "mine.py:My"], "mine.py: no such file"),
        (["--frobnicate"], "no option --frobnicate (see diptych bench --help)"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line.replace("\\", "/")
    assert list(tmp_path.iterdir()) == []


def test_rows_that_do_not_fit_are_left_out_of_diptych_s_own_plans_alone(
    picture_folders, tmp_path, monkeypatch, capsys
):
    x, y = picture_folders()
    for file in Path(y).iterdir():
        file.rename(file.with_stem(f"other-{file.stem}"))
    monkeypatch.chdir(tmp_path)
    left_out: list[list[str]] = []

    def run(self: Running) -> int:
        left_out.append(list(self._bench.left_out))
        raise KeyboardInterrupt

    both = ["bench", "--x", x, "--y", y, "--size", "32", "--steps", "8"]
    with monkeypatch.context() as patch:
        patch.setattr(Running, "run", run)
        assert main([*both, "--table", "2"]) == 130
    assert left_out == [["pix2pix"]]
    capsys.readouterr()
    Path("mine.toml").write_text('rows = ["cyclegan", "pix2pix"]\n')
    for given in (["mine.toml"], ["--table", "2", "--methods", "pix2pix"]):
        assert main([*both, *given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "Pix2Pix does not fit: this method needs pairs" in line
    assert not Path("bench").exists()


def test_report_only_prints_the_tables_and_writes_one_markdown_page_of_several(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        row = {"label": "GAN", "row": "gan", "groups": ["methods"], "seeds": [0]}
        row |= {"method": "gan", "minutes": None, "trained": None, "data": "f"}
        plan = {"title": f"Bench {name}", "rows": [row], "left_out": {}}
        write_json(tmp_path / name / "plan.json", plan)
    assert main(["bench", "--report-only", "one", "two", "--markdown", "both.md"]) == 0
    shown = capsys.readouterr().out
    assert "GAN: not done yet, seed 0." in shown
    assert "see one/report.html" in shown.replace("\\", "/")
    page = (tmp_path / "both.md").read_text("utf-8")
    assert page.index("## Bench one") < page.index("## Bench two")
    assert (tmp_path / "two" / "report.tex").exists()


@pytest.mark.parametrize(
    ("name", "held", "message"),
    [
        ("notes.md", "à".encode("latin-1"), "notes.md cannot be read as UTF-8 text"),
        ("results/unit-0.json", b"{}", "unit-0.json is no result of a bench: remove it to make it"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_line(name, held, message, capsys, tmp_path):
    place = Place(tmp_path, tmp_path / "runs")
    row = {"label": "UNIT", "row": "unit", "groups": [], "seeds": [0], "minutes": None}
    row |= {"trained": None}
    write_json(place.plan, {"title": "a", "rows": [row], "left_out": {}})
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(held)
    assert main(["bench", "--report-only", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
