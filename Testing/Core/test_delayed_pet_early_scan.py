"""The early scan of a synthesis: what its header says is compared with what was typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_samples import pet_slice
from radiodosimetry.delayed_pet.early_scan import present_at
from radiodosimetry.errors import InputError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.provenance import Record
from radiodosimetry.time_activity.acquisition_times import injection_of, moment_of
from radiodosimetry.workflows.delayed_pet import SynthesisRequest, read_early_scan
from radiodosimetry.workflows.scan_headers import administered_activity

HALF_LIFE_S = Radionuclide("Cu-64").half_life_s
STORED = np.arange(20, dtype=np.uint16).reshape(4, 5)


def request(folder: Path, hours: float = 1.0, nuclide: str = "Cu-64", **header: Any) -> SynthesisRequest:
    """A series of three slices, scanned one hour after the injection unless the header says otherwise."""
    folder.mkdir()
    for number in range(3):
        attributes = {"RadionuclideHalfLife": f"{HALF_LIFE_S:.1f}"} | header
        pet_slice(number, STORED, 3.0 * number, **attributes).save_as(folder / f"{number}.dcm")
    return SynthesisRequest("cu64_antibody", folder, hours, (24.0,), nuclide)


def test_a_header_that_agrees_changes_nothing(tmp_path: Path) -> None:
    scan = read_early_scan(request(tmp_path / "pet"))
    assert np.asarray(scan.array_kji)[0] == pytest.approx(2.5 * STORED)


def test_another_nuclide_in_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"half-life of 6586\.2 s, Cu-64 has 45.* s\. Give the nuclide of the scans"):
        read_early_scan(request(tmp_path / "pet", RadionuclideHalfLife="6586.2"))


def test_another_time_in_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"acquired 3 h after the injection, 1 h was given"):
        read_early_scan(request(tmp_path / "pet", RadiopharmaceuticalStartTime="090000"))


def test_a_series_corrected_to_the_injection_is_decayed_to_the_early_time(tmp_path: Path) -> None:
    read = read_early_scan(request(tmp_path / "pet", 1.25, DecayCorrection="ADMIN"))
    scan = present_at(read, 1.25 * 3600.0, "Cu-64")
    factor = 2.0 ** (-1.25 * 3600.0 / HALF_LIFE_S)
    assert np.asarray(scan.array_kji)[0] == pytest.approx(2.5 * factor * STORED, rel=1e-6)
    assert scan.record.parameters["as_read"]["decay_factor_applied"] == pytest.approx(factor, rel=1e-6)
    assert scan.time is not None
    assert (scan.time.hour, scan.time.minute) == (12, 15)
    assert present_at(scan, 1.25 * 3600.0, "Cu-64") is scan


def test_the_time_of_a_series_corrected_to_the_injection_is_that_of_its_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"acquired 1 h after the injection, 3 h was given"):
        read_early_scan(request(tmp_path / "pet", 3.0, DecayCorrection="ADMIN"))


def test_an_injection_in_a_time_zone_is_compared_with_the_scanners_clock(tmp_path: Path) -> None:
    scan = request(tmp_path / "pet")
    read = read_early_scan(scan).time
    assert read is not None
    injected = (read - timedelta(hours=1.0)).replace(tzinfo=UTC)
    assert read_early_scan(replace(scan, injection=injected)).time == read
    with pytest.raises(InputError, match=r"correct the time of injection or the early time"):
        read_early_scan(replace(scan, injection=injected - timedelta(hours=2.0)))


def test_the_administered_activity_is_that_of_the_header_unless_it_is_given(tmp_path: Path) -> None:
    record = read_early_scan(request(tmp_path / "pet", RadionuclideTotalDose="296e6")).record
    assert administered_activity(None, record) == (296e6, [])
    assert administered_activity(300e6, record) == (300e6, [])
    given, (doubt,) = administered_activity(200e6, record)
    assert given == 200e6
    assert "296 MBq by the header of the early scan; 200 MBq were given" in doubt
    megabecquerel = read_early_scan(request(tmp_path / "MBq", RadionuclideTotalDose="296")).record
    assert administered_activity(None, megabecquerel) == (None, [])


def test_a_moment_that_cannot_be_understood_is_none() -> None:
    record = Record("read", {"injection_time": "yesterday", "first_acquisition_time": "2024-05-31T09:00:00"})
    assert injection_of(record) is None
    assert moment_of(record, "first_acquisition_time") is not None
