# mypy: ignore-errors
"""Energy deposited around a point source in one infinite medium, in concentric shells: how point kernels are made."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ..errors import InputError
from ..media.materials import Material
from .engine import HistoryRunner, initialise_warp, upload_tables
from .scene import ANALOG, TRACK_LENGTH, Scene, Source
from .tables import medium_tables

Floats = NDArray[np.float64]
ShellSteps = Literal["linear", "logarithmic"]

BATCHES = 10

STEP_TOLERANCE = 1e-6
"""Edges may stray from equal steps by this share of one: radii are single precision."""


def simulate_shells(
    material: Material,
    particle: Literal["photon", "electron"],
    energy_mev: float,
    edges_g_per_cm2: Floats,
    histories: int,
    *,
    steps: ShellSteps,
    secondaries: Literal["scored in flight", "local", "transported"] = "local",
    cut_kev: float = 1.0,
    seed: int = 1,
) -> tuple[Floats, Floats]:
    """Energy per shell and source particle, with its standard error.

    Parameters
    ----------
    material
        The medium; its density matters only through the density effect, radii are mass thicknesses.
    particle, energy_mev
        What the source emits, isotropically. Bremsstrahlung of the source's electrons is left out.
    edges_g_per_cm2
        Outer bounds of the shells, ascending, shape (n,) with n of at least 2. The first shell starts at 0.
    histories
        Source particles.
    steps
        "linear": the bounds are 1, 2, … n times the first. "logarithmic": each is the one before times one factor.
    secondaries
        Of photons: "scored in flight" scores the expected energy transfer of scattered photons alone (what primary
        photons transfer is known in closed form); "local" and "transported" score every collision.
    cut_kev
        Photons below are absorbed on the spot, electrons below 1/50 of the source's energy or this, whichever is more.
    seed
        Names the random numbers. "local" and "transported" share their photon histories under one seed.

    Returns
    -------
    energy_mev, standard_error_mev
        Shape (n + 1,): per shell, the last entry what lies beyond the last shell.

    Raises
    ------
    InputError
        The bounds do not keep the steps.
    """
    _require_steps(edges_g_per_cm2, steps)
    initialise_warp()
    scene = _empty_scene(material, edges_g_per_cm2, steps, particle, energy_mev, cut_kev)
    scene.estimator = TRACK_LENGTH if secondaries == "scored in flight" else ANALOG
    scene.secondaries_transported = int(secondaries == "transported")
    source = Source()
    source.voxel = wp.zeros(1, dtype=wp.int32, device="cpu")
    source.voxel_cumulative = wp.array([1.0], dtype=wp.float64, device="cpu")
    source.line_kind = wp.array([0 if particle == "photon" else 1], dtype=wp.int32, device="cpu")
    source.line_energy_mev = wp.array([energy_mev], dtype=wp.float32, device="cpu")
    source.line_weight = wp.array([1.0], dtype=wp.float32, device="cpu")
    source.line_cumulative = wp.array([1.0], dtype=wp.float64, device="cpu")
    runner = HistoryRunner(
        scene, upload_tables((material,), "cpu"), source, len(edges_g_per_cm2), seed, "cpu"
    )
    per_batch = histories // BATCHES
    results = np.stack([runner.run_batch(batch, per_batch) / per_batch for batch in range(BATCHES)])
    return results.mean(axis=0), results.std(axis=0, ddof=1) / np.sqrt(BATCHES)


def _require_steps(edges: Floats, steps: ShellSteps) -> None:
    """Refuse bounds that a radius cannot be told from by one division."""
    if steps not in get_args(ShellSteps):
        raise InputError(f"Found shells in {steps} steps; expected one of {', '.join(get_args(ShellSteps))}.")
    if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or edges[0] <= 0:
        raise InputError(f"Found shells bounded by {edges.tolist()}; expected at least two positive radii.")
    if steps == "linear":
        sizes = np.diff(edges, prepend=0.0)
    else:
        sizes = np.diff(np.log(edges))
    if not (sizes > 0).all() or np.ptp(sizes) > STEP_TOLERANCE * sizes[0]:
        raise InputError(f"The bounds of the shells do not ascend in equal {steps} steps: {edges.tolist()}.")


def _empty_scene(
    material: Material, edges: Floats, steps: ShellSteps, particle: str, energy_mev: float, cut_kev: float
) -> Scene:
    scene = Scene()
    scene.density = wp.zeros(1, dtype=wp.float32, device="cpu")
    scene.medium = wp.zeros(1, dtype=wp.uint8, device="cpu")
    scene.shape_ijk = wp.vec3i(0, 0, 0)
    scene.spacing_cm = wp.vec3f(1.0, 1.0, 1.0)
    scene.outer_medium = 0
    scene.outer_density = 1.0
    scene.outer_limit_cm = float(edges[-1]) * 1.5
    attenuation = medium_tables(material).photon[:, 0]
    scene.majorant_per_cm = wp.array((attenuation * 1.00001).astype(np.float32), dtype=wp.float32, device="cpu")
    scene.photon_cut_mev = cut_kev * 1e-3
    scene.electron_cut_mev = max(cut_kev * 1e-3, energy_mev / 50)
    scene.local_range_cm = 0.0
    scene.shell_count = len(edges)
    scene.shells_logarithmic = int(steps == "logarithmic")
    measure = np.log(edges) if steps == "logarithmic" else edges
    scene.shell_step = float(measure[1] - measure[0])
    scene.shell_origin = float(measure[0] - scene.shell_step)
    return scene
