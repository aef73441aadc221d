"""What all tests share: where the project and the real images lie, and the tolerances with their reasons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from radiodosimetry.workflows.demo import DemoResult

# The same examples in every run and on every machine, however slow; a search for new ones is started by hand with
# `pytest --hypothesis-profile=default`.
settings.register_profile(
    "same_every_time", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same_every_time")

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""Top level of the checkout."""

PACKAGE_FOLDER = PROJECT_ROOT / "RadioDosimetry" / "radiodosimetry"
"""The core's source, also where the tests run against an installed copy."""

SHARED_DATA_FOLDER = PROJECT_ROOT.parent / "shared" / "data"
"""Real images beside the checkout; licensed for use, too large to commit."""


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Top level of the checkout."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def package_folder() -> Path:
    """Source folder of the core package."""
    return PACKAGE_FOLDER


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real images; the test is skipped where it is absent."""
    if not SHARED_DATA_FOLDER.is_dir():
        pytest.skip("the real images are not beside this checkout (../shared/data)")
    return SHARED_DATA_FOLDER


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def coarse_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """Output of the demo in a folder `demo`, with seed 5, on a twenty-sixth of its voxels."""
    from radiodosimetry.workflows.demo import run_demo

    return run_demo(tmp_path_factory.mktemp("coarse") / "demo", seed=5, histories=50_000, voxel_mm=12.0)
