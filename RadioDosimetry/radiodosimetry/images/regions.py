"""Regions of a patient: label maps with names, and expressions such as `liver-tumour1-tumour2` over them."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, RegionError
from ..provenance import Record
from ..units import Quantity
from .atomic import OutputTransaction
from .file_checks import check_file
from .geometry import VolumeGeometry
from .readers import read_volume
from .volume import QuantitativeVolume
from .writers import write_volume

LARGEST_LABEL = 2**31 - 1
"""Labels are held as int32, which every file format here can store."""

_BACKGROUND = 0


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A volume of whole numbers, each with a name; 0 is the background.

    Attributes
    ----------
    array_kji
        Labels, int32, shape (k, j, i). Read-only.
    geometry
        Where the voxels lie.
    names
        Name of each label. Labels of the array without a name are called `label_<number>`; a name may belong
        to a label that the array lacks (`regions_of` then refuses).
    record
        How the label map came to be.
    """

    array_kji: NDArray[Any]
    geometry: VolumeGeometry
    names: Mapping[int, str] = field(default_factory=dict)
    record: Record = field(default_factory=lambda: Record("given as an array"))

    def __post_init__(self) -> None:
        array = _whole_numbers(np.asarray(self.array_kji))
        if array.shape != self.geometry.shape_kji:
            raise InputError(f"The labels have shape {array.shape}, their geometry says {self.geometry.shape_kji}.")
        array.setflags(write=False)
        present = [int(label) for label in np.unique(array) if label != _BACKGROUND]
        names = {int(label): str(name).strip() for label, name in self.names.items() if int(label) != _BACKGROUND}
        _check_names(names)
        for label in present:
            names.setdefault(label, f"label_{label}")
        _check_names(names)
        object.__setattr__(self, "array_kji", array)
        object.__setattr__(self, "names", MappingProxyType(dict(sorted(names.items()))))

    @property
    def absent(self) -> tuple[str, ...]:
        """Names whose label has no voxel."""
        present = set(np.unique(self.array_kji).tolist())
        return tuple(name for label, name in self.names.items() if label not in present)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Where the label of this name is, shape (k, j, i).

        Raises
        ------
        RegionError
            No label has this name.
        """
        for label, known in self.names.items():
            if known == name:
                return np.asarray(self.array_kji == label)
        raise _unknown_name(name, list(self.names.values()))


@dataclass(frozen=True, eq=False)
class Region:
    """Some voxels of a grid under one name. Regions may overlap.

    Attributes
    ----------
    name
        Name in tables.
    mask_kji
        Which voxels belong to it, bool, shape (k, j, i), at least one. Read-only.
    expression
        What it was made of: a label's name, or names joined by + and -.
    """

    name: str
    mask_kji: NDArray[np.bool_]
    expression: str

    def __post_init__(self) -> None:
        mask = np.asarray(self.mask_kji)
        if mask.dtype != bool or mask.ndim != 3:
            raise InputError(f"The mask of region '{self.name}' must be a bool array (k, j, i), found {mask.dtype}.")
        if not self.name.strip():
            raise RegionError("A region needs a name; found an empty one.")
        if not mask.any():
            raise RegionError(
                f"Region '{self.name}' ({self.expression}) has no voxel; correct its labels or leave it out."
            )
        view = mask.view()
        view.setflags(write=False)
        object.__setattr__(self, "mask_kji", view)

    @property
    def voxel_count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask_kji))


def read_label_map(path: Path, names_csv: Path | None = None) -> LabelMap:
    """A label map from an image file, with names from a CSV.

    Parameters
    ----------
    path
        NIfTI, NRRD or MetaImage file of whole numbers.
    names_csv
        Table with the columns `label` and `name` (more are ignored); see `read_label_names`.

    Raises
    ------
    FileFormatError
        A file is missing or cannot be read.
    RegionError
        Labels are not whole numbers from 0, or a label or name appears twice.
    """
    path = Path(path)
    volume = read_volume(path, Quantity.LABEL)
    names = read_label_names(Path(names_csv)) if names_csv is not None else {}
    try:
        return LabelMap(volume.array_kji, volume.geometry, names, volume.record)
    except RegionError as error:
        raise RegionError(f"{path} cannot be used as labels: {error}") from error


def write_label_map(
    label_map: LabelMap, path: Path, names_csv: Path, transaction: OutputTransaction | None = None
) -> None:
    """Write labels as an image (with sidecar) and their names as a CSV `label,name`; all appear, or nothing.

    Raises
    ------
    OutputError
        A file could not be written.
    """
    if transaction is None:
        with OutputTransaction() as own:
            write_label_map(label_map, path, names_csv, own)
        return
    volume = QuantitativeVolume(label_map.array_kji, label_map.geometry, Quantity.LABEL, None, label_map.record)
    write_volume(volume, path, transaction)
    lines = [f'{label},"{name.replace(chr(34), chr(34) * 2)}"\n' for label, name in label_map.names.items()]
    transaction.write_text(Path(names_csv), "label,name\n" + "".join(lines))


def read_label_names(path: Path) -> dict[int, str]:
    """Names of labels from a CSV with the columns `label` and `name`, in any order, among any others.

    A byte-order mark, Windows line ends, blank lines, capitals in the header and semicolons instead of commas are
    accepted. Label 0, the background, is left out.

    Raises
    ------
    FileFormatError
        The file is missing or cannot be read, or a column is missing.
    RegionError
        A label is not a whole number, appears twice, has no name, or shares its name with another.
    """
    path = Path(path)
    check_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        separator = ";" if ";" in text.split("\n", 1)[0] else ","
        rows = list(csv.reader(text.splitlines(), delimiter=separator))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path} cannot be read as a CSV table: {error}.") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "label" not in header or "name" not in header:
        raise FileFormatError(f"{path} must have the columns label and name, found: {', '.join(header) or 'none'}.")
    names: dict[int, str] = {}
    for line, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            label, name = _label_and_name(row, header, f"Line {line} of {path}")
            if label in names:
                raise RegionError(f"Line {line} of {path} names label {label} a second time; keep one line per label.")
            names[label] = name
    names.pop(_BACKGROUND, None)
    _check_names(names)
    return names


def regions_of(
    label_map: LabelMap, expressions: Mapping[str, str] = MappingProxyType({}), skip_absent: bool = False
) -> list[Region]:
    """One region per label, then one per expression.

    Parameters
    ----------
    label_map
        Labels and names.
    expressions
        Name of each further region to its expression over label names (and names of earlier expressions), with +
        (union) and - (difference), from left to right: `{"healthy_liver": "liver-tumour1-tumour2"}`. Where
        names hold + or - themselves, the longest known name wins: with a label `left-kidney`, `body-left-kidney`
        is the body without it; spaces around the sign part names: `left - kidney`.
    skip_absent
        Leave out names whose label has no voxel instead of refusing.

    Raises
    ------
    RegionError
        A label has no voxel, an expression cannot be read, names something unknown, or selects no voxel, or its
        name is taken.
    """
    absent = label_map.absent
    if absent and not skip_absent:
        raise RegionError(
            f"No voxel carries the label of: {', '.join(absent)}. Correct the label map, or remove the names."
        )
    regions = [
        Region(name, np.asarray(label_map.array_kji == label), name)
        for label, name in label_map.names.items()
        if name not in absent
    ]
    masks = {region.name: region.mask_kji for region in regions}
    for name, expression in expressions.items():
        if name in masks:
            raise RegionError(f"The name '{name}' of the region {expression} is taken; choose another.")
        region = Region(name, evaluate_expression(expression, masks), expression)
        regions.append(region)
        masks[name] = region.mask_kji
    return regions


def label_map_of(regions: Sequence[Region], geometry: VolumeGeometry, record: Record | None = None) -> LabelMap:
    """Regions of one grid as labels 1, 2, … in their order; a voxel of several belongs to the smallest of them.

    A lesion that lies in an organ is thus a region of its own, and the organ what is left of it. Regions that smaller
    ones cover wholly are left out, with a warning in the record.

    Parameters
    ----------
    regions
        Masks of the grid's shape, each with a name of its own.
    geometry
        The grid.
    record
        How the regions came to be.

    Raises
    ------
    InputError
        A region lies on another grid.
    RegionError
        Two have one name.
    """
    labels = np.zeros(geometry.shape_kji, np.int32)
    names = {label: region.name for label, region in enumerate(regions, start=1)}
    _check_names(names)
    for label in sorted(names, key=lambda label: -regions[label - 1].voxel_count):
        mask = regions[label - 1].mask_kji
        if mask.shape != labels.shape:
            raise InputError(
                f"Region '{names[label]}' has the shape {mask.shape}, expected {labels.shape}; draw it on this grid."
            )
        labels[mask] = label
    kept = {label: name for label, name in names.items() if (labels == label).any()}
    record = record or Record("regions as labels")
    covered = [name for label, name in names.items() if label not in kept]
    if covered:
        record = record.with_warnings(f"Left out, since smaller regions cover them wholly: {', '.join(covered)}.")
    return LabelMap(labels, geometry, kept, record)


def evaluate_expression(expression: str, masks: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The voxels an expression such as `liver-tumour1+spleen` selects, from left to right.

    Raises
    ------
    RegionError
        The expression cannot be read or names something that `masks` lacks.
    """
    first, *others = parse_expression(expression, list(masks))
    selected = np.array(masks[first[1]])
    for sign, name in others:
        if sign == "+":
            selected |= masks[name]
        else:
            selected &= ~masks[name]
    return selected


def parse_expression(expression: str, known: list[str]) -> list[tuple[str, str]]:
    """Signs and names of an expression, in order; the first sign is always +.

    Raises
    ------
    RegionError
        The expression is empty, ends with a sign, or holds an unknown name (the nearest known ones are offered).
    """
    terms: list[tuple[str, str]] = []
    rest, sign = expression.strip(), "+"
    if not rest:
        raise RegionError("A region expression is empty; expected label names joined by + and -.")
    while True:
        name = _longest_name(rest, known)
        if name is None:
            raise _unknown_name(_first_word(rest), known, expression)
        terms.append((sign, name))
        rest = rest[len(name) :].lstrip()
        if not rest:
            return terms
        sign, rest = rest[0], rest[1:].lstrip()


def split_region_option(text: str) -> tuple[str, str]:
    """`NAME=EXPR` as (name, expression).

    Raises
    ------
    RegionError
        There is no = or one side of it is empty.
    """
    name, equals, expression = text.partition("=")
    if not equals or not name.strip() or not expression.strip():
        raise RegionError(f"Found region '{text}', expected NAME=EXPR, as healthy_liver=liver-tumour1-tumour2.")
    return name.strip(), expression.strip()


def _longest_name(text: str, known: list[str]) -> str | None:
    """The longest known name that `text` starts with and that a sign or the end follows."""
    fitting = [
        name
        for name in known
        if text.startswith(name) and (not (after := text[len(name) :].lstrip()) or after[0] in "+-")
    ]
    return max(fitting, key=len, default=None)


def _first_word(text: str) -> str:
    for index, character in enumerate(text):
        if character in "+-" and index:
            return text[:index].strip()
    return text.strip()


def _unknown_name(name: str, known: list[str], expression: str | None = None) -> RegionError:
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:8]
    where = f" in '{expression}'" if expression else ""
    if not name:
        return RegionError(f"A name is missing{where}: expected label names joined by + and -.")
    return RegionError(f"No region is called '{name}'{where}. Nearest known: {', '.join(nearest) or 'none'}.")


def _whole_numbers(array: NDArray[Any]) -> NDArray[np.int32]:
    """The array as int32 labels, copied."""
    if array.dtype.kind not in "fiub":
        raise InputError(f"Labels are whole numbers, found an array of type {array.dtype}.")
    if array.size and (array.min() < 0 or array.max() > LARGEST_LABEL):
        raise RegionError(f"Labels go from 0 to {LARGEST_LABEL}, found {array.min()} to {array.max()}.")
    if array.dtype.kind == "f":
        broken = np.flatnonzero(array != np.round(array))
        if broken.size:
            raise RegionError(
                f"Labels must be whole numbers, found {array.flat[broken[0]]:.6g} ({broken.size} such voxels); "
                "a label map must be resampled by label, not interpolated."
            )
    return array.astype(np.int32)


def _label_and_name(row: list[str], header: list[str], where: str) -> tuple[int, str]:
    label_text, name = (
        row[header.index(column)].strip() if header.index(column) < len(row) else "" for column in ("label", "name")
    )
    try:
        label = float(label_text)
    except ValueError:
        label = np.nan
    if not (label == np.round(label) and 0 <= label <= LARGEST_LABEL):
        raise RegionError(f"{where} has the label '{label_text}'; expected a whole number from 0 to {LARGEST_LABEL}.")
    if not name and label != _BACKGROUND:
        raise RegionError(f"{where} has no name for label {int(label)}; name it or remove the line.")
    return int(label), name


def _check_names(names: Mapping[int, str]) -> None:
    seen: dict[str, int] = {}
    for label, name in names.items():
        if not 0 <= label <= LARGEST_LABEL or not name:
            raise RegionError(f"Label {label} is called '{name}'; expected a whole number from 1 and a name.")
        if name in seen:
            raise RegionError(f"Labels {seen[name]} and {label} are both called '{name}'; give each its own name.")
        seen[name] = label
