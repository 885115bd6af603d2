"""Methods from outside that a user or a file names: what is imported, and what never is."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import diptych
from diptych import methods
from diptych.checkpoint import read_translator, save_translator
from diptych.cli.main import main
from diptych.errors import InputError
from diptych.methods import named_method
from tests.methods.outside_cases import RUN, SHARP, TINY, method_of, refusal

MARKED = "from pathlib import Path\n\nPath({mark!r}).touch()\n"

pytestmark = pytest.mark.usefixtures("nothing_given")

# --- named on the command line -----------------------------------------------------


def _command(folders: tuple[str, str], out: Path, method: str, *more: str) -> int:
    given = ["--x", folders[0], "--y", folders[1], "--out", str(out), "--no-evaluate"]
    for name, value in (TINY | RUN).items():
        given += [f"--{name.replace('_', '-')}", str(value)]
    return main(["train", method, *given, *more])


def test_a_module_and_a_file_are_trained_and_used_from_the_command_line(
    package, picture_folders, tmp_path, monkeypatch, capsys
):
    Image.new("RGB", (40, 30), (9, 99, 199)).save(tmp_path / "photo.png")
    folders = picture_folders()
    Path("crisp.py").write_text(SHARP, encoding="utf-8")
    for given, name in (("sharp_pkg.sharp", "sharp_pkg.sharp"), ("crisp.py", "crisp")):
        monkeypatch.setattr(methods, "_given", {})
        run = tmp_path / f"run-{name}"
        assert _command(folders, run, given, "--recipe", "crisp") == 0
        assert method_of(run) == name
        config = tomllib.loads((run / "config.toml").read_text("utf-8"))["config"]
        assert config["sharp_weight"] == 9.0
        monkeypatch.setattr(methods, "_given", {})
        translate = ["translate", str(run), str(tmp_path / "photo.png"), "--to", "bright"]
        capsys.readouterr()
        assert main(translate) == 2
        example = "sharp_pkg.sharp" if "." in name else "my_package.my_method"
        assert f"name its module by --method {example} (nothing" in capsys.readouterr().err
        assert main([*translate, "--method", given, "--out", str(tmp_path / name)]) == 0
        for command in (["report", str(run)], ["train", "--resume", str(run)]):
            monkeypatch.setattr(methods, "_given", {})
            assert main(command) == 2
            assert main([*command, "--method", given]) == 0


def test_one_class_of_a_file_is_trained_and_resumed(
    package, picture_folders, tmp_path, monkeypatch
):
    two = SHARP + "\n\nclass Blunt(CycleGAN):\n    pass\n"
    Path("pair.py").write_text(two, encoding="utf-8")
    run = tmp_path / "run"
    assert _command(picture_folders(), run, "pair.py:Sharp", "--sharp-weight", "3") == 0
    assert method_of(run) == "pair:Sharp"
    for again in (["--method", "pair.py:Sharp"], ["--method", "pair:Sharp"]):
        monkeypatch.setattr(methods, "_given", {})
        message = refusal(lambda: diptych.resume(run))
        assert "no method 'pair:Sharp'" in message
        assert main(["train", "--resume", str(run), *again]) == 0
    assert main(["train", "pair.py:Sharp", "--resume", str(run)]) == 0


def test_a_module_that_is_not_there_or_holds_no_method_is_said_in_one_line(package):
    Path("empty.py").touch()
    two = SHARP + "\n\nclass Blunt(CycleGAN):\n    pass\n"
    Path("pair.py").write_text(two, encoding="utf-8")
    needs = "a method is a torch.nn.Module with batch_type, groups, iteration"
    (package / "sharp_pkg" / "two.py").write_text(two, encoding="utf-8")
    for text, message in {
        "os.system": "there is no module 'os.system' to take the method 'os.system' from",
        "nope.sharp": "there is no module 'nope' to take",
        "sharp_pkg.sharp:Blunt": "sharp_pkg.sharp has no class 'Blunt'; there are: Sharp",
        "empty.py": f"empty defines no method: {needs}",
        "gone.py": "gone.py: no such file; give its path from the working directory",
        "gone.py:Sharp": "gone.py: no such file; give its path",
        "emty.py": "emty.py: no such file; did you mean empty.py?",
        "pair.py": "pair defines several methods, Sharp and Blunt: say which, as in pair.py:Sharp",
        "pair.py:Shrap": "pair has no class 'Shrap': did you mean 'Sharp'?",
        "pair.py:Config": f"Config in pair is no method that it defines: {needs}",
        "pair.py:CycleGAN": f"CycleGAN in pair is no method that it defines: {needs}",
        "pair.py:": "'pair.py:' names no class behind its colon: expected pair.py:MyMethod",
        "a-b.c": "'a-b.c' names no module: expected my_package.my_method or my_method.py",
        "cyclgan": "no method 'cyclgan': did you mean 'cyclegan'?",
        "sharp_pkg.two": "sharp_pkg.two defines several methods, Sharp and Blunt: say which, as in",
    }.items():
        assert message in refusal(lambda text=text: named_method(text)), text


def test_a_file_with_the_name_of_a_module_is_refused(package):
    Path("json.py").write_text(SHARP, encoding="utf-8")
    Path("antigravity.py").write_text(SHARP, encoding="utf-8")
    for name in ("json", "antigravity"):
        message = refusal(lambda name=name: named_method(f"{name}.py"))
        assert f"a module '{name}' is installed too; give the file another name" in message
    assert "antigravity" not in sys.modules


def test_an_error_inside_a_module_that_is_named_propagates(package):
    Path("broken.py").write_text("import no_such_module_at_all\n", encoding="utf-8")
    (package / "sharp_pkg" / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        named_method("broken.py")
    with pytest.raises(ZeroDivisionError):
        named_method("sharp_pkg.broken")


# --- named by a file ---------------------------------------------------------------


def test_no_file_makes_diptych_import_what_it_names(package, trained, monkeypatch, capsys):
    monkeypatch.syspath_prepend(package)  # it could be imported
    mark = package / "imported"
    (package / "sharp_pkg" / "trap.py").write_text(MARKED.format(mark=str(mark)), "utf-8")
    Path("trap.py").write_text(MARKED.format(mark=str(mark)), "utf-8")
    folder = trained("cyclegan")
    weights, info = read_translator(folder)
    text = (folder / "config.toml").read_text("utf-8")
    names = ["sharp_pkg.trap", "trap", "trap.py", "sharp_pkg.trap:Sharp", "os.system"]
    names += ["antigravity", "../methods/cyclegan", "_outside", "cyclegan.py", ""]
    for name in names:
        forged = type(info)(**(vars(info) | {"method": name}))
        save_translator(folder / "translator.safetensors", weights, forged)
        changed = re.sub(r'^method = "cyclegan"', f'method = "{name}"', text)
        (folder / "config.toml").write_text(changed, "utf-8")
        for use in (diptych.load, diptych.load_classifier, diptych.resume, diptych.evaluate):
            assert f"no method {name!r}" in refusal(lambda use=use: use(folder))
        for command in ("translate", "evaluate", "report", "generate"):
            more = ["x.png", "--to", "bright"] if command == "translate" else []
            assert main([command, str(folder), *more]) == 2
        assert "no method" in capsys.readouterr().err
    assert not mark.exists()
    assert not {"antigravity", "trap", "sharp_pkg", "sharp_pkg.trap"} & set(sys.modules)
    with pytest.raises(InputError):
        named_method("sharp_pkg.trap")
    assert mark.exists()  # as it is when a user names it
