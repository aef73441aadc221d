"""Dose by convolution against plain convolution, closed forms and invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from radiodosimetry.errors import CancelledError, GeometryMismatchError, InputError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.media import DensityBands, MediaMap, named_material, schneider_2000
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import JOULE_PER_MEV, Quantity
from radiodosimetry.voxel_dose.convolution import (
    convolve_dose_kernel,
    density_scaled,
    local_deposition,
    multiple_vsv,
    single_vsv,
)
from radiodosimetry.voxel_dose.convolution_settings import ConvolutionOptions
from radiodosimetry.voxel_dose.fourier import Box, ImageSpectrum, farthest_offset_kji
from radiodosimetry.voxel_dose.geometric_weights import near_weights
from radiodosimetry.voxel_dose.kernels import voxel_kernel
from radiodosimetry.voxel_dose.radial_energy import radial_cells
from radiodosimetry.voxel_dose.shared_kernels import USUAL_TOLERANCE, share_kernels
from radiodosimetry.voxel_dose.sources import EmissionSource
from radiodosimetry.voxel_dose.voxelisation import unfold
from voxel_dose_samples import ClosedForm, closed_form_provider, exponential

SPACING = (4.0, 4.0, 5.0)
LU_177 = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
OPTIONS = ConvolutionOptions(point_kernels=closed_form_provider)
METHODS = [single_vsv, density_scaled, multiple_vsv]


def tia_of(array: np.ndarray) -> QuantitativeVolume:
    geometry = VolumeGeometry(array.shape, SPACING)
    return QuantitativeVolume(array, geometry, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)


def media_of(density: np.ndarray) -> MediaMap:
    bands = DensityBands()
    media = bands.media(schneider_2000())
    geometry = VolumeGeometry(density.shape, SPACING)
    return MediaMap(density.astype(np.float32), bands.index(density.astype(np.float32)), media, geometry)


def spheres(rng: np.random.Generator, shape=(18, 20, 22)) -> tuple[QuantitativeVolume, MediaMap]:
    array = np.zeros(shape)
    array[6:12, 7:13, 5:15] = rng.random((6, 6, 10)) * 1e9
    density = rng.choice([0.0012, 0.26, 0.95, 1.02, 1.05, 1.4], size=shape)
    return tia_of(array), media_of(density)


# --- the Fourier part -------------------------------------------------------------------------------------------------


def test_any_box_and_any_kernel_width_give_the_plain_convolution(rng):
    for _ in range(30):
        shape = tuple(int(n) for n in rng.integers(1, 14, 3))
        corners = [np.sort(rng.choice(n + 1, (2, 2), replace=True), axis=1) for n in shape]
        corners = [np.where(pair[:, :1] == pair[:, 1:], [[0, n]], pair) for pair, n in zip(corners, shape, strict=True)]
        source, target = (
            Box(tuple(int(pair[which, 0]) for pair in corners), tuple(int(pair[which, 1]) for pair in corners))
            for which in (0, 1)
        )
        image = np.zeros(shape)
        image[source.slices] = rng.random(source.shape)
        half = tuple(int(n) for n in rng.integers(0, 16, 3))
        octant = rng.random([n + 1 for n in half])
        plain = signal.fftconvolve(image, unfold(octant), mode="full")
        plain = plain[tuple(slice(n, n + count) for n, count in zip(half, shape, strict=True))][target.slices]
        found = ImageSpectrum(image, source, target, half).convolve(octant)
        assert found == pytest.approx(plain, abs=1e-9 * max(1.0, plain.max()))


def test_the_number_of_threads_does_not_change_the_result(rng):
    image, octant = rng.random((20, 21, 22)), rng.random((6, 6, 6))
    box = Box((0, 0, 0), image.shape)
    one, four = (ImageSpectrum(image, box, box, (5, 5, 5), workers=count).convolve(octant) for count in (1, 4))
    assert np.array_equal(one, four)


def test_single_precision_is_close_to_double(rng):
    image, octant = rng.random((20, 21, 22)), rng.random((6, 6, 6))
    box = Box((0, 0, 0), image.shape)
    single, double = (
        ImageSpectrum(image, box, box, (5, 5, 5), name).convolve(octant) for name in ("float32", "float64")
    )
    assert single.dtype == np.float32
    assert single == pytest.approx(double, rel=1e-5)


def test_the_farthest_offset_is_that_of_the_boxes():
    assert farthest_offset_kji(Box((0, 5, 2), (3, 6, 4)), Box((1, 0, 0), (10, 4, 9))) == (9, 5, 6)


def test_an_empty_mask_has_no_box():
    assert Box.around(np.zeros((2, 3, 4), dtype=bool)) is None


# --- the methods ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_linear_in_the_activity(rng, method):
    tia, media = spheres(rng)
    other = tia_of(rng.random(tia.geometry.shape_kji) * 1e8)
    together = tia_of(2 * tia.array_kji + other.array_kji)
    parts = [method(volume, media, LU_177, OPTIONS).array_kji for volume in (tia, other, together)]
    assert parts[2] == pytest.approx(2 * parts[0] + parts[1], rel=1e-6, abs=1e-9 * parts[2].max())


@pytest.mark.parametrize("method", METHODS)
def test_air_gets_no_dose_and_no_dose_is_negative(rng, method):
    tia, media = spheres(rng)
    dose = method(tia, media, LU_177, OPTIONS)
    assert dose.quantity is Quantity.ABSORBED_DOSE
    assert np.all(dose.array_kji[media.density_kji < 0.1] == 0)
    assert np.all(dose.array_kji >= 0)


def test_multiple_vsv_is_the_masked_sum_of_plain_convolutions(rng):
    tia, media = spheres(rng)
    dose = multiple_vsv(tia, media, LU_177, replace(OPTIONS, sharing_tolerance=0.0)).array_kji
    expected = np.zeros_like(dose)
    for index, medium in enumerate(media.media):
        here = (media.medium_index_kji == index) & (media.density_kji >= 0.1)
        if here.any():
            kernel = voxel_kernel(LU_177, medium, SPACING, (22, 20, 18), point_kernels=closed_form_provider)
            parts = [
                signal.fftconvolve(tia.array_kji * 0.08, unfold(octant), mode="full")[18:36, 20:40, 22:44]
                for octant in (kernel.charged_octant_kji, kernel.photon_octant_kji)
            ]
            scaled = parts[0] * medium.density_g_per_cm3 / media.density_kji + parts[1]
            expected[here] = scaled[here]
    assert dose == pytest.approx(expected, rel=1e-6, abs=1e-12 * expected.max())


def test_sharing_kernels_between_media_changes_nothing_that_matters(rng):
    tia, media = spheres(rng)
    exact = multiple_vsv(tia, media, LU_177, replace(OPTIONS, sharing_tolerance=0.0)).array_kji
    dose = multiple_vsv(tia, media, LU_177, replace(OPTIONS, sharing_tolerance=USUAL_TOLERANCE))
    inside = exact > 1e-3 * exact.max()
    assert dose.array_kji[inside] == pytest.approx(exact[inside], rel=2 * USUAL_TOLERANCE)
    convolved = dose.record.parameters["convolutions"]
    assert max(convolved.values()) < len(dose.record.parameters["media"])


def test_one_medium_everywhere_makes_all_methods_agree(rng):
    tia, _ = spheres(rng)
    soft_tissue = named_material("soft-tissue")
    media = MediaMap.homogeneous(soft_tissue, tia.geometry)
    single = single_vsv(tia, media, LU_177, replace(OPTIONS, single_medium="soft-tissue")).array_kji
    scaled = density_scaled(tia, media, LU_177, OPTIONS).array_kji
    multiple = multiple_vsv(tia, media, LU_177, OPTIONS).array_kji
    assert scaled == pytest.approx(single, rel=1e-6)
    assert multiple == pytest.approx(single, rel=1e-6)


def test_the_dose_deep_in_a_large_source_is_emitted_energy_per_mass():
    tia = tia_of(np.full((61, 77, 77), 1e6))
    media = MediaMap.homogeneous(named_material("water").with_density(20.0), tia.geometry)
    dose = multiple_vsv(tia, media, LU_177, OPTIONS).array_kji[30, 38, 38]
    expected = 1e6 * LU_177.emitted_energy_mev * JOULE_PER_MEV / 20e-3
    assert dose == pytest.approx(expected, rel=2e-3)
    assert dose < expected


def test_local_deposition_is_energy_over_mass():
    tia = tia_of(np.full((2, 2, 2), 1e9))
    media = media_of(np.array([[[1.0, 0.5], [1.0, 1.0]], [[2.0, 0.0012], [1.0, 1.0]]]))
    dose = local_deposition(tia, media, LU_177)
    expected = 1e9 * LU_177.charged_energy_mev * JOULE_PER_MEV / 1e-3
    assert dose.array_kji[0, 0] == pytest.approx([expected, 2 * expected])
    assert dose.array_kji[1, 0] == pytest.approx([expected / 2, 0.0])
    assert "photons are ignored" in " ".join(dose.record.warnings)


def test_only_the_electron_part_is_scaled_by_density_unless_the_published_form_is_asked_for():
    array = np.zeros((3, 3, 31))
    array[1, 1, 2] = 1e9
    density = np.full(array.shape, 1.04)
    density[..., 20:] = 0.26
    tia, media = tia_of(array), media_of(density)
    right = density_scaled(tia, media, LU_177, OPTIONS).array_kji[1, 1]
    published = density_scaled(tia, media, LU_177, replace(OPTIONS, published_density_scaling=True)).array_kji[1, 1]
    assert published[:20] == pytest.approx(right[:20], rel=1e-6)
    assert published[20:] == pytest.approx(4 * right[20:], rel=1e-3)


def test_bremsstrahlung_far_from_the_source_is_not_scaled_by_density():
    source = EmissionSource.mono_energetic("electron", 100.0)
    array = np.zeros((3, 3, 31))
    array[1, 1, 2] = 1e9
    media = media_of(np.where(np.arange(31) < 20, 1.04, 0.26) * np.ones(array.shape))

    def with_tail(material, spectrum, secondaries):
        form = closed_form_provider(material, spectrum, secondaries)
        tail = exponential(0.003, 1e-3 * form.cumulative_energy_mev[-1])
        radius = np.union1d(form.radius_mm, tail.radius_mm)
        energy = np.interp(radius, form.radius_mm, form.cumulative_energy_mev)
        return ClosedForm(radius, energy + np.interp(radius, tail.radius_mm, tail.cumulative_energy_mev))

    options = replace(OPTIONS, point_kernels=with_tail)
    soft = MediaMap.homogeneous(named_material("soft-tissue"), media.geometry)
    everywhere = density_scaled(tia_of(array), soft, source, options).array_kji[1, 1]
    with_lung = density_scaled(tia_of(array), media, source, options).array_kji[1, 1]
    assert everywhere[25] > 0
    assert with_lung[20:] == pytest.approx(everywhere[20:], rel=1e-6)


def test_alpha_energy_stays_in_its_voxel_and_goes_with_its_density():
    source = EmissionSource.from_nuclide(Radionuclide("Po-210"))
    array = np.zeros((3, 3, 3))
    array[1, 1, 1] = 1e9
    tia, media = tia_of(array), media_of(np.full((3, 3, 3), 1.02))
    dose = multiple_vsv(tia, media, source, OPTIONS).array_kji
    expected = 1e9 * source.local_energy_mev * JOULE_PER_MEV / 1.02e-3
    assert dose[1, 1, 1] == pytest.approx(expected, rel=1e-4)
    assert dose.sum() == pytest.approx(expected, rel=1e-4)


def test_no_activity_gives_no_dose():
    tia, media = tia_of(np.zeros((3, 4, 5))), media_of(np.ones((3, 4, 5)))
    for method in METHODS:
        assert not method(tia, media, LU_177, OPTIONS).array_kji.any()


def test_a_patient_of_air_gets_no_dose():
    tia, media = tia_of(np.ones((3, 4, 5))), media_of(np.full((3, 4, 5), 0.0012))
    for method in METHODS:
        assert not method(tia, media, LU_177, OPTIONS).array_kji.any()


def test_a_kernel_convolves_to_the_single_medium_dose(rng):
    tia, _ = spheres(rng)
    kernel = voxel_kernel(LU_177, named_material("water"), SPACING, (22, 20, 18), point_kernels=closed_form_provider)
    media = MediaMap.homogeneous(named_material("water"), tia.geometry)
    single = single_vsv(tia, media, LU_177, OPTIONS).array_kji
    assert convolve_dose_kernel(tia, kernel).array_kji == pytest.approx(single, rel=1e-6)


def test_a_kernel_of_another_voxel_size_is_refused(rng):
    tia, _ = spheres(rng)
    kernel = voxel_kernel(LU_177, named_material("water"), (4.0, 4.0, 4.0), 2, point_kernels=closed_form_provider)
    with pytest.raises(GeometryMismatchError, match="make the kernel for the activity's voxels"):
        convolve_dose_kernel(tia, kernel)


def test_a_kernel_per_particle_is_refused(rng):
    tia, _ = spheres(rng)
    source = EmissionSource.mono_energetic("electron", 100.0)
    kernel = voxel_kernel(source, named_material("water"), SPACING, 2, point_kernels=closed_form_provider)
    with pytest.raises(UnitError, match="make a nuclide's kernel"):
        convolve_dose_kernel(tia, kernel)


def test_activity_that_is_not_integrated_is_refused(rng):
    tia, media = spheres(rng)
    activity = tia.with_array(tia.array_kji, Quantity.ACTIVITY_CONCENTRATION)
    with pytest.raises(UnitError, match="integrate the activity over time first"):
        multiple_vsv(activity, media, LU_177, OPTIONS)


def test_negative_activity_is_refused(rng):
    tia, media = spheres(rng)
    with pytest.raises(InputError, match="must not be negative"):
        multiple_vsv(tia_of(-tia.array_kji), media, LU_177, OPTIONS)


def test_media_on_another_grid_are_refused(rng):
    tia, _ = spheres(rng)
    with pytest.raises(GeometryMismatchError, match="resample the CT"):
        multiple_vsv(tia, media_of(np.ones((3, 3, 3))), LU_177, OPTIONS)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="expected one of: auto, float32, float64"):
        ConvolutionOptions(precision="half")
    with pytest.raises(InputError, match="positive distance"):
        ConvolutionOptions(reach_mm=0.0)
    with pytest.raises(InputError, match="sharing tolerance"):
        ConvolutionOptions(sharing_tolerance=2.0)


def test_cancelling_stops_the_work(rng):
    class Cancelled:
        def report(self, fraction: float, message: str) -> None:
            raise AssertionError("nothing is reported after cancelling")

        def cancelled(self) -> bool:
            return True

    tia, media = spheres(rng)
    with pytest.raises(CancelledError):
        multiple_vsv(tia, media, LU_177, OPTIONS, Cancelled())


# --- what media share -------------------------------------------------------------------------------------------------


def test_shared_kernels_reproduce_every_medium():
    media = [medium for medium in DensityBands().media(schneider_2000()) if medium.density_g_per_cm3 > 0.1]
    cells = [radial_cells(LU_177, medium, SPACING, point_kernels=closed_form_provider) for medium in media]
    density = np.array([medium.density_g_per_cm3 for medium in media])
    energy = np.stack([cell.photon_mev for cell in cells]) / density[:, None]
    shared = share_kernels(energy, SPACING, 300.0, 1e-3)
    assert len(shared.cell_energy) < len(media)
    assert shared.largest_error <= 1e-3
    within = slice(0, int(np.searchsorted(near_weights(SPACING).edges_mm, 300.0)))
    found = (shared.coefficients @ shared.cell_energy)[:, within].sum(axis=1)
    assert found == pytest.approx(energy[:, within].sum(axis=1), rel=1e-3)


def test_media_without_energy_share_nothing():
    cells = radial_cells(LU_177, named_material("water"), SPACING, point_kernels=closed_form_provider)
    shared = share_kernels(np.zeros((3, len(cells.photon_mev))), SPACING, 100.0)
    assert shared.cell_energy.shape[0] == 0
    assert shared.coefficients.shape == (3, 0)
