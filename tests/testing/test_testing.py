"""Which checks a method goes through, and what running them leaves as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from diptych.methods.cyclegan import Config, CycleGAN
from diptych.testing import Case, check_method, checks_of

CONFIG = Config(width=2, size=32, blocks=1, buffer_size=2)


def test_a_whole_method_passes_and_leaves_the_random_state_and_threads_as_they_were():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    check_method(CycleGAN, CONFIG, falls="cycle")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_checks_of_a_case_are_those_of_what_it_does():
    names = [check.__name__ for check in checks_of(Case(CycleGAN, CONFIG, falls="cycle"))]
    assert len(names) == len(set(names)) == 11
    assert "check_translation" in names
    assert "check_generation" not in names
    assert "check_gathering" in [c.__name__ for c in checks_of(Case(CycleGAN, CONFIG))]


@pytest.mark.slow
def test_pytest_is_not_needed():
    script = "import sys, diptych.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
