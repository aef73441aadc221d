"""S-values of a stylised adult, or of a patient's own CT and regions, from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..images.geometry import VolumeGeometry
from ..images.readers import read_volume
from ..images.regions import Region, read_label_map
from ..images.volume import QuantitativeVolume
from ..media import schneider_2000
from ..nuclides import Radionuclide
from ..organ_dose.decay_fate import FateMatrix, chain_s_values, read_fates
from ..organ_dose.patient import DEFAULT_HISTORIES, grid_with_spacing, patient_s_values
from ..organ_dose.s_value_table import SValueTable
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import file_identity
from ..units import Quantity
from .dose import read_regions, regions_on_grid

PHANTOMS = ("adult-male", "adult-female")
"""Stylised adults with S-values."""

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class PatientOptions:
    """How S-values of a patient are computed.

    Attributes
    ----------
    expressions
        Further regions: name to label names joined by + and -.
    spacing_mm
        Voxel size of the simulation [mm]; the grid of the label image (of the CT for RTSTRUCT and SEG) if None.
    remainder
        Add the body without all regions as a region.
    histories, seed, device, secondaries
        See `patient_s_values`.
    clamp_hu
        Take CT numbers out of all range as air and as the densest bone instead of refusing them.
    fates
        Which daughters of a chain leave which regions; in place if None.
    """

    expressions: Mapping[str, str] = field(default_factory=dict)
    spacing_mm: float | None = None
    remainder: bool = False
    histories: int = DEFAULT_HISTORIES
    seed: int = 1
    device: str = "cpu"
    secondaries: str = "local"
    clamp_hu: bool = False
    fates: FateMatrix | None = None


def phantom_s_value_table(
    nuclide: Radionuclide | str,
    phantom: str,
    organ_masses_g: Mapping[str, float] | None = None,
    fates: FateMatrix | None = None,
) -> SValueTable:
    """S-values of a stylised adult.

    Parameters
    ----------
    nuclide, organ_masses_g
        See `phantom_s_values`.
    phantom
        One of `PHANTOMS`.
    fates
        Which daughters of a chain leave which organs; in place if None.

    Raises
    ------
    InputError
        The phantom is unknown, or a fate or mass cannot be used.
    RegionError
        An organ of a fate or mass is unknown to the phantom.
    UnknownNuclideError
        The nuclide is not in the dataset.
    """
    from ..organ_dose.s_values import phantom_s_values

    if phantom not in PHANTOMS:
        raise InputError(f"Phantom '{phantom}' is unknown; expected one of: {', '.join(PHANTOMS)}.")
    if fates is None:
        return phantom_s_values(nuclide, phantom, organ_masses_g)
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    members = _members(nuclide)
    tables = {member: phantom_s_values(member, phantom, organ_masses_g, include_progeny=False) for member in members}
    return chain_s_values(nuclide, tables, fates)[0]


def patient_s_value_table(
    nuclide: Radionuclide | str,
    ct_path: Path,
    labels_path: Path,
    label_names_path: Path | None = None,
    options: PatientOptions | None = None,
    progress: Progress | None = None,
) -> SValueTable:
    """S-values of a patient from a CT and a segmentation.

    Parameters
    ----------
    nuclide
        The radionuclide, or its name.
    ct_path
        CT in HU, a file or a DICOM folder.
    labels_path, label_names_path
        Label image with the names of its labels (CSV `label,name`), or an RTSTRUCT or SEG file.
    options
        Settings; see `PatientOptions`.
    progress
        Told the share of the work done.

    Returns
    -------
    SValueTable
        See `patient_s_values`; the record also names the files.

    Raises
    ------
    FileFormatError, GeometryMismatchError, RegionError, UnitError
        An input cannot be used.
    InputError, UnknownNuclideError, DeviceError, CancelledError
        As `patient_s_values` and `chain_s_values`.
    """
    options = options or PatientOptions()
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    report_progress(progress, 0.0, "Reading CT and regions")
    ct = read_volume(Path(ct_path), Quantity.CT_NUMBER)
    geometry, regions = _regions(ct, Path(labels_path), label_names_path, options)
    work = PartialProgress(progress, 0.02, 1.0)
    if options.fates is None:
        table = _simulated(ct, regions, geometry, nuclide, options, True, work)
    else:
        table = _chain(ct, regions, geometry, nuclide, options, options.fates, work)
    inputs = {"ct": dict(ct.record.inputs) or file_identity(Path(ct_path)), "labels": file_identity(Path(labels_path))}
    if label_names_path is not None:
        inputs["label_names"] = file_identity(Path(label_names_path))
    return replace(table, record=table.record.with_inputs(**inputs))


def read_fate_file(path: Path | None) -> FateMatrix | None:
    """The fate matrix of a file, None without one."""
    return None if path is None else read_fates(path)


def _regions(
    ct: QuantitativeVolume, labels_path: Path, names_path: Path | None, options: PatientOptions
) -> tuple[VolumeGeometry, Sequence[Region]]:
    """The grid of the simulation and the regions on it."""
    label_map = None
    if labels_path.suffix.lower() not in _DICOM_SUFFIXES:
        label_map = read_label_map(labels_path, names_path)
    geometry = ct.geometry if label_map is None else label_map.geometry
    if options.spacing_mm is not None:
        geometry = grid_with_spacing(geometry, options.spacing_mm)
    if label_map is not None:
        return geometry, regions_on_grid(label_map, geometry, options.expressions)
    regions, _ = read_regions(labels_path, names_path, geometry, options.expressions)
    return geometry, regions


def _simulated(
    ct: QuantitativeVolume,
    regions: Sequence[Region],
    geometry: VolumeGeometry,
    nuclide: Radionuclide,
    options: PatientOptions,
    include_progeny: bool,
    progress: Progress,
) -> SValueTable:
    return patient_s_values(
        ct,
        regions,
        nuclide,
        options.histories,
        options.seed,
        progress,
        geometry=geometry,
        remainder=options.remainder,
        include_progeny=include_progeny,
        secondaries=options.secondaries,
        device=options.device,
        conversion=schneider_2000().with_clamped_hu() if options.clamp_hu else None,
    )


def _chain(
    ct: QuantitativeVolume,
    regions: Sequence[Region],
    geometry: VolumeGeometry,
    nuclide: Radionuclide,
    options: PatientOptions,
    fates: FateMatrix,
    progress: Progress,
) -> SValueTable:
    """S-values of each member of the chain by itself, joined as the daughters move."""
    members = _members(nuclide)
    tables = {}
    for index, member in enumerate(members):
        part = PartialProgress(progress, index / len(members), (index + 1) / len(members))
        own = replace(options, seed=_seed_of_member(options.seed, index))
        tables[member] = _simulated(ct, regions, geometry, Radionuclide(member), own, False, part)
    return chain_s_values(nuclide, tables, fates)[0]


def _seed_of_member(seed: int, index: int) -> int:
    """Random numbers of its own for every member, whose errors then are independent; the parent keeps the seed."""
    return seed if index == 0 else int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint32)[0])


def _members(nuclide: Radionuclide) -> list[str]:
    """The nuclide and the progeny it takes along."""
    return [nuclide.name, *(name for name, _ in nuclide.progeny)]
