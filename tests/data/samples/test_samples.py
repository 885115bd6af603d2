"""Samples by name."""

from __future__ import annotations

import pytest

from diptych.data.samples import SAMPLES, open_sample
from diptych.errors import InputError


def test_an_unknown_sample_names_those_there_are() -> None:
    with pytest.raises(InputError, match=r"^no sample 'moon': .*earth-climate, earth-map"):
        open_sample("moon", 64)


def test_every_sample_is_described_on_one_line_that_names_its_domains() -> None:
    assert len(SAMPLES) >= 11
    for text in SAMPLES.values():
        assert 10 < len(text) < 80
        assert "\n" not in text
