"""The feature network that installs with pip."""

from __future__ import annotations

import pytest

from diptych.networks.features import FeatureNetwork, load_features


@pytest.fixture(scope="module")
def lite() -> FeatureNetwork:
    return load_features()
