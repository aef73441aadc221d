"""Any damage to a DICOM file ends in one of our errors or in a volume; any grid survives RT Dose."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag

from dicom_samples import ct_slice, dose_file, nm_tomogram, pet_slice, segmentation, structure_set
from radiodosimetry.errors import RadioDosimetryError
from radiodosimetry.images.dicom_contours import fill_even_odd
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.images.dicom_regions import read_dicom_regions
from radiodosimetry.images.dicom_rtdose_writer import write_rtdose
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity

GRID = VolumeGeometry((4, 8, 8), (1.5, 2.0, 3.0), (-10.0, -20.0, 0.0))
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def structures() -> FileDataset:
    contour = np.array([(-8, -18, 3.0), (-2, -18, 3.0), (-2, -8, 3.0), (-8, -8, 3.0)])
    return structure_set([("cube", [("CLOSED_PLANAR", contour)])])


def segments() -> FileDataset:
    frames = np.zeros((2, 8, 8), np.uint8)
    frames[:, 2:5, 2:5] = 1
    return segmentation(frames, [1, 1], [3.0, 6.0], "BINARY", ["cube"])


SAMPLES: dict[str, Callable[[], FileDataset]] = {
    "CT": lambda: ct_slice(1, np.ones((4, 4), np.uint16), 3.0),
    "PT": lambda: pet_slice(1, np.ones((4, 4), np.int16), 3.0, Units="GML", DecayFactor="1.0063"),
    "NM": lambda: nm_tomogram(np.ones((3, 4, 4), np.uint16)),
    "RTDOSE": lambda: dose_file(np.ones((3, 4, 4), np.uint32), (0, 3, 6)),
    "RTSTRUCT": structures,
    "SEG": segments,
}


def written(dataset: FileDataset) -> bytes:
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(buffer, enforce_file_format=False)
    return buffer.getvalue()


WHOLE = {name: written(sample()) for name, sample in SAMPLES.items()}


def read_or_refuse(name: str, content: bytes) -> None:
    """Read a file in a way that fits its kind; only our errors may come out, and no warning."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / "file.dcm"
        path.write_bytes(content)
        with contextlib.suppress(RadioDosimetryError):
            if name in ("RTSTRUCT", "SEG"):
                assert len(read_dicom_regions(path, GRID)) > 0
            else:
                options = {"calibration_bq_per_ml_per_count": 2.0} if name == "NM" else {}
                assert np.isfinite(read_dicom(path, **options).array_kji).all()


@pytest.mark.parametrize("name", SAMPLES)
@QUICK
@given(data=st.data())
def test_a_file_with_flipped_bytes_is_read_or_refused(name: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(name, bytes(content))


@pytest.mark.parametrize("name", SAMPLES)
@QUICK
@given(data=st.data())
def test_a_file_cut_anywhere_is_read_or_refused(name: str, data: st.DataObject) -> None:
    read_or_refuse(name, WHOLE[name][: data.draw(st.integers(0, len(WHOLE[name]) - 1))])


GARBAGE = ["", "0", "-1", "1e400", "nan", "99999999999", "abc", "1\\2", "\\\\", "19991399", "250000", "1.2.3", "ÿþ"]


@pytest.mark.parametrize("name", SAMPLES)
@QUICK
@given(data=st.data())
def test_a_header_with_deleted_or_garbled_attributes_is_read_or_refused(name: str, data: st.DataObject) -> None:
    dataset = dcmread(BytesIO(WHOLE[name]))
    for _ in range(data.draw(st.integers(1, 3))):
        target, tag = chosen_attribute(dataset, data)
        element = target.get_item(tag)
        if data.draw(st.booleans()) or not isinstance(element, RawDataElement) or element.VR in ("OW", "OB"):
            del target[tag]
        else:
            garbled = garbled_value(element.VR, data)
            target[tag] = element._replace(value=garbled, length=len(garbled))
    read_or_refuse(name, written(dataset))


def chosen_attribute(dataset: Dataset, data: st.DataObject) -> tuple[Dataset, BaseTag]:
    """Some attribute of a dataset or of one of its items."""
    tag = data.draw(st.sampled_from(sorted(dataset.keys())))
    if dataset.get_item(tag).VR == "SQ":
        found = dataset[tag].value
        if found and len(found[0]) and data.draw(st.booleans()):
            return chosen_attribute(found[0], data)
    return dataset, tag


def garbled_value(value_type: str, data: st.DataObject) -> bytes:
    """Bytes that are no likely value of an attribute."""
    if value_type in ("US", "SS", "UL", "SL", "AT", "FD", "FL"):
        return data.draw(st.binary(min_size=2, max_size=8).filter(lambda content: len(content) % 2 == 0))
    content = data.draw(st.sampled_from(GARBAGE)).encode("latin-1")
    return content + b" " * (len(content) % 2)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 9.0)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    seed=st.integers(0, 2**32 - 1),
    mirrored=st.booleans(),
)
def test_any_grid_and_dose_survive_rt_dose(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    seed: int,
    mirrored: bool,
) -> None:
    rng = np.random.default_rng(seed)
    direction, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if (np.linalg.det(direction) < 0) != mirrored:
        direction[:, 0] *= -1
    dose_gy = rng.random(shape) * 10.0 ** rng.uniform(-6, 3)
    dose = QuantitativeVolume(dose_gy, VolumeGeometry(shape, spacing, origin, direction), Quantity.ABSORBED_DOSE)
    with tempfile.TemporaryDirectory() as folder:
        write_rtdose(dose, Path(folder) / "dose.dcm")
        again = read_dicom(Path(folder) / "dose.dcm")
    array_kji = again.array_kji[::-1] if mirrored else again.array_kji
    np.testing.assert_allclose(array_kji, dose_gy, rtol=0, atol=dose_gy.max() * 1e-9)
    order = np.lexsort(np.round(again.geometry.corners_lps_mm(), 3).T)
    expected = np.lexsort(np.round(dose.geometry.corners_lps_mm(), 3).T)
    np.testing.assert_allclose(
        again.geometry.corners_lps_mm()[order], dose.geometry.corners_lps_mm()[expected], atol=1e-5
    )


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), corners=st.integers(3, 12))
def test_filling_agrees_with_counting_crossings_of_a_ray_at_every_pixel(seed: int, corners: int) -> None:
    polygon = np.random.default_rng(seed).uniform(-3, 14, size=(corners, 2))
    filled = fill_even_odd([polygon], (11, 12))
    for row in range(11):
        for column in range(12):
            inside = False
            for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                if (y1 > row) != (y2 > row) and x1 + (row - y1) * (x2 - x1) / (y2 - y1) < column:
                    inside = not inside
            assert filled[row, column] == inside
