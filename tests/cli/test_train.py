"""`diptych train`: what works, and one clear line with exit code 2 for what cannot."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from diptych.cli.main import main
from tests.cli.conftest import SMALL, domains_of, folder_of_photos


def test_resuming_a_finished_run_says_so_and_succeeds(run, capsys) -> None:
    before = (run / "state.pt").read_bytes()
    assert main(["train", "--resume", str(run)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-2:] == [f"{run} is finished, after 2 steps",
                         f"it has no scores yet: diptych evaluate {run}"]  # fmt: skip
    assert main(["train", "--resume", str(run), "--no-evaluate"]) == 0
    assert capsys.readouterr().out == f"{run} is finished, after 2 steps\n"
    assert (run / "state.pt").read_bytes() == before


def test_a_finished_run_refuses_what_an_unfinished_one_would(fails, run) -> None:
    negative = fails("train", "--resume", run, "--workers", "-1")
    assert negative == "--workers is -1: it must not be negative"
    assert fails("train", "--resume", run, "--device", "nope").startswith("no device 'nope' here")


def test_resuming_says_which_options_it_takes_and_what_to_do_instead(fails, run) -> None:
    for words in (["--size", "64"], ["--size=64"]):
        assert fails("train", "--resume", run, *words) == (
            "--size cannot be changed when a run is resumed, only --device, --workers, --data, --x,"
            " --y, --steps, --method, --evaluate; to begin a new run from its weights: diptych"
            f" train METHOD --init {run} --size ..."
        )
    assert fails("train", "--resume") == (
        "--resume needs a value: --resume RUN (see diptych train --help)"
    )


def test_a_method_named_beside_resume_must_be_that_of_the_run(fails, run, capsys) -> None:
    assert main(["train", "cyclegan", "--resume", str(run)]) == 0
    assert "is of the method 'cyclegan', not of UNIT" in fails("train", "unit", "--resume", run)
    both = fails("train", "unit", "--resume", run, "--method", "unit")
    assert both == "give unit or --method, not both"


def test_options_before_a_method_say_where_the_method_goes(fails) -> None:
    assert fails("train", "--data", "x") == (
        "name a method before --data: diptych train METHOD --data ... (see diptych train --help)"
    )


def test_the_last_of_several_recipes_and_presets_holds(folders, tmp_path) -> None:
    out = tmp_path / "run"
    twice = ["--recipe", "cycle-alone", "--recipe", "gan-forward"]
    command = ["train", "cyclegan", *folders, "--steps", "1", "--out", str(out), *SMALL, *twice]
    assert main(command) == 0
    assert 'cycle = "forward"\n' in (out / "config.toml").read_text()


def test_one_step_is_one_step(folders, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main(["train", "cyclegan", *folders, "--steps", "1", "--out", str(out), *SMALL]) == 0
    assert f"trained 1 step: {out}\n" in capsys.readouterr().out
    assert main(["train", "--resume", str(out), "--no-evaluate"]) == 0
    assert capsys.readouterr().out == f"{out} is finished, after 1 step\n"


def test_a_config_file_a_recipe_and_a_preset_are_where_options_start_from(
    run, folders, tmp_path
) -> None:
    out = tmp_path / "second"
    base = ["train", "cyclegan", *folders, "--steps", "1", "--no-evaluate", "--out", str(out)]
    assert main([*base, "--config", str(run / "config.toml"), "--cycle-weight", "5"]) == 0
    text = (out / "config.toml").read_text()
    assert "width = 4\n" in text
    assert "cycle_weight = 5.0\n" in text
    assert main([*base, *SMALL, "--recipe", "gan-forward", "--overwrite"]) == 0
    assert 'cycle = "forward"\n' in (out / "config.toml").read_text()
    assert main([*base, *SMALL, "--preset", "fast", "--batch-size", "2", "--overwrite"]) == 0
    text = (out / "config.toml").read_text()
    assert "lr_scale = 3.0\n" in text
    assert "batch_size = 2\n" in text


def test_the_names_that_options_had_before_still_work(run, folders, tmp_path) -> None:
    config = tmp_path / "old.toml"
    text = (run / "config.toml").read_text()
    config.write_text(text.replace("[run]\n", "[run]\nsample_every = 1\n"))
    base = ["train", "cyclegan", *folders, "--steps", "2", "--no-evaluate"]
    ways = (
        ["--config", str(config)],
        [*SMALL, "--sample-every", "1"],
        [*SMALL, "--sample-every=1"],
    )
    for way in ways:
        out = tmp_path / f"by-{len(list(tmp_path.iterdir()))}"
        assert main([*base, *way, "--logger", "none", "--out", str(out)]) == 0
        assert "preview_every = 1\n" in (out / "config.toml").read_text()
        names = [file.name for file in sorted((out / "previews").iterdir())]
        assert names == ["00000000.png", "00000001.png", "00000002.png"]
        assert not (out / "tensorboard").exists()


def test_a_logger_that_is_not_there_is_named(fails, folders) -> None:
    assert "'carrier-pigeon'" in fails("train", "cyclegan", *folders, "--logger", "carrier-pigeon")


def test_values_out_of_range_are_named(fails, folders) -> None:
    base = ["train", "cyclegan", *folders]
    assert fails(*base, "--size", "30").startswith("--size is 30: it must be a multiple of 4")
    assert fails(*base, "--steps", "0").startswith("--steps is 0: it must be above 0")
    both = fails(*base, "--steps", "9", "--minutes", "1")
    assert both.startswith("give one budget, not --steps and --minutes")
    assert "'hexagon'" in fails(*base, "--generator", "hexagon")
    assert "--load-size is 20, smaller than the crop of 32" in fails(
        *base, "--load-size", "20", "--steps", "1", *SMALL
    )
    assert "no device 'quantum' here" in fails(*base, "--device", "quantum")


def test_data_that_cannot_be_used_are_named_with_the_way_out(fails, tmp_path) -> None:
    good = folder_of_photos(tmp_path / "good")

    def train(x: Path) -> str:
        return fails("train", "cyclegan", "--x", x, "--y", good, "--out", tmp_path / "r", *SMALL)

    assert "no data: give a folder" in fails("train", "cyclegan")
    assert str(tmp_path / "nowhere") in train(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in train(tmp_path / "empty")
    assert "one" in train(folder_of_photos(tmp_path / "one", count=1))
    assert "smaller than the crop of 32" in train(folder_of_photos(tmp_path / "tiny", side=20))
    assert "good" in train(good / "0.jpg") or "0.jpg" in train(good / "0.jpg")
    text = folder_of_photos(tmp_path / "text", count=0)
    for i in range(3):
        (text / f"{i}.png").write_text("no image")
    assert "0.png" in train(text)
    cut = folder_of_photos(tmp_path / "cut")
    for file in cut.iterdir():
        file.write_bytes(file.read_bytes()[:400])
    assert "0.jpg" in train(cut)
    assert not (tmp_path / "r").exists()  # nothing was left behind


def test_a_few_broken_images_are_named_and_passed_over(tmp_path, capsys) -> None:
    x, y = folder_of_photos(tmp_path / "x", 6), folder_of_photos(tmp_path / "y", 6)
    (x / "4.jpg").write_bytes((x / "4.jpg").read_bytes()[:300])
    (x / "2.jpg").write_bytes((x / "2.jpg").read_bytes()[:300])  # the one that is held out
    out = tmp_path / "run"
    command = ["train", "cyclegan", "--x", str(x), "--y", str(y), "--steps", "12", *SMALL]
    assert main([*command, "--out", str(out)]) == 0
    assert "4.jpg" in capsys.readouterr().err
    assert "4.jpg" in (out / "report.html").read_text()


def test_nothing_is_overwritten_without_being_told(fails, run, folders, tmp_path) -> None:
    before = (run / "state.pt").read_bytes()
    line = fails("train", "cyclegan", *folders, "--steps", "1", "--out", run, *SMALL)
    assert line.startswith(f"{run} already holds a run: go on with it by diptych train --resume")
    assert (run / "state.pt").read_bytes() == before
    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(picture)
    command = ["translate", run, picture, "--to", domains_of(run)[0], "--out", tmp_path / "o"]
    assert main([str(a) for a in command]) == 0
    assert "--overwrite" in fails(*command)
