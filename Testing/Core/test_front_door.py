"""What `from radiodosimetry import …` offers."""

from __future__ import annotations

import pytest

import radiodosimetry
from radiodosimetry.workflows.dose import compute_dose


def test_every_name_of_the_front_door_can_be_imported() -> None:
    for name in radiodosimetry.__all__:
        assert getattr(radiodosimetry, name) is not None


def test_the_commands_names_lead_to_their_functions() -> None:
    assert radiodosimetry.dose is compute_dose
    assert radiodosimetry.nuclide("Lu-177") == radiodosimetry.Radionuclide("Lu-177")
    commands = {"compare", "curves", "demo", "dose", "fit", "kernel", "nuclide", "svalues", "tia"}
    assert commands <= set(dir(radiodosimetry))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'voxel'"):
        _ = radiodosimetry.voxel
