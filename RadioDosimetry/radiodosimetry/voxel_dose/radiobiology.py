"""From absorbed dose to effect: biologically effective dose and equivalent uniform dose."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FileFormatError, InputError
from ..units import SECONDS_PER_HOUR

DEFAULT_ALPHA_PER_GY = 0.35
"""Radiosensitivity assumed where none is given [1/Gy]: a convention for tumour cells with α/β near 10 Gy, not a
measurement of the patient's tissue. A result that used it says so."""

RADIOBIOLOGY_COLUMNS = ("region", "alpha_beta_gy", "repair_half_life_h", "effective_half_life_h")
"""Columns a radiobiology table must have; `alpha_per_gy` may follow."""


@dataclass(frozen=True)
class Radiobiology:
    """How a tissue answers to dose delivered at an exponentially falling rate.

    Attributes
    ----------
    alpha_beta_gy
        α/β of the linear-quadratic model [Gy].
    repair_half_life_s
        Half-life of the repair of sublethal damage [s].
    effective_half_life_s
        Half-life of the dose rate in the region, physical decay and clearance together [s].
    alpha_per_gy
        Radiosensitivity α [1/Gy].
    alpha_is_assumed
        Whether `alpha_per_gy` is the default because none was given.
    """

    alpha_beta_gy: float
    repair_half_life_s: float
    effective_half_life_s: float
    alpha_per_gy: float = DEFAULT_ALPHA_PER_GY
    alpha_is_assumed: bool = False

    def __post_init__(self) -> None:
        for name in ("alpha_beta_gy", "repair_half_life_s", "effective_half_life_s", "alpha_per_gy"):
            value = float(getattr(self, name))
            if not np.isfinite(value) or value <= 0:
                raise InputError(f"{name} must be a positive number, found {value}.")
            object.__setattr__(self, name, value)


def biologically_effective_dose_gy(dose_gy: ArrayLike, radiobiology: Radiobiology) -> NDArray[np.float64]:
    """Biologically effective dose, D·[1 + D·T_rep / ((T_rep + T_eff)·α/β)].

    Parameters
    ----------
    dose_gy
        Absorbed dose of a voxel or region [Gy], any shape.
    radiobiology
        α/β and the half-lives of repair and of the dose rate.

    Returns
    -------
    ndarray
        BED [Gy], shape of `dose_gy`.

    References
    ----------
    .. [1] Baechler et al., Extension of the biological effective dose to the MIRD schema and possible implications in
       radionuclide therapy dosimetry, Med Phys 35 (2008) 1123-1134, doi:10.1118/1.2836421.
    """
    dose = np.asarray(dose_gy, dtype=np.float64)
    repair_s, effective_s = radiobiology.repair_half_life_s, radiobiology.effective_half_life_s
    return dose * (1 + dose * repair_s / ((repair_s + effective_s) * radiobiology.alpha_beta_gy))


def equivalent_uniform_dose_gy(dose_gy: ArrayLike, alpha_per_gy: float, weights: ArrayLike | None = None) -> float:
    """Uniform dose with the mean survival of a non-uniform one, −ln⟨exp(−αD)⟩/α.

    Parameters
    ----------
    dose_gy
        Absorbed doses of the voxels [Gy], 1-D.
    alpha_per_gy
        Radiosensitivity α [1/Gy].
    weights
        Voxel masses (any unit), same shape; equal if absent.

    Returns
    -------
    float
        EUD [Gy], between the lowest and the mean dose.

    References
    ----------
    .. [1] Niemierko, Reporting and analyzing dose distributions: a concept of equivalent uniform dose, Med Phys 24
       (1997) 103-110, doi:10.1118/1.598063.
    """
    dose = np.asarray(dose_gy, dtype=np.float64).ravel()
    share = np.ones_like(dose) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    coldest = dose.min()  # taken out of the exponent, so that high doses do not underflow
    survival = np.average(np.exp(-alpha_per_gy * (dose - coldest)), weights=share)
    return float(coldest - np.log(survival) / alpha_per_gy)


def read_radiobiology(path: Path) -> dict[str, Radiobiology]:
    """Radiobiology per region from a CSV file.

    Parameters
    ----------
    path
        Columns `region,alpha_beta_gy,repair_half_life_h,effective_half_life_h` and, if known, `alpha_per_gy`
        (`DEFAULT_ALPHA_PER_GY` where absent or empty); more columns are ignored.

    Returns
    -------
    dict
        Region name to its `Radiobiology`.

    Raises
    ------
    FileFormatError
        The file is missing, lacks a column, names a region twice or holds a value that is not a positive number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"Radiobiology table '{path}' cannot be read ({error}); give a UTF-8 CSV with the columns "
            f"{','.join(RADIOBIOLOGY_COLUMNS)}."
        ) from error
    reader = csv.DictReader(text.splitlines())
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    missing = [name for name in RADIOBIOLOGY_COLUMNS if name not in header]
    if missing:
        raise FileFormatError(
            f"Radiobiology table '{path}' lacks the columns {', '.join(missing)}; found {', '.join(header) or 'none'}, "
            f"expected {','.join(RADIOBIOLOGY_COLUMNS)}."
        )
    table: dict[str, Radiobiology] = {}
    for row in reader:
        name = (row["region"] or "").strip()
        if not name:
            raise FileFormatError(f"Radiobiology table '{path}', line {reader.line_num}: the region has no name.")
        if name in table:
            raise FileFormatError(f"Radiobiology table '{path}' names region '{name}' twice; keep one row of it.")
        try:
            table[name] = _radiobiology_of_row(row)
        except (ValueError, TypeError) as error:
            raise FileFormatError(f"Radiobiology table '{path}', region '{name}': {error}") from error
    return table


def _radiobiology_of_row(row: Mapping[str, str | None]) -> Radiobiology:
    alpha = (row.get("alpha_per_gy") or "").strip()
    return Radiobiology(
        alpha_beta_gy=float(row["alpha_beta_gy"] or "nan"),
        repair_half_life_s=float(row["repair_half_life_h"] or "nan") * SECONDS_PER_HOUR,
        effective_half_life_s=float(row["effective_half_life_h"] or "nan") * SECONDS_PER_HOUR,
        alpha_per_gy=float(alpha) if alpha else DEFAULT_ALPHA_PER_GY,
        alpha_is_assumed=not alpha,
    )
