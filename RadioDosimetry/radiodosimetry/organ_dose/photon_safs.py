"""Photon specific absorbed fractions of the stylised adults, made by this project's Monte Carlo and stored.

A specific absorbed fraction (SAF) is the share of the energy emitted as photons in a source region that a target
region absorbs, per mass of the target [1/kg]. Electrons set free by photons stay where they are (kerma), as in
ORNL/TM-8381 [1]_, whose geometry the phantoms have. The tables hold 10 keV to 3 MeV, where the cross-sections end.

Red marrow is not a region of its own: its photon dose is taken from the kerma of soft tissue in the photon field of
each bone, so every region has that second SAF too (`soft_tissue_saf_per_kg`); it is the SAF itself in soft tissue.

What a region gives another and what it is given by it are, per mass of soft tissue, nearly the same (reciprocal dose
principle [2]_): small distant targets of a large source borrow the statistics of the opposite direction, as the
report's do. A value with good statistics of its own stays as it is.

References
----------
.. [1] M. Cristy, K. F. Eckerman, Specific absorbed fractions of energy at various ages from internal photon sources,
   ORNL/TM-8381, Oak Ridge National Laboratory (1987).
.. [2] M. Cristy, Applicability of the reciprocal dose principle to internal and external-internal dosimetry,
   Phys Med Biol 28 (1983) 1289.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..errors import FileFormatError, InputError, RegionError
from .phantom import PHANTOM_NAMES, stylised_phantom

Floats = NDArray[np.float64]

SAF_DATA = "photon_safs"
"""Folder of the tables under `data`."""

SURFACE_REGIONS = ("skin", "breasts")
"""Regions that lack the scatter of a body around them: the reciprocal dose principle holds less well for them."""

ALIKE_STD = 0.03
"""Relative standard deviation of the reciprocal dose principle between regions of one tissue within the body: what both
directions differ by beyond statistics in these tables. Added to the statistics of a value borrowed from the opposite
direction."""

UNLIKE_STD = 0.15
"""The same between soft tissue, bone and lung, where bone absorbs at 40 to 100 keV what it scatters, and for
`SURFACE_REGIONS`."""

NO_SCORE_STD = 1.0
"""Relative standard deviation where no photon arrived."""


SMALLEST_SAF_PER_KG = 1e-30
"""Where a zero is put on a logarithmic scale."""


@dataclass(frozen=True, eq=False)
class PhotonSafTable:
    """Specific absorbed fractions of one phantom. All arrays are read-only.

    Attributes
    ----------
    phantom
        Name of the phantom.
    energies_kev
        Photon energies [keV], ascending, shape (e,).
    targets, sources
        Names of regions.
    saf_per_kg
        Specific absorbed fractions [1/kg], shape (target, source, energy).
    relative_std
        Their relative standard deviations (1σ), same shape; `NO_SCORE_STD` where the SAF is zero.
    soft_tissue_saf_per_kg, soft_tissue_relative_std
        The same for soft tissue in the photon field of each target: kerma of a little soft tissue there.
    masses_kg
        Mass of each target in the Monte Carlo [kg], shape (target,).
    histories
        Photons followed per source and energy, shape (source, energy).
    """

    phantom: str
    energies_kev: Floats
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    saf_per_kg: Floats
    relative_std: Floats
    soft_tissue_saf_per_kg: Floats
    soft_tissue_relative_std: Floats
    masses_kg: Floats
    histories: NDArray[np.int64]

    def __post_init__(self) -> None:
        shape = (len(self.targets), len(self.sources), len(self.energies_kev))
        for name in ("saf_per_kg", "relative_std", "soft_tissue_saf_per_kg", "soft_tissue_relative_std"):
            array = getattr(self, name)
            if array.shape != shape:
                raise InputError(f"Found {name} of shape {array.shape}; expected {shape} (target, source, energy).")
            if not np.isfinite(array).all() or (array < 0).any():
                raise InputError(f"Found a negative number or none in {name}; expected finite numbers from 0 up.")
            array.setflags(write=False)
        if len(self.energies_kev) < 2 or (np.diff(self.energies_kev) <= 0).any() or self.energies_kev[0] <= 0:
            raise InputError("The energies of a SAF table must be positive and ascend; expected two or more in keV.")
        if self.masses_kg.shape != shape[:1] or not (self.masses_kg > 0).all():
            raise InputError(f"Found masses of shape {self.masses_kg.shape}; expected {shape[:1]} positive ones in kg.")

    def at(self, energies_kev: NDArray[np.floating] | float) -> Floats:
        """SAFs at any energies up to the end of the table.

        The logarithm of the SAF is a monotone cubic (PCHIP [1]_) of the logarithm of the energy, as SAFs rise over
        decades below 50 keV and fall by powers of the energy above 100 keV. Leaving out one energy at a time, it misses
        SAFs above 100 keV by 1.3 to 1.8 % (statistics included); straight lines in SAF and energy, as in OLINDA/EXM 1,
        miss them by 2 to 6 %. A cell that ends in a zero is interpolated linearly. Below the table everything stays in
        the source.

        Parameters
        ----------
        energies_kev
            Photon energies [keV], shape (n,), or one.

        Returns
        -------
        numpy.ndarray
            SAFs [1/kg], shape (target, source, n).

        Raises
        ------
        InputError
            An energy is not positive or above the table.

        References
        ----------
        .. [1] F. N. Fritsch, J. Butland, A method for constructing local monotone piecewise cubic interpolants,
           SIAM J Sci Stat Comput 5 (1984) 300, doi:10.1137/0905021.
        """
        return self._with_local_source(self.saf_per_kg, self._own_curves, energies_kev)

    def soft_tissue_at(self, energies_kev: NDArray[np.floating] | float) -> Floats:
        """`at` for soft tissue in the photon field of each target [1/kg], shape (target, source, n).

        Raises
        ------
        InputError
            An energy is not positive or above the table.
        """
        return self._with_local_source(self.soft_tissue_saf_per_kg, self._soft_tissue_curves, energies_kev)

    def relative_std_at(self, energies_kev: NDArray[np.floating] | float) -> Floats:
        """Relative standard deviations (1σ) of `at`, shape (target, source, n); zero below the table.

        Raises
        ------
        InputError
            An energy is not positive or above the table.
        """
        energy = self._checked_energies(energies_kev)
        low, share = self._cells(energy)
        near, far = self.relative_std[..., low] * (1 - share), self.relative_std[..., low + 1] * share
        return np.where(energy < self.energies_kev[0], 0.0, np.hypot(near, far))

    def target_index(self, name: str) -> int:
        """Index of a target.

        Raises
        ------
        RegionError
            There is no such target.
        """
        return _index_of(name, self.targets, "target", self.phantom)

    def source_index(self, name: str) -> int:
        """Index of a source.

        Raises
        ------
        RegionError
            There is no such source.
        """
        return _index_of(name, self.sources, "source", self.phantom)

    @cached_property
    def _own_curves(self) -> PchipInterpolator:
        return _log_curves(self.energies_kev, self.saf_per_kg)

    @cached_property
    def _soft_tissue_curves(self) -> PchipInterpolator:
        return _log_curves(self.energies_kev, self.soft_tissue_saf_per_kg)

    def _with_local_source(
        self, table: Floats, log_curves: PchipInterpolator, energies_kev: NDArray[np.floating] | float
    ) -> Floats:
        energy = self._checked_energies(energies_kev)
        low, _ = self._cells(energy)
        near, far = table[..., low], table[..., low + 1]
        straight = self._linear_share(energy, low)
        curved = np.exp(log_curves(np.log(np.clip(energy, *self.energies_kev[[0, -1]]))))
        result = np.where((near > 0) & (far > 0), curved, (1 - straight) * near + straight * far)
        below = energy < self.energies_kev[0]
        result[..., below] = self._all_in_the_source()[..., None]
        return result

    def _all_in_the_source(self) -> Floats:
        same = np.array([[target == source for source in self.sources] for target in self.targets], dtype=np.float64)
        return same / self.masses_kg[:, None]

    def _checked_energies(self, energies_kev: NDArray[np.floating] | float) -> Floats:
        energy = np.atleast_1d(np.asarray(energies_kev, dtype=np.float64))
        highest = self.energies_kev[-1]
        if energy.ndim != 1 or not np.all((energy > 0) & (energy <= highest * (1 + 1e-9))):
            raise InputError(
                f"Found photon energies {_span(energy)}; the SAFs of {self.phantom} reach from above 0 to "
                f"{highest:g} keV. Leave out photons of higher energy and say how much energy they carry."
            )
        return energy

    def _cells(self, energy: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Cell of each energy and its place within, from 0 to 1 in the logarithm."""
        nodes = np.log(self.energies_kev)
        position = np.clip(np.log(energy), nodes[0], nodes[-1])
        low = np.clip(np.searchsorted(nodes, position, side="right") - 1, 0, len(nodes) - 2)
        return low, (position - nodes[low]) / (nodes[low + 1] - nodes[low])

    def _linear_share(self, energy: Floats, low: NDArray[np.intp]) -> Floats:
        nodes = self.energies_kev
        return np.clip((energy - nodes[low]) / (nodes[low + 1] - nodes[low]), 0.0, 1.0)


@cache
def load_photon_safs(phantom_name: str) -> PhotonSafTable:
    """The stored SAFs of a stylised adult, both directions of every pair combined.

    Parameters
    ----------
    phantom_name
        'adult-male' or 'adult-female'.

    Raises
    ------
    InputError
        There is no table of this phantom.
    FileFormatError
        The table cannot be read.
    """
    raw = raw_photon_safs(phantom_name)
    principle_std = _reciprocity_std(phantom_name, raw.targets)
    soft, soft_std = with_reciprocal(raw.soft_tissue_saf_per_kg, raw.soft_tissue_relative_std, principle_std)
    saf, std = _own_from_soft_tissue(raw, soft, soft_std)
    return PhotonSafTable(
        raw.phantom, raw.energies_kev, raw.targets, raw.sources, saf, std, soft, soft_std, raw.masses_kg, raw.histories
    )


@cache
def raw_photon_safs(phantom_name: str) -> PhotonSafTable:
    """The stored SAFs as the Monte Carlo gave them, each pair from photons of its own source alone.

    Raises
    ------
    InputError
        There is no table of this phantom.
    FileFormatError
        The table cannot be read.
    """
    if phantom_name not in PHANTOM_NAMES:
        raise InputError(f"There are no photon SAFs of '{phantom_name}'; expected {' or '.join(PHANTOM_NAMES)}.")
    arrays = _read_arrays(f"{phantom_name.replace('-', '_')}.npz")
    regions = tuple(str(name) for name in arrays["regions"])
    saf, std = (arrays[name].astype(np.float64) for name in ("saf_per_kg", "relative_std"))
    soft, soft_std = saf.copy(), std.copy()
    other = arrays["soft_tissue_targets"].astype(np.intp)
    soft[other], soft_std[other] = arrays["soft_tissue_saf_per_kg"], arrays["soft_tissue_relative_std"]
    return PhotonSafTable(
        phantom_name,
        arrays["energies_kev"].astype(np.float64),
        regions,
        regions,
        saf,
        std,
        soft,
        soft_std,
        arrays["masses_kg"].astype(np.float64),
        arrays["histories"].astype(np.int64),
    )


def with_reciprocal(saf_per_kg: Floats, relative_std: Floats, principle_std: Floats) -> tuple[Floats, Floats]:
    """Each SAF averaged with that of the opposite direction, by the inverse of their relative variances.

    Parameters
    ----------
    saf_per_kg
        SAFs of one medium [1/kg], shape (region, region, energy), regions in the same order on both axes.
    relative_std
        Relative standard deviations, same shape.
    principle_std
        Relative standard deviation of the opposite direction as an estimate of this one, shape (region, region).

    Returns
    -------
    tuple of numpy.ndarray
        SAFs [1/kg] and relative standard deviations, same shape. Self-SAFs do not change.
    """
    opposite = saf_per_kg.swapaxes(0, 1)
    opposite_std = np.hypot(relative_std.swapaxes(0, 1), principle_std[..., None])
    with np.errstate(divide="ignore"):
        weight = np.where(saf_per_kg > 0, 1 / np.maximum(relative_std, 1e-6) ** 2, 0.0)
        opposite_weight = np.where(opposite > 0, 1 / opposite_std**2, 0.0)
    own = np.eye(len(saf_per_kg), dtype=bool)
    weight[own], opposite_weight[own] = 1 / np.maximum(relative_std[own], 1e-6) ** 2, 0.0
    total = weight + opposite_weight
    seen = total > 0
    safe = np.where(seen, total, 1.0)
    saf = (weight * saf_per_kg + opposite_weight * opposite) / safe
    return saf, np.where(seen, np.minimum(1 / np.sqrt(safe), NO_SCORE_STD), NO_SCORE_STD)


def _reciprocity_std(phantom_name: str, regions: tuple[str, ...]) -> Floats:
    """How well the reciprocal dose principle holds between any two regions, shape (region, region)."""
    body = stylised_phantom(phantom_name)
    kinds = np.array(["surface" if name in SURFACE_REGIONS else body.tissue_of(name) for name in regions])
    alike = (kinds[:, None] == kinds) & (kinds != "surface")
    return np.where(alike, ALIKE_STD, UNLIKE_STD)


def _own_from_soft_tissue(raw: PhotonSafTable, soft: Floats, soft_std: Floats) -> tuple[Floats, Floats]:
    """SAFs from those of soft tissue: times the ratio of both that the Monte Carlo found in the target.

    Where no photon of a source arrived, it is the ratio for all sources together: it hardly depends on the source.
    """
    for_all = raw.saf_per_kg.sum(axis=1, keepdims=True) / raw.soft_tissue_saf_per_kg.sum(axis=1, keepdims=True)
    arrived = (raw.soft_tissue_saf_per_kg > 0) & (raw.saf_per_kg > 0)
    ratio = np.where(arrived, raw.saf_per_kg / np.where(arrived, raw.soft_tissue_saf_per_kg, 1.0), for_all)
    return soft * ratio, soft_std


def _log_curves(energies_kev: Floats, saf_per_kg: Floats) -> PchipInterpolator:
    """ln SAF over ln E; a zero stands far below all else and does not bend the cells beyond the next."""
    return PchipInterpolator(np.log(energies_kev), np.log(np.maximum(saf_per_kg, SMALLEST_SAF_PER_KG)), axis=-1)


def _read_arrays(file_name: str) -> Mapping[str, NDArray[Any]]:
    table = files(__package__).joinpath("data", SAF_DATA, file_name)
    try:
        with table.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(
            f"The table '{file_name}' cannot be read ({error}); expected in the installed package. Reinstall it."
        ) from None


def _index_of(name: str, known: tuple[str, ...], role: str, phantom: str) -> int:
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=4, cutoff=0.4) or known
        raise RegionError(f"The SAFs of {phantom} have no {role} '{name}'. Nearest known: {', '.join(nearest)}.")
    return known.index(name)


def _span(energy: Floats) -> str:
    return f"from {energy.min():.6g} to {energy.max():.6g} keV" if energy.size else "of none"
