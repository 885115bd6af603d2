"""`diptych methods` and `diptych samples`."""

from __future__ import annotations

from diptych.cli.main import main
from diptych.data.samples import SAMPLES
from diptych.methods import list_methods


def test_every_method_is_listed_with_its_paper_and_what_it_takes(capsys) -> None:
    assert main(["methods"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f"{name} " in shown for name in list_methods())
    assert "CycleGAN (Zhu, Park, Isola, Efros 2017, arXiv:1703.10593)" in shown
    assert "unit_adaptation" in shown
    assert "takes a labelled source and an unlabelled target" in shown
    assert "--recipe cycle-alone ablation: no adversarial loss" in shown


def test_every_sample_is_listed_as_data_takes_it(capsys) -> None:
    assert main(["samples"]) == 0
    shown = capsys.readouterr().out
    assert all(f"sample:{name}" in shown for name in SAMPLES)
