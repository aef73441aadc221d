"""Slicer's slice renderer in the core's figures: right place, right colours, nothing left in the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import OBLIQUE, STRAIGHT, ball, dose_volume  # noqa: E402

from radiodosimetry.images.geometry import VolumeGeometry  # noqa: E402
from radiodosimetry.images.regions import Region  # noqa: E402
from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.report import overlay_figure  # noqa: E402
from radiodosimetry.report.patient_planes import PLANES, PatientView  # noqa: E402
from radiodosimetry.report.slice_rendering import Layers  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from RadioDosimetryLib.sliceRenderer import SlicerSlices  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

MIRRORED = VolumeGeometry((9, 12, 15), (3.0, 2.0, 4.0), (10.0, -20.0, 5.0), np.diag([-1.0, 1.0, -1.0]))
"""A grid whose columns and slices run against the patient's axes."""

HOT = (2, 8, 4)


def _layers(geometry: VolumeGeometry, with_background: bool = True, **changes: Any) -> Layers:
    """Half of the scale everywhere, all of it in one voxel, over a grey of half the window."""
    values = np.full(geometry.shape_kji, 1.0, dtype=np.float32)
    values[HOT] = 2.0
    dose = QuantitativeVolume(values, geometry, Quantity.ABSORBED_DOSE)
    ct = QuantitativeVolume(np.full(geometry.shape_kji, 40.0, dtype=np.float32), geometry, Quantity.CT_NUMBER)
    settings: dict[str, Any] = {"highest": 2.0, "least": 0.1, "window": (-160.0, 240.0)}
    return Layers(dose, ct if with_background else None, **(settings | changes))


@pytest.mark.parametrize("geometry", [STRAIGHT, MIRRORED, OBLIQUE], ids=["straight", "mirrored", "oblique"])
@pytest.mark.parametrize("plane", PLANES)
def test_the_hottest_voxel_is_where_the_figure_has_it(geometry: VolumeGeometry, plane: str) -> None:
    layers = _layers(geometry)
    picture = SlicerSlices().picture(layers, plane, HOT).astype(float).sum(axis=2)
    expected = PatientView(geometry).slice_of(layers.foreground.array_kji, plane, HOT).image
    rows, columns = expected.shape
    weights = picture - np.median(picture)
    weights[weights < 0.5 * weights.max()] = 0.0
    found = [float((weights * axis).sum() / weights.sum()) for axis in np.indices(picture.shape)]
    row, column = (int(index) for index in np.argwhere(expected == 2.0)[0])
    assert (found[0] + 0.5) / picture.shape[0] * rows - 0.5 == pytest.approx(row, abs=0.1)
    assert (found[1] + 0.5) / picture.shape[1] * columns - 0.5 == pytest.approx(column, abs=0.1)


def test_colours_are_those_of_the_scale_blended_over_the_grey() -> None:
    layers = _layers(STRAIGHT, square_root_scale=True)
    picture = SlicerSlices().picture(layers, "axial", (0, 0, 0))
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    colour = 255.0 * np.array(layers.colour_map(layers.norm()(1.0))[:3])
    np.testing.assert_allclose(middle, 0.3 * 127.5 + 0.7 * colour, atol=2.5)


def test_what_is_below_the_least_value_shows_the_anatomy_and_black_without_one() -> None:
    clear = _layers(STRAIGHT, least=1.5)
    picture = SlicerSlices().picture(clear, "coronal", (0, 0, 0))
    np.testing.assert_allclose(picture[2, 2], 127.5, atol=2.0)
    alone = _layers(STRAIGHT, with_background=False, least=1.5)
    assert SlicerSlices().picture(alone, "coronal", (0, 0, 0))[2, 2].max() <= 1


def test_a_figure_says_the_same_whoever_draws_its_layers_and_the_scene_stays_as_it_was() -> None:
    dose = dose_volume()
    before = {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}
    regions = [Region("liver", ball(STRAIGHT, (10.0, 11.0, 12.0), 4.0), "liver")]
    figures = [
        overlay_figure(dose, None, regions, contour_levels=(1.0,), renderer=one) for one in (None, SlicerSlices())
    ]
    for first, second in zip(figures[0].axes, figures[1].axes, strict=True):
        assert first.get_title() == second.get_title()
        assert first.get_xlim() == second.get_xlim()
        assert [text.get_text() for text in first.texts] == [text.get_text() for text in second.texts]
    extents = [[axes.images[-1].get_extent() for axes in figure.axes[:3]] for figure in figures]
    assert extents[0] == extents[1]
    after = {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}
    assert after == before
