"""What the voxels of a volume node hold: the node's coded quantity and unit, and the core's `Quantity`.

Slicer shows coded entries in the Data Probe and in Segment Statistics and keeps them in scene files alone
(`.mrml`, `.mrb`), not in image files; the items of a sequence lose them, so that an attribute of the node says the same
for them. Codes are those of DICOM PS3.16 where it has one; quantities without a standard
code carry the private scheme `PRIVATE_SCHEME`. Units are UCUM's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import slicer

if TYPE_CHECKING:
    from radiodosimetry.units import Quantity

PRIVATE_SCHEME = "99RADDOSE"
"""Coding scheme of the quantities that DICOM has no code for."""

DOSE_VOLUME_ATTRIBUTE = "DicomRtImport.DoseVolume"
"""SlicerRT's mark of a dose volume: its modules list the nodes on which it is "1"."""

QUANTITY_ATTRIBUTE = "RadioDosimetry.Quantity"
"""Node attribute with the core's names of quantity and unit, "absorbed_dose [Gy]"; counts where no code is left."""


class Code(NamedTuple):
    """Value, coding scheme and meaning, as in DICOM."""

    value: str
    scheme: str
    meaning: str


_QUANTITY_CODES = {
    "ct_number": Code("112031", "DCM", "Attenuation Coefficient"),
    "mass_density": Code("DENSITY", PRIVATE_SCHEME, "Mass density"),
    "activity_concentration": Code("110821", "DCM", "Nuclear Medicine Tomographic Activity"),
    "time_integrated_activity_concentration": Code("TIA", PRIVATE_SCHEME, "Time-integrated activity concentration"),
    "absorbed_dose": Code("128513", "DCM", "Absorbed Dose"),
    "absorbed_dose_rate": Code("DOSERATE", PRIVATE_SCHEME, "Absorbed dose rate"),
    "voxel_s_value": Code("SVALUE", PRIVATE_SCHEME, "Voxel S-value"),
    "absorbed_dose_per_particle": Code("DOSEPERPARTICLE", PRIVATE_SCHEME, "Absorbed dose per particle"),
    "counts": Code("COUNTS", PRIVATE_SCHEME, "Counts"),
    "label": Code("LABEL", PRIVATE_SCHEME, "Label"),
    "relative_uncertainty": Code("RELUNCERTAINTY", PRIVATE_SCHEME, "Relative standard uncertainty"),
    "dimensionless": Code("RATIO", PRIVATE_SCHEME, "Ratio"),
}
"""Name of each quantity of the core to its code; values have at most 16 characters, as DICOM's."""

_UCUM_OF_UNIT = {
    "HU": ("[hnsf'U]", "Hounsfield unit"),
    "g/cm3": ("g/cm3", "g/cm3"),
    "g/mL": ("g/ml", "g/mL"),
    "kg/m3": ("kg/m3", "kg/m3"),
    "Bq/mL": ("Bq/ml", "Becquerels/milliliter"),
    "kBq/mL": ("kBq/ml", "kBq/mL"),
    "MBq/mL": ("MBq/ml", "MBq/mL"),
    "Bq/cm3": ("Bq/cm3", "Bq/cm3"),
    "Bq/L": ("Bq/l", "Bq/L"),
    "Bq s/mL": ("Bq.s/ml", "Bq s/mL"),
    "MBq s/mL": ("MBq.s/ml", "MBq s/mL"),
    "Bq h/mL": ("Bq.h/ml", "Bq h/mL"),
    "kBq h/mL": ("kBq.h/ml", "kBq h/mL"),
    "MBq h/mL": ("MBq.h/ml", "MBq h/mL"),
    "Gy": ("Gy", "Gy"),
    "mGy": ("mGy", "mGy"),
    "cGy": ("cGy", "cGy"),
    "Gy/s": ("Gy/s", "Gy/s"),
    "mGy/s": ("mGy/s", "mGy/s"),
    "Gy/h": ("Gy/h", "Gy/h"),
    "mGy/h": ("mGy/h", "mGy/h"),
    "Gy/(Bq s)": ("Gy/(Bq.s)", "Gy/(Bq s)"),
    "mGy/(MBq s)": ("mGy/(MBq.s)", "mGy/(MBq s)"),
    "counts": ("{counts}", "counts"),
    "1": ("1", "no units"),
    "%": ("%", "%"),
}
"""Units of the core to UCUM's code and its meaning."""

_ACTIVITY_UNITS = frozenset({"Bq/mL", "kBq/mL", "MBq/mL", "Bq/cm3", "Bq/L"})

_UNIT_OF_UCUM = {code: unit for unit, (code, _) in _UCUM_OF_UNIT.items()}


def codedEntries(quantity: Quantity, unit: str | None = None) -> tuple[Code, Code]:
    """Codes of a quantity and of its unit.

    Parameters
    ----------
    quantity
        What the voxels hold.
    unit
        A unit of it; the core's if None.

    Raises
    ------
    UnitError
        `unit` is not a unit of `quantity`.
    """
    from radiodosimetry.units import factor_to_core_unit

    unit = quantity.unit if unit is None else unit
    factor_to_core_unit(quantity, unit)
    code, meaning = _UCUM_OF_UNIT[unit]
    return _QUANTITY_CODES[quantity.value], Code(code, "UCUM", meaning)


def setQuantity(node, quantity: Quantity, unit: str | None = None) -> None:
    """Mark a volume node with its quantity and unit (the core's if None); dose volumes get SlicerRT's mark too."""
    quantityCode, unitCode = codedEntries(quantity, unit)
    node.SetVoxelValueQuantity(_entry(quantityCode))
    node.SetVoxelValueUnits(_entry(unitCode))
    node.SetAttribute(QUANTITY_ATTRIBUTE, f"{quantity.value} [{unit or quantity.unit}]")
    if quantity.value == "absorbed_dose":
        node.SetAttribute(DOSE_VOLUME_ATTRIBUTE, "1")
    else:
        node.RemoveAttribute(DOSE_VOLUME_ATTRIBUTE)


def quantityOf(node) -> Quantity | None:
    """What the voxels of a volume node hold; None if the node does not say, or says what the core does not know.

    Coded entries come first. Without them our own attribute counts, then SlicerRT's mark of a dose volume as absorbed
    dose, and a unit that only one quantity has (Hounsfield units, Bq/mL) as that quantity.
    """
    from radiodosimetry.units import Quantity

    if hasCodedQuantity(node):
        entry = node.GetVoxelValueQuantity()
        for name, code in _QUANTITY_CODES.items():
            if (entry.GetCodeValue(), entry.GetCodingSchemeDesignator()) == (code.value, code.scheme):
                return _contradicted(Quantity(name), unitOf(node))
        return None
    if not _hasCodedUnit(node) and _attributeParts(node)[0] is not None:
        return Quantity(_attributeParts(node)[0])
    if node.GetAttribute(DOSE_VOLUME_ATTRIBUTE) == "1":
        return Quantity.ABSORBED_DOSE
    unit = unitOf(node)
    if unit == "HU":
        return Quantity.CT_NUMBER
    if unit in _ACTIVITY_UNITS:
        return Quantity.ACTIVITY_CONCENTRATION
    return None


def unitOf(node) -> str | None:
    """The core's name of a volume node's unit; None if the node has none or the core does not know it."""
    if not _hasCodedUnit(node):
        return None if hasCodedQuantity(node) else _attributeParts(node)[1]
    code = node.GetVoxelValueUnits().GetCodeValue().replace("mL", "ml").replace("/cc", "/ml")
    return _UNIT_OF_UCUM.get(code)


def hasCodedQuantity(node) -> bool:
    """Whether a volume node has a code for its quantity."""
    entry = node.GetVoxelValueQuantity()
    return entry is not None and bool(entry.GetCodeValue())


def describeQuantity(node) -> str:
    """What a volume node says of its voxels, in words for a message: "Absorbed Dose [Gy]", or "no quantity"."""
    quantity, unit = node.GetVoxelValueQuantity(), node.GetVoxelValueUnits()
    words = quantity.GetCodeMeaning() if quantity is not None else None
    if unit is not None and unit.GetCodeValue():
        return f"{words or 'values'} [{unit.GetCodeValue()}]"
    return words or "no quantity"


def _contradicted(quantity: Quantity, unit: str | None) -> Quantity | None:
    """The quantity, or None where the node's unit is not one of it (an SUV marked as activity)."""
    from radiodosimetry.errors import UnitError
    from radiodosimetry.units import factor_to_core_unit

    try:
        if unit is not None:
            factor_to_core_unit(quantity, unit)
    except UnitError:
        return None
    return quantity


def _hasCodedUnit(node) -> bool:
    entry = node.GetVoxelValueUnits()
    return entry is not None and bool(entry.GetCodeValue())


def _attributeParts(node) -> tuple[str | None, str | None]:
    """Quantity and unit of our own attribute, None for what it does not say."""
    name, _, rest = (node.GetAttribute(QUANTITY_ATTRIBUTE) or "").partition(" [")
    unit = rest.removesuffix("]")
    return (name, unit) if name in _QUANTITY_CODES and unit in _UCUM_OF_UNIT else (None, None)


def _entry(code: Code):
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(*code)
    return entry
