"""From CT numbers to mass density and tissue, as Schneider et al. 2000 found by stoichiometric calibration.

Density follows a curve of points with straight lines between; composition changes in steps. Both can be
a site's own: `SchneiderConversion.from_csv` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError
from .data_tables import Columns, columns_of, read_package_table
from .elements import known_elements
from .materials import HIGHEST_DENSITY_G_PER_CM3, Material

Floats = NDArray[np.float64]

LOWEST_HU = -1050.0
"""Below lies no tissue: padding (-1024, -2000, -3024 by maker), which becomes air."""

DENSEST_BONE_HU = 1640.0
"""Above lies no bone: teeth, contrast medium and metal."""

HIGHEST_HU = 3095.0
"""Above lies no number of a 12-bit CT (4095 stored, with an intercept of -1024 or -1000): an extended scale, which
only metal needs, or no HU at all."""

LOWEST_PADDING_HU = -3100.0
"""Below lies no padding that scanners are known to write (-1024, -2000, -2048, -3024, -3072)."""

TITANIUM_HU = 2300.0
"""From here a voxel may be taken as titanium, on request."""

ABSURD_HU = 31000.0
"""No scanner writes more (extended CT scales end at 30710): the image is not in HU."""

SOFT_TISSUE_DENSITY_G_PER_CM3 = 1.04
"""Density of the soft tissue of MIRD Pamphlet 17 and of the published voxel kernels."""

AIR_MEAN_EXCITATION_ENERGY_EV = 85.7
"""Dry air as a gas (ICRU Report 37); the additivity rule for liquids and solids does not hold for it."""

TITANIUM_DENSITY_G_PER_CM3 = 4.54
"""Density of the metal (NIST)."""


@dataclass(frozen=True, eq=False)
class SchneiderConversion:
    """A calibration from CT number to density and tissue.

    Attributes
    ----------
    hu_points, density_g_per_cm3_points
        The density curve: straight lines between, constant outside.
    tissue_from_hu
        Lowest CT number of each tissue, ascending; each holds up to the next, the first and last without end.
    tissues
        The tissues, in the same order.
    titanium_from_hu
        CT number from which a voxel is titanium; None (default) leaves it the last tissue.
    clamp_hu
        Whether CT numbers beyond `hu_limits` count as air and as the densest bone; False (default) refuses them.
    name
        What records call the calibration.

    Raises
    ------
    InputError
        Points or tissues are not ascending, differ in number, or a density is not positive.
    """

    hu_points: Floats
    density_g_per_cm3_points: Floats
    tissue_from_hu: Floats
    tissues: tuple[Material, ...]
    titanium_from_hu: float | None = None
    clamp_hu: bool = False
    name: str = "Schneider 2000"

    def __post_init__(self) -> None:
        for attribute in ("hu_points", "density_g_per_cm3_points", "tissue_from_hu"):
            array = np.array(getattr(self, attribute), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, attribute, array)
        object.__setattr__(self, "tissues", tuple(self.tissues))
        _require_density_curve(self.hu_points, self.density_g_per_cm3_points, self.name)
        _require_ascending(self.tissue_from_hu, "the tissue table", at_least=1)
        if len(self.tissues) != len(self.tissue_from_hu) or len(self.tissues) > 250:
            raise InputError(
                f"The tissue table '{self.name}' has {len(self.tissues)} tissues for {len(self.tissue_from_hu)} "
                "CT numbers; expected as many, at most 250."
            )
        if self.titanium_from_hu is not None and not self.titanium_from_hu > self.tissue_from_hu[-1]:
            raise InputError(
                f"Titanium is to begin at {self.titanium_from_hu} HU; expected more than the last tissue's "
                f"{self.tissue_from_hu[-1]:g} HU."
            )

    @property
    def media(self) -> tuple[Material, ...]:
        """The tissues, and titanium after them if it is asked for: what `tissue_index` counts in."""
        return self.tissues if self.titanium_from_hu is None else (*self.tissues, titanium())

    @property
    def hu_limits(self) -> tuple[float, float]:
        """Lowest and highest CT number [HU] that a CT to be segmented may hold.

        What lies beyond the table, but within these, is padding, teeth, contrast medium or metal on a 12-bit scale. A
        curve that goes on farther widens them; titanium takes all that is above it.
        """
        if self.clamp_hu:
            return -np.inf, ABSURD_HU
        lowest = min(LOWEST_PADDING_HU, float(self.hu_points[0]))
        return lowest, max(HIGHEST_HU, float(self.hu_points[-1])) if self.titanium_from_hu is None else ABSURD_HU

    def with_clamped_hu(self) -> SchneiderConversion:
        """The same calibration with CT numbers beyond `hu_limits` taken as air and as the densest bone."""
        return replace(self, clamp_hu=True)

    def require_hu_within_limits(self, lowest_hu: float, highest_hu: float, beyond: int, voxel_count: int) -> None:
        """Refuse a CT whose numbers are not those of a calibrated 12-bit CT.

        Parameters
        ----------
        lowest_hu, highest_hu
            Of the CT [HU].
        beyond, voxel_count
            Number of voxels beyond `hu_limits`, and of all.

        Raises
        ------
        InputError
            A voxel lies beyond the limits.
        """
        low, high = self.hu_limits
        if beyond:
            raise InputError(
                f"The CT holds {beyond} of {voxel_count} voxels outside {low:g} to {high:g} HU (found {lowest_hu:g} to "
                f"{highest_hu:g}); expected a CT in HU. Apply the rescale slope and intercept, or, if these voxels are "
                "padding or metal, have them taken as air and as the densest bone (--clamp-hu)."
            )

    def with_titanium(self, from_hu: float = TITANIUM_HU) -> SchneiderConversion:
        """The same calibration with everything from `from_hu` on taken as titanium of 4.54 g/cm³."""
        return replace(self, titanium_from_hu=from_hu)

    def density_g_per_cm3(self, hu: NDArray[Any] | float) -> Floats:
        """Mass density [g/cm³] of CT numbers [HU] of any shape.

        Raises
        ------
        InputError
            A CT number is not a number or above `ABSURD_HU`.
        """
        numbers = _checked_hu(hu)
        density: Floats = np.interp(numbers, self.hu_points, self.density_g_per_cm3_points)
        if self.titanium_from_hu is not None:
            density = np.where(numbers >= self.titanium_from_hu, TITANIUM_DENSITY_G_PER_CM3, density)
        return density

    def tissue_index(self, hu: NDArray[Any] | float) -> NDArray[np.uint8]:
        """Index into `media` of CT numbers [HU] of any shape; below the table the first (air), above it the last.

        Raises
        ------
        InputError
            A CT number is not a number or above `ABSURD_HU`.
        """
        numbers = _checked_hu(hu)
        edges = self.tissue_from_hu[1:]
        if self.titanium_from_hu is not None:
            edges = np.append(edges, self.titanium_from_hu)
        return np.searchsorted(edges, numbers, side="right").astype(np.uint8)

    def tissue_of_density(self, density_g_per_cm3: float) -> Material:
        """The tissue of the lowest CT number whose density reaches this one [g/cm³], at this density."""
        hu = np.linspace(self.hu_points[0], self.hu_points[-1], 20001)
        reached = np.flatnonzero(np.interp(hu, self.hu_points, self.density_g_per_cm3_points) >= density_g_per_cm3)
        here = hu[reached[0]] if len(reached) else hu[-1]
        index = int(np.searchsorted(self.tissue_from_hu[1:], here, side="right"))
        return self.tissues[index].with_density(density_g_per_cm3)

    def warnings_for(self, hu: NDArray[Any]) -> tuple[str, ...]:
        """What a reader must know about CT numbers outside the table."""
        numbers = np.asarray(hu)
        below = int(np.count_nonzero(numbers < LOWEST_HU))
        above = int(np.count_nonzero(numbers > DENSEST_BONE_HU))
        metal = 0 if self.titanium_from_hu is None else int(np.count_nonzero(numbers >= self.titanium_from_hu))
        return hu_warnings(below, above, metal, numbers.size, self)

    @classmethod
    def from_csv(
        cls, density_csv: Path | None = None, composition_csv: Path | None = None, titanium_from_hu: float | None = None
    ) -> SchneiderConversion:
        """A site's own calibration; what is not given is Schneider's.

        Parameters
        ----------
        density_csv
            Columns `hu,density_g_per_cm3`: points of the density curve, ascending in HU.
        composition_csv
            Columns `hu,tissue` and one per element symbol, in mass %: each tissue from its HU to the next.
        titanium_from_hu
            CT number from which voxels are titanium; None for never.

        Raises
        ------
        FileFormatError
            A file is missing, unreadable, or lacks a column.
        InputError
            Its values cannot be a calibration.
        """
        density = _read_csv(density_csv, "schneider_density", ("hu", "density_g_per_cm3"))
        tissues = _read_csv(composition_csv, "schneider_tissues", ("hu", "tissue"))
        names = [path.name for path in (density_csv, composition_csv) if path is not None]
        _require_density_curve(density["hu"], density["density_g_per_cm3"], ", ".join(names))
        return cls(
            hu_points=density["hu"],
            density_g_per_cm3_points=density["density_g_per_cm3"],
            tissue_from_hu=tissues["hu"],
            tissues=tissues_of_table(tissues, density),
            titanium_from_hu=titanium_from_hu,
            name=", ".join(names) or "Schneider 2000",
        )


@cache
def schneider_2000() -> SchneiderConversion:
    """The published calibration (DOI 10.1088/0031-9155/45/2/314)."""
    return SchneiderConversion.from_csv()


@cache
def schneider_tissues() -> tuple[Material, ...]:
    """The 24 tissues of Schneider et al. 2000, from air to the densest bone."""
    return schneider_2000().tissues


@cache
def titanium() -> Material:
    """The metal of implants, 4.54 g/cm³."""
    return Material("titanium", {"Ti": 1.0}, TITANIUM_DENSITY_G_PER_CM3)


def tissues_of_table(tissues: Columns, density: Columns) -> tuple[Material, ...]:
    """The tissues of a composition table, each with the density of the middle of its band.

    Soft tissue has 1.04 g/cm³ and air its own mean excitation energy.

    Raises
    ------
    InputError, UnknownMediumError
        A composition is not one, or holds an element without tables.
    """
    from_hu = tissues["hu"]
    middle = 0.5 * (from_hu + np.append(from_hu[1:], max(DENSEST_BONE_HU, float(from_hu[-1]))))
    densities = np.interp(middle, density["hu"], density["density_g_per_cm3"])
    symbols = [column for column in tissues if column not in ("hu", "tissue")]
    unknown = [symbol for symbol in symbols if symbol not in known_elements()]
    if unknown:
        raise InputError(
            f"The tissue table has the column(s) {', '.join(unknown)}; expected hu, tissue and element symbols out of "
            f"{', '.join(known_elements())}."
        )
    return tuple(
        _tissue(str(name), {symbol: tissues[symbol][row] / 100 for symbol in symbols}, float(densities[row]))
        for row, name in enumerate(tissues["tissue"])
    )


def _tissue(name: str, mass_fractions: Mapping[str, float], density_g_per_cm3: float) -> Material:
    if name == "air":
        return Material(name, mass_fractions, density_g_per_cm3, AIR_MEAN_EXCITATION_ENERGY_EV)
    if name == "soft-tissue":
        return Material(name, mass_fractions, SOFT_TISSUE_DENSITY_G_PER_CM3)
    return Material(name, mass_fractions, density_g_per_cm3)


def hu_warnings(
    below: int, above: int, metal: int, voxel_count: int, conversion: SchneiderConversion
) -> tuple[str, ...]:
    """Sentences about voxels below and above the table, and those taken as titanium."""
    sentences = []
    if below:
        sentences.append(
            f"{below} of {voxel_count} CT voxels lie below {LOWEST_HU:g} HU (padding outside the field of view) "
            "and were taken as air."
        )
    if above - metal:
        sentences.append(
            f"{above - metal} of {voxel_count} CT voxels lie above {DENSEST_BONE_HU:g} HU (teeth, contrast medium or "
            f"metal) and were taken as the densest bone ({conversion.tissues[-1].name})."
        )
    if metal:
        sentences.append(
            f"{metal} of {voxel_count} CT voxels from {conversion.titanium_from_hu:g} HU on were taken as titanium."
        )
    return tuple(sentences)


def _checked_hu(hu: NDArray[Any] | float) -> NDArray[Any]:
    numbers = np.asarray(hu)
    if numbers.dtype.kind not in "fiu":
        raise InputError(f"CT numbers must be real numbers in HU, found values of type {numbers.dtype}.")
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        raise InputError(
            "The CT holds voxels that are NaN or infinite; expected a CT number [HU] in every voxel. Repair it first."
        )
    if numbers.size and numbers.max() > ABSURD_HU:
        raise InputError(
            f"The CT holds a value of {numbers.max():g}; expected CT numbers up to {ABSURD_HU:g} HU. "
            "Apply the rescale slope and intercept, or check that this is a CT."
        )
    return numbers


def _require_ascending(values: Floats, what: str, at_least: int) -> None:
    if values.ndim != 1 or len(values) < at_least or not np.isfinite(values).all() or np.any(np.diff(values) <= 0):
        raise InputError(
            f"The CT numbers of {what} are {values.tolist()}; expected at least {at_least} finite, "
            "strictly ascending numbers."
        )


def _require_density_curve(hu: Floats, density_g_per_cm3: Floats, name: str) -> None:
    _require_ascending(hu, f"the density curve '{name}'", at_least=2)
    if density_g_per_cm3.shape != hu.shape or not np.all(
        (density_g_per_cm3 > 0) & (density_g_per_cm3 <= HIGHEST_DENSITY_G_PER_CM3)
    ):
        raise InputError(
            f"The density curve '{name}' has densities {density_g_per_cm3.tolist()} for {len(hu)} CT numbers; "
            "expected as many positive densities in g/cm³ (not kg/m³)."
        )


def _read_csv(path: Path | None, default: str, required: tuple[str, ...]) -> Columns:
    if path is None:
        return read_package_table(default)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"The calibration file '{path}' cannot be read ({error}); give a CSV file.") from None
    columns = columns_of(text.splitlines(), f"calibration file '{path}'")
    missing = [name for name in required if name not in columns]
    if missing:
        raise FileFormatError(
            f"The calibration file '{path}' has the columns {', '.join(columns)}; expected also {', '.join(missing)}."
        )
    words = [name for name in columns if name != "tissue" and columns[name].dtype.kind != "f"]
    if words:
        raise FileFormatError(
            f"The calibration file '{path}' holds words in the column(s) {', '.join(words)}; expected numbers."
        )
    return columns
