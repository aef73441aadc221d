"""Quantities and their units: what a number in an array means."""

from __future__ import annotations

from enum import Enum

from .errors import UnitError


class Quantity(Enum):
    """What the voxels of a volume hold. The value is the name written into records and sidecars."""

    CT_NUMBER = "ct_number"
    MASS_DENSITY = "mass_density"
    ACTIVITY_CONCENTRATION = "activity_concentration"
    TIME_INTEGRATED_ACTIVITY_CONCENTRATION = "time_integrated_activity_concentration"
    ABSORBED_DOSE = "absorbed_dose"
    ABSORBED_DOSE_RATE = "absorbed_dose_rate"
    VOXEL_S_VALUE = "voxel_s_value"
    ABSORBED_DOSE_PER_PARTICLE = "absorbed_dose_per_particle"
    COUNTS = "counts"
    LABEL = "label"
    RELATIVE_UNCERTAINTY = "relative_uncertainty"
    DIMENSIONLESS = "dimensionless"

    @property
    def unit(self) -> str:
        """The one unit the core holds this quantity in."""
        return _CORE_UNIT[self]


_CORE_UNIT = {
    Quantity.CT_NUMBER: "HU",
    Quantity.MASS_DENSITY: "g/cm3",
    Quantity.ACTIVITY_CONCENTRATION: "Bq/mL",
    Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION: "Bq s/mL",
    Quantity.ABSORBED_DOSE: "Gy",
    Quantity.ABSORBED_DOSE_RATE: "Gy/s",
    Quantity.VOXEL_S_VALUE: "Gy/(Bq s)",
    Quantity.ABSORBED_DOSE_PER_PARTICLE: "Gy",
    Quantity.COUNTS: "counts",
    Quantity.LABEL: "1",
    Quantity.RELATIVE_UNCERTAINTY: "1",
    Quantity.DIMENSIONLESS: "1",
}

_FACTOR_TO_CORE_UNIT = {
    Quantity.CT_NUMBER: {"HU": 1.0},
    Quantity.MASS_DENSITY: {"g/cm3": 1.0, "g/mL": 1.0, "kg/m3": 1e-3},
    Quantity.ACTIVITY_CONCENTRATION: {"Bq/mL": 1.0, "kBq/mL": 1e3, "MBq/mL": 1e6, "Bq/cm3": 1.0, "Bq/L": 1e-3},
    Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION: {
        "Bq s/mL": 1.0,
        "MBq s/mL": 1e6,
        "Bq h/mL": 3600.0,
        "kBq h/mL": 3.6e6,
        "MBq h/mL": 3.6e9,
    },
    Quantity.ABSORBED_DOSE: {"Gy": 1.0, "mGy": 1e-3, "cGy": 1e-2},
    Quantity.ABSORBED_DOSE_RATE: {"Gy/s": 1.0, "mGy/s": 1e-3, "Gy/h": 1 / 3600.0, "mGy/h": 1e-3 / 3600.0},
    Quantity.VOXEL_S_VALUE: {"Gy/(Bq s)": 1.0, "mGy/(MBq s)": 1e-9},
    Quantity.ABSORBED_DOSE_PER_PARTICLE: {"Gy": 1.0},
    Quantity.COUNTS: {"counts": 1.0},
    Quantity.LABEL: {"1": 1.0},
    Quantity.RELATIVE_UNCERTAINTY: {"1": 1.0, "%": 0.01},
    Quantity.DIMENSIONLESS: {"1": 1.0},
}

JOULE_PER_MEV = 1.602176634e-13
"""Exact since the 2019 SI: the elementary charge [C] times 1e6 V."""

ELECTRON_REST_ENERGY_KEV = 510.99895
"""Rest energy of the electron, and of each annihilation quantum [keV] (CODATA 2018)."""

JOULE_PER_KEV = JOULE_PER_MEV * 1e-3

SECONDS_PER_HOUR = 3600.0

BECQUEREL_PER_MEGABECQUEREL = 1e6
"""Megabecquerels live at the edges: command line, tables, figures, DICOM of nuclear medicine."""


def factor_to_core_unit(quantity: Quantity, unit: str) -> float:
    """What to multiply a number in `unit` with to have it in the core's unit of `quantity`.

    Raises
    ------
    UnitError
        The unit is not one of this quantity's.
    """
    factors = _FACTOR_TO_CORE_UNIT[quantity]
    try:
        return factors[unit]
    except KeyError:
        known = ", ".join(factors)
        raise UnitError(f"Unit '{unit}' is not a unit of {quantity.value}; expected one of: {known}.") from None


def quantity_named(name: str) -> Quantity:
    """The quantity with this name as written in a record.

    Raises
    ------
    UnitError
        No quantity has this name.
    """
    try:
        return Quantity(name)
    except ValueError:
        known = ", ".join(quantity.value for quantity in Quantity)
        raise UnitError(f"Quantity '{name}' is unknown; expected one of: {known}.") from None
