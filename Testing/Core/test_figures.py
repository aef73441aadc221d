"""Figures: the patient lies the right way round, everything asked for is drawn, and files appear whole."""

import itertools

import numpy as np
import pytest

from radiodosimetry.errors import GeometryMismatchError, InputError, OutputError
from radiodosimetry.evaluation import axis_profile, bland_altman
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.report import (
    PatientView,
    bland_altman_figure,
    dvh_figure,
    method_comparison_figure,
    overlay_figure,
    profile_figure,
    save_figure,
)
from radiodosimetry.report.slice_rendering import Layers
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.dose_volume import dvh

SHAPE = (6, 7, 8)


@pytest.fixture
def dose():
    """A hot spot in a volume of anisotropic voxels."""
    array = np.full(SHAPE, 0.5)
    array[2:4, 3:5, 4:6] = 10.0
    return QuantitativeVolume(array, VolumeGeometry(SHAPE, (2.0, 3.0, 5.0)), Quantity.ABSORBED_DOSE)


@pytest.fixture
def spot(dose):
    return Region("spot", dose.array_kji > 1, "spot")


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend_names(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_slices_show_the_patient_the_same_way_whatever_the_axes(order, signs):
    direction = np.zeros((3, 3))
    for patient_axis, (column, sign) in enumerate(zip(order, signs, strict=True)):
        direction[patient_axis, column] = sign
    geometry = VolumeGeometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction)
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij")
    left, posterior, superior = np.moveaxis((np.stack([i, j, k], axis=-1) @ direction.T), -1, 0)
    view = PatientView(geometry)
    axial = view.slice_of(left, "axial", (1, 2, 3)).image
    assert np.all(np.diff(axial, axis=1) == 1)  # the patient's left at the right
    assert np.all(np.diff(view.slice_of(posterior, "axial", (1, 2, 3)).image, axis=0) == 1)  # posterior below
    assert np.all(np.diff(view.slice_of(superior, "coronal", (1, 2, 3)).image, axis=0) == -1)  # superior above
    assert np.all(np.diff(view.slice_of(posterior, "sagittal", (1, 2, 3)).image, axis=1) == 1)
    part = view.slice_of(superior, "axial", (1, 2, 3))
    assert np.all(part.image == superior[1, 2, 3])
    assert part.position_mm == superior[1, 2, 3]
    assert part.letters == ("R", "L", "A", "P")
    assert view.slice_of(left, "coronal", (1, 2, 3)).letters == ("R", "L", "S", "I")
    assert view.point_mm((1, 2, 3), "axial") == (left[1, 2, 3], posterior[1, 2, 3])
    x_left, x_right, y_bottom, y_top = part.extent_mm
    assert (x_left, x_right) == (left.min() - 0.5, left.max() + 0.5)
    assert (y_top, y_bottom) == (posterior.min() - 0.5, posterior.max() + 0.5)


def test_a_plane_in_patient_coordinates_is_the_slice_that_is_shown():
    """Each pixel's middle, by the matrix, is the voxel that the slice shows there."""
    for signs in itertools.product((1, -1), repeat=3):
        direction = np.diag(np.array(signs, dtype=float))[[1, 0, 2]]
        geometry = VolumeGeometry((4, 5, 6), (1.0, 2.0, 3.0), (7.0, -8.0, 9.0), direction)
        view, number = PatientView(geometry), np.arange(120.0).reshape(4, 5, 6)
        for plane in ("axial", "coronal", "sagittal"):
            image = view.slice_of(number, plane, (1, 2, 3)).image
            matrix = view.plane_to_lps(plane, (1, 2, 3))
            np.testing.assert_allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3), atol=1e-12)
            width, height = view.size_mm(plane)
            rows, columns = image.shape
            for row, column in itertools.product(range(rows), range(columns)):
                right = ((column + 0.5) / columns - 0.5) * width
                up = (0.5 - (row + 0.5) / rows) * height
                lps = matrix @ [right, up, 0.0, 1.0]
                i, j, k = np.rint((np.linalg.inv(geometry.ijk_to_lps) @ lps)[:3]).astype(int)
                assert image[row, column] == number[k, j, i]


def test_another_renderer_draws_the_layers_and_the_figure_the_rest(dose, spot):
    class Flat:
        def __init__(self):
            self.seen = []

        def draw(self, axes, layers, plane, voxel_kji):
            self.seen.append((plane, voxel_kji, layers.lowest, layers.highest, layers.least, layers.opacity))
            axes.imshow(np.zeros((2, 2, 3)), extent=(0, 1, 0, 1))

    flat = Flat()
    wanted = {"highest": 8.0, "threshold": 0.7, "voxel_kji": (2, 3, 4), "contour_levels": (5.0,)}
    drawn = overlay_figure(dose, None, [spot], renderer=flat, **wanted)
    assert flat.seen == [(plane, (2, 3, 4), 0.0, 8.0, 0.7, 1.0) for plane in ("axial", "coronal", "sagittal")]
    own = overlay_figure(dose, None, [spot], **wanted)
    assert texts(drawn) == texts(own)
    assert legend_names(drawn) == legend_names(own)
    assert [axes.get_xlim() for axes in drawn.axes] == [axes.get_xlim() for axes in own.axes]


def test_the_colours_of_the_layers_are_those_of_the_scale_and_clear_below_the_least(dose):
    layers = Layers(dose, None, 10.0, 2.0, (0.0, 1.0))
    table = layers.colours(11)
    assert list(table[:, 3]) == [0, 0, *[1] * 9]
    np.testing.assert_allclose(table[7, :3], layers.colour_map(0.7)[:3])
    both = Layers(dose, None, 10.0, 2.0, (0.0, 1.0), signed=True).colours(21)
    assert list(both[:, 3]) == [*[1] * 9, 0, 0, 0, *[1] * 9]


def test_overlay_has_three_planes_letters_legend_and_a_scale_with_its_unit(dose, spot):
    ct = dose.with_array(np.zeros(SHAPE), Quantity.CT_NUMBER)
    figure = overlay_figure(dose, ct, [spot], title="Dose")
    assert [axes.get_title().split(",")[0] for axes in figure.axes[:3]] == ["axial", "coronal", "sagittal"]
    assert {"R", "L", "A", "P", "S", "I"} <= set(texts(figure))
    assert legend_names(figure) == ["spot"]
    assert figure.axes[3].get_ylabel() == "Absorbed dose [Gy]"
    assert all(axes.get_aspect() == 1.0 for axes in figure.axes[:3])
    axial = figure.axes[0].images[-1].get_array()
    assert axial.shape == (7, 8)
    assert axial.mask.sum() == 0


def test_overlay_leaves_low_values_transparent_and_goes_through_the_hottest_voxel(dose):
    figure = overlay_figure(dose, threshold=1.0)
    for axes in figure.axes[:3]:
        assert axes.images[-1].get_array().compressed().tolist() == [10.0] * axes.images[-1].get_array().count()
        assert axes.images[-1].get_array().count() == 4


def test_overlay_names_only_the_regions_it_meets(dose, spot):
    corner = np.zeros(SHAPE, dtype=bool)
    corner[0, 0, 0] = True
    figure = overlay_figure(dose, regions=[Region("corner", corner, "corner"), spot])
    assert legend_names(figure) == ["spot"]


@pytest.mark.parametrize(
    ("scale", "quantity", "label"),
    [
        (1e-3, Quantity.ABSORBED_DOSE, "Absorbed dose [mGy]"),
        (1e5, Quantity.ACTIVITY_CONCENTRATION, "Activity concentration [MBq/mL]"),
        (1.0, Quantity.RELATIVE_UNCERTAINTY, "Relative uncertainty"),
        (0.0, Quantity.ABSORBED_DOSE, "Absorbed dose [Gy]"),
    ],
)
def test_overlay_chooses_a_readable_unit(dose, scale, quantity, label):
    figure = overlay_figure(dose.with_array(dose.array_kji * scale, quantity))
    assert figure.axes[3].get_ylabel() == label


def test_signed_overlay_has_a_scale_around_zero(dose):
    error = dose.with_array(dose.array_kji - 5.0, Quantity.DIMENSIONLESS)
    figure = overlay_figure(error, label="Error [%]", signed=True, highest=4.0)
    assert figure.axes[0].images[-1].norm.vmin == -4.0
    assert figure.axes[3].get_ylabel() == "Error [%]"


def test_overlay_refuses_other_grids(dose, spot):
    other = QuantitativeVolume(np.zeros(SHAPE), VolumeGeometry(SHAPE, (1.0, 1.0, 1.0)), Quantity.CT_NUMBER)
    with pytest.raises(GeometryMismatchError, match="different grids"):
        overlay_figure(dose, other)
    with pytest.raises(InputError, match="'x' has another shape"):
        overlay_figure(dose, regions=[Region("x", np.ones((1, 1, 1), dtype=bool), "x")])


def test_dvh_figure_has_a_colour_per_region_and_a_style_per_method(dose, spot):
    whole = Region("all", np.ones(SHAPE, dtype=bool), "all")
    histograms = [dvh(dose, region, 10) for region in (whole, spot)]
    figure = dvh_figure({"reference": histograms, "test": histograms})
    lines = figure.axes[0].lines
    assert len(lines) == 4
    assert lines[0].get_color() == lines[2].get_color() != lines[1].get_color()
    assert lines[0].get_linestyle() != lines[2].get_linestyle()
    assert legend_names(figure) == ["all", "spot", "reference", "test"]
    with pytest.raises(InputError, match="at least one region"):
        dvh_figure({"reference": []})


def test_profile_figure_shows_values_and_differences(dose):
    profile = axis_profile(dose.array_kji, dose.geometry, (2, 3, 4), 2)
    half = axis_profile(dose.array_kji / 2, dose.geometry, (2, 3, 4), 2)
    figure = profile_figure({"line": {"reference": profile, "test": half}})
    assert len(figure.axes) == 2
    assert np.min(figure.axes[1].lines[0].get_ydata()) == pytest.approx(-50.0)
    with pytest.raises(InputError, match="at least one line"):
        profile_figure({})


def test_bland_altman_figure_names_bias_and_limits():
    regions = bland_altman([1.0, 2.0, 3.0], [1.1, 2.0, 2.9])
    figure = bland_altman_figure(regions, ["a", "b", "c"], bland_altman([1.0, 2.0], [1.0, 2.1]))
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert f"bias (regions) {regions.bias_percent:+.2f} %" in labels
    assert legend_names(figure) == ["a", "b", "c"]
    alone = bland_altman_figure(None, voxels=bland_altman([1.0, 2.0], [1.0, 2.1]))
    assert any("voxels" in str(line.get_label()) for line in alone.axes[0].lines)
    with pytest.raises(InputError, match="needs regions or voxels"):
        bland_altman_figure(None)
    with pytest.raises(InputError, match="Found 1 names for 3 regions"):
        bland_altman_figure(regions, ["a"])


def test_method_comparison_figure_draws_errors_against_the_reference():
    doses = {"local": {"liver": 1.1, "spleen": 0.0}, "monte-carlo": {"liver": 1.0, "spleen": 0.0}}
    figure = method_comparison_figure(doses, "monte-carlo", {"monte-carlo": {"liver": 1.0, "spleen": None}})
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert heights == pytest.approx([10.0, 0.0])
    with pytest.raises(InputError, match="'x' is not among: local, monte-carlo"):
        method_comparison_figure(doses, "x")
    with pytest.raises(InputError, match="expected liver, spleen"):
        method_comparison_figure(doses | {"other": {"liver": 1.0}}, "monte-carlo")


def test_a_saved_figure_is_a_whole_file_and_nothing_else(dose, tmp_path):
    save_figure(overlay_figure(dose), tmp_path / "dose.png")
    assert [path.name for path in tmp_path.iterdir()] == ["dose.png"]
    assert (tmp_path / "dose.png").read_bytes().startswith(b"\x89PNG")


def test_saving_to_an_unknown_format_or_an_absent_folder_is_refused(dose, tmp_path):
    figure = overlay_figure(dose)
    with pytest.raises(InputError, match="written as .png, .pdf, .svg"):
        save_figure(figure, tmp_path / "dose.bmp")
    with pytest.raises(OutputError, match="does not exist"):
        save_figure(figure, tmp_path / "absent" / "dose.png")
    assert list(tmp_path.iterdir()) == []
