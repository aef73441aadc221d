"""The projector of simulated scans: transpose, closed forms, and PyTomography's own projector."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

torch = pytest.importorskip("torch")

from radiodosimetry.errors import MissingDependencyError  # noqa: E402
from radiodosimetry.virtual_patients.gamma_camera import FWHM_PER_SIGMA  # noqa: E402
from radiodosimetry.virtual_patients.pytomography_import import pytomography_module  # noqa: E402
from radiodosimetry.virtual_patients.rotating_camera import (  # noqa: E402
    Blur,
    CameraGrid,
    RotatingCamera,
    body_radii_mm,
)

GRID = CameraGrid(32, 12, 6.0, 6.0)
SIGMA_PER_MM, SIGMA_AT_FACE_MM = 0.02, 1.5


def offsets() -> tuple[np.ndarray, np.ndarray]:
    """Distance of each pixel from the axis along x and y, in pixels."""
    line = np.arange(GRID.width) - (GRID.width - 1) / 2
    return np.meshgrid(line, line, indexing="ij")


def cylinder(radius_pixels: float) -> np.ndarray:
    x, y = offsets()
    return np.repeat((np.hypot(x, y) <= radius_pixels)[:, :, None], GRID.slices, axis=2).astype(np.float32)


def linear_blur() -> Blur:
    distances = np.arange(0.0, 500.0, 20.0)
    return Blur(distances, FWHM_PER_SIGMA * (SIGMA_PER_MM * distances + SIGMA_AT_FACE_MM))


def lopsided_object() -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.random((GRID.width, GRID.width, GRID.slices)), 1.5) * cylinder(11)
    noise[20, 10, 5] += 5
    noise[8, 18, 7] += 3
    return gaussian_filter(noise, 1.0).astype(np.float32)


def lopsided_attenuation() -> np.ndarray:
    attenuation = cylinder(12) * 0.013
    attenuation[10:14] *= 1.5
    return attenuation.astype(np.float32)


def full_camera(angles: int = 12) -> RotatingCamera:
    return RotatingCamera(
        GRID, 2 * np.pi * np.arange(angles) / angles, lopsided_attenuation(), linear_blur(), np.full(angles, 200.0)
    )


@pytest.mark.parametrize("kind", ["plain", "attenuated and blurred", "whole line"])
def test_backprojection_is_the_transpose_of_projection(kind: str) -> None:
    angles = np.linspace(0, 5, 7)
    camera = {
        "plain": lambda: RotatingCamera(GRID, angles),
        "attenuated and blurred": full_camera,
        "whole line": lambda: RotatingCamera(GRID, angles, lopsided_attenuation(), whole_line=True),
    }[kind]()
    rng = np.random.default_rng(1)
    volume = rng.random((GRID.width, GRID.width, GRID.slices)).astype(np.float32)
    projections = rng.random((len(camera.angles_rad), GRID.width, GRID.slices)).astype(np.float32)
    there = np.sum(camera.forward(volume) * projections, dtype=np.float64)
    back = np.sum(volume * camera.backward(projections), dtype=np.float64)
    assert there == pytest.approx(back, rel=1e-5)


def test_without_attenuation_every_projection_holds_the_whole_activity() -> None:
    volume = lopsided_object()
    camera = RotatingCamera(GRID, np.linspace(0, 6, 9))
    sums = camera.forward(volume).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, volume.sum(), rtol=0.01)


def test_a_source_on_the_axis_of_a_cylinder_of_water_is_attenuated_by_its_radius() -> None:
    attenuation = cylinder(10) * np.float32(0.0135)
    volume = np.zeros((GRID.width, GRID.width, GRID.slices), np.float32)
    volume[15:17, 15:17, 4:8] = 1.0
    angles = np.linspace(0, 6, 8)
    unattenuated = RotatingCamera(GRID, angles).forward(volume).sum(axis=(1, 2))
    for whole_line, radii in ((False, 1), (True, 2)):
        camera = RotatingCamera(GRID, angles, attenuation, whole_line=whole_line)
        ratio = camera.forward(volume).sum(axis=(1, 2)) / unattenuated
        expected = np.exp(-0.0135 * radii * 10 * GRID.pixel_mm)
        np.testing.assert_allclose(ratio, expected, rtol=0.02 * radii)  # each edge to a quarter of a pixel


def test_a_point_is_blurred_by_its_distance_from_the_detector() -> None:
    grid = CameraGrid(48, 33, 3.0, 3.0)
    volume = np.zeros((48, 48, 33), np.float32)
    volume[34, 24, 16] = 1.0
    angles = np.array([0.0, np.pi])
    projections = RotatingCamera(grid, angles, blur=linear_blur(), radii_mm=np.full(2, 150.0)).forward(volume)
    z_mm = (np.arange(33) - 16) * 3.0
    for projection, distance_mm in zip(projections, (150 - 31.5, 150 + 31.5), strict=True):
        along = projection.sum(axis=0)
        sigma_mm = np.sqrt(np.sum(along * z_mm**2) / along.sum())
        assert sigma_mm == pytest.approx(SIGMA_PER_MM * distance_mm + SIGMA_AT_FACE_MM, rel=0.02)


@pytest.mark.filterwarnings("ignore")
def test_pytomographys_own_projector_gives_the_same_projections() -> None:
    try:
        pytomography_module()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
        from pytomography.projectors.SPECT import SPECTSystemMatrix
        from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform
    degrees = 270.0 - 30.0 * np.arange(12)  # its angle counts from another axis, the other way round
    theirs = SPECTSystemMatrix(
        [
            SPECTAttenuationTransform(torch.from_numpy(lopsided_attenuation() * 10)),
            SPECTPSFTransform(SPECTPSFMeta((SIGMA_PER_MM, SIGMA_AT_FACE_MM / 10), min_sigmas=4)),
        ],
        [],
        SPECTObjectMeta([GRID.pixel_mm / 10] * 3, [GRID.width, GRID.width, GRID.slices]),
        SPECTProjMeta((GRID.width, GRID.slices), [GRID.pixel_mm / 10] * 2, degrees, np.full(12, 20.0)),
    )
    volume = lopsided_object()
    expected = theirs.forward(torch.from_numpy(volume)).numpy()
    found = full_camera().forward(volume)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())


def test_the_orbit_follows_the_body() -> None:
    body = np.zeros((GRID.width, GRID.width, GRID.slices), bool)
    body[6:26, 12:20, :] = True
    radii = body_radii_mm(body, GRID, np.array([0.0, np.pi / 2, np.pi]))
    np.testing.assert_allclose(radii, [60.0, 24.0, 60.0])
