"""Dose-volume histograms of a prostate plan against the tables of SlicerRT and Eclipse.

The folder `dvh_prostate` holds a real dose grid, planar contours and the figures that SlicerRT and Eclipse print for
them (SlicerRT, revision df6ef69c). Here the contours are rasterised finely, the dose is interpolated onto the points,
and the statistics of this package are compared. The contouring conventions of the three programs differ (half slices
at the ends, supersampling), which sets the tolerances.
"""

import base64
import csv
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.dose_volume import dose_to_hottest_percent_gy, dose_to_hottest_volume_gy, dvh
from radiodosimetry.voxel_dose.statistics import region_statistics

pytestmark = pytest.mark.shared_data

STRUCTURES = ("Bladder", "Femoral Head Lt", "Femoral Head RT", "PTV", "Rectum")
"""The body is left out: ten litres of contours sampled finely take half a minute and test nothing else."""

IN_PLANE_MM = 0.5
"""Raster of the contours: its error of the volume of a 3 cm structure is far below 0.1 %."""

VOLUME_TOLERANCE = 0.015
"""Of the volumes: the three programs cap the ends of a structure differently; Eclipse and SlicerRT differ by 0.7 %."""

MEAN_TOLERANCE = 0.003
"""Of mean doses, from the same cause; worst in the rectum, behind which the dose falls by 2 % per mm."""

HISTOGRAM_STEP_GY = 0.2
"""Bin width of SlicerRT's histogram, from which it reads its D_x."""

HOTTEST_TOLERANCE = 0.004
"""Of D_x: half a bin of SlicerRT's histogram over the lowest dose compared."""

HISTOGRAM_TOLERANCE_PERCENT = 2.0
"""Of cumulative volumes; where a histogram falls steeply, half a bin of dose is as much."""


def blocks(text):
    """The bytes of a base64 array of zlib blocks, as VTK's XML files hold them (header of 32-bit words)."""
    header_words = np.frombuffer(
        base64.b64decode(text[: 4 * 4]), dtype="<u4"
    )  # three words tell how many blocks follow
    count = int(header_words[0])
    header_characters = 4 * ((4 * (3 + count) + 2) // 3)
    sizes = np.frombuffer(base64.b64decode(text[:header_characters]), dtype="<u4")[3 : 3 + count]
    data, start, parts = base64.b64decode(text[header_characters:]), 0, []
    for size in sizes:
        parts.append(zlib.decompress(data[start : start + size]))
        start += int(size)
    return b"".join(parts)


def array_of(element, name):
    node = next(child for child in element if child.get("Name") == name)
    kind = {"Float32": "<f4", "Int64": "<i8"}[node.get("type")]
    return np.frombuffer(blocks(node.text.strip()), dtype=kind)


def contours_lps_mm(path: Path):
    """Name of the structure and its planar contours as arrays of points."""
    root = ElementTree.parse(path).getroot()
    name_node = next(node for node in root.iter("Array") if node.get("Name") == "Segment_Name")
    name = blocks(name_node.text.strip()).rstrip(b"\0").decode()
    points = array_of(root.find(".//Points"), "Points").reshape(-1, 3).astype(float)
    lines = root.find(".//Lines")
    indices, ends = array_of(lines, "connectivity"), array_of(lines, "offsets")
    return name, [points[part] * (-1, -1, 1) for part in np.split(indices, ends[:-1])]  # VTK files of Slicer are RAS


def rasterised(contours, dose):
    """A fine volume around the contours: interpolated dose, and the region by the even-odd rule per slice."""
    from scipy.ndimage import map_coordinates

    heights = np.unique([round(float(contour[0, 2]), 2) for contour in contours])
    step_mm = float(np.median(np.diff(heights)))
    low, high = (bound([bound(c, axis=0) for c in contours], axis=0) for bound in (np.min, np.max))
    x, y = (np.arange(low[axis] - 1, high[axis] + 1, IN_PLANE_MM) for axis in (0, 1))
    grid = np.array(np.meshgrid(x, y, indexing="xy")).reshape(2, -1).T
    mask = np.zeros((heights.size, y.size, x.size), dtype=bool)
    for contour in contours:
        inside = Polygon(contour[:, :2]).contains_points(grid).reshape(y.size, x.size)
        mask[np.argmin(np.abs(heights - contour[0, 2]))] ^= inside
    geometry = VolumeGeometry(mask.shape, (IN_PLANE_MM, IN_PLANE_MM, step_mm), (x[0], y[0], heights[0]))
    # Each contour stands for a slab; sample the dose at three depths of it and keep them as slices of their own.
    depths = (np.arange(3) - 1) / 3 * step_mm
    z = (heights[:, None] + depths).ravel()
    fine = VolumeGeometry((z.size, y.size, x.size), (IN_PLANE_MM, IN_PLANE_MM, step_mm / 3), (x[0], y[0], z[0]))
    index = np.stack(np.meshgrid(z, y, x, indexing="ij")) - np.array(dose.geometry.origin_mm)[::-1, None, None, None]
    index /= np.array(dose.geometry.spacing_mm)[::-1, None, None, None]
    values = map_coordinates(dose.array_kji, index, order=1, mode="nearest")
    assert geometry.voxel_volume_ml == pytest.approx(3 * fine.voxel_volume_ml)
    return QuantitativeVolume(values, fine, Quantity.ABSORBED_DOSE), np.repeat(mask, 3, axis=0)


@pytest.fixture(scope="module")
def plan(shared_data):
    """Per structure: interpolated dose and region."""
    folder = shared_data / "dvh_prostate"
    dose = read_volume(folder / "EclipseProstate_Dose.nrrd", Quantity.ABSORBED_DOSE, "Gy")
    found = {}
    for path in sorted((folder / "EclipseProstate_Structures.seg").glob("*.vtp")):
        name, contours = contours_lps_mm(path)
        if name in STRUCTURES:
            volume, mask = rasterised(contours, dose)
            found[name] = volume, Region(name, mask, name)
    assert sorted(found) == sorted(STRUCTURES)
    return found


@pytest.fixture(scope="module")
def metrics(shared_data):
    """Per structure: what SlicerRT prints."""
    with (shared_data / "dvh_prostate" / "EclipseProstate_DvhMetrics_SlicerRT.csv").open(newline="") as stream:
        return {row["Structure"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("name", STRUCTURES)
def test_volume_and_mean_dose_agree_with_slicerrt(plan, metrics, name):
    dose, region = plan[name]
    (row,) = region_statistics(dose, None, [region])
    assert row.volume_ml == pytest.approx(float(metrics[name]["Volume (cc)"]), rel=VOLUME_TOLERANCE)
    assert row.mean_gy == pytest.approx(float(metrics[name]["Mean dose (GY)"]), rel=MEAN_TOLERANCE)


@pytest.mark.parametrize("name", STRUCTURES)
def test_hottest_doses_agree_with_slicerrt(plan, metrics, name):
    dose, region = plan[name]
    values = dose.array_kji[region.mask_kji]
    voxel_ml = dose.geometry.voxel_volume_ml
    assert dose_to_hottest_volume_gy(values, voxel_ml, 2.0) == pytest.approx(
        float(metrics[name]["D2cc (GY)"]), rel=HOTTEST_TOLERANCE
    )
    assert dose_to_hottest_volume_gy(values, voxel_ml, 5.0) == pytest.approx(
        float(metrics[name]["D5cc (GY)"]), rel=HOTTEST_TOLERANCE
    )
    for percent in (5, 10):
        printed = float(metrics[name][f"D{percent}% (GY)"])
        assert float(dose_to_hottest_percent_gy(values, percent)) == pytest.approx(printed, rel=HOTTEST_TOLERANCE)


def test_printed_headline_numbers_are_met_closely(plan):
    (ptv,) = region_statistics(plan["PTV"][0], None, [plan["PTV"][1]])
    (bladder,) = region_statistics(plan["Bladder"][0], None, [plan["Bladder"][1]])
    assert ptv.mean_gy == pytest.approx(45.88, abs=0.01)
    assert bladder.mean_gy == pytest.approx(45.9069, abs=0.03)
    values = plan["Bladder"][0].array_kji[plan["Bladder"][1].mask_kji]
    d2cc_gy = dose_to_hottest_volume_gy(values, plan["Bladder"][0].geometry.voxel_volume_ml, 2.0)
    assert d2cc_gy == pytest.approx(46.8435, abs=HISTOGRAM_STEP_GY / 2)


@pytest.mark.parametrize("program", ["SlicerRT", "Eclipse"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_cumulative_histogram_follows_the_table(shared_data, plan, program, name):
    with (shared_data / "dvh_prostate" / f"EclipseProstate_DvhTable_{program}.csv").open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    plain = re.sub(r"[^a-z]", "", name.lower())
    column = next(n for n, cell in enumerate(header) if re.sub(r"[^a-z]", "", cell.lower()).startswith(plain))
    printed = np.array([[float(row[column]), float(row[column + 1])] for row in rows if row[column].strip()])
    # One line of Eclipse's table prints 0.00035604 Gy between 35.558 and 35.65 Gy: a slip of the source.
    printed = printed[printed[:, 0] >= np.maximum.accumulate(printed[:, 0])]
    assert len(printed) > 200
    dose, region = plan[name]
    found = dvh(dose, region, bins=2000).volume_percent_at(printed[:, 0])
    assert found == pytest.approx(printed[:, 1], abs=HISTOGRAM_TOLERANCE_PERCENT)
    mean_gy = np.trapezoid(printed[:, 1], printed[:, 0]) / 100
    assert region_statistics(dose, None, [region])[0].mean_gy == pytest.approx(mean_gy, rel=MEAN_TOLERANCE)
