"""Safe access to DICOM headers: a value of the right kind, None where it is absent, or one of our errors.

pydicom converts elements when they are looked at and raises whatever a damaged value provokes. Everything that
reads headers in this package goes through these few functions, so that a bad file ends in one sentence that names
the attribute.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence

from ..errors import FileFormatError, RadioDosimetryError

MILLISECONDS_PER_SECOND = 1000.0


@contextmanager
def dicom_errors(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file provokes inside pydicom or SimpleITK into a `FileFormatError`.

    Raises
    ------
    FileFormatError
        Something else than an error of ours was raised inside the block.
    """
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", UserWarning)
            yield
    except RadioDosimetryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise FileFormatError(
            f"{path.name} cannot be used as DICOM: {reason[:300]}. Expected complete, undamaged DICOM; export it again."
        ) from error


def tag_name(keyword: str) -> str:
    """The attribute as people look it up: "Patient's Weight (0010,1030)"."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        return keyword
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def file_name(dataset: Dataset) -> str:
    """Name of the file a dataset came from, for messages."""
    name = getattr(dataset, "filename", None)
    return Path(str(name)).name if name else "the DICOM dataset"


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an attribute as pydicom converts it; None if absent or empty.

    Raises
    ------
    FileFormatError
        The stored bytes are no value of this attribute.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            value = dataset.get(keyword)
    except Exception as error:
        raise FileFormatError(
            f"{tag_name(keyword)} of {file_name(dataset)} is unreadable ({error}); expected a value of its DICOM type. "
            "Export the file again."
        ) from error
    if value is None or (isinstance(value, str | bytes | MultiValue | list) and len(value) == 0):
        return None
    return value


def text(dataset: Dataset, keyword: str) -> str | None:
    """A single text, stripped; the first of several; None if absent or blank."""
    value = value_of(dataset, keyword)
    if isinstance(value, MultiValue | list):
        value = value[0] if len(value) else None
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    stripped = str(value).strip(" \0") if value is not None else ""
    return stripped or None


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of a text attribute, stripped and in upper case; empty if absent."""
    value = value_of(dataset, keyword)
    if value is None:
        return ()
    values = value if isinstance(value, MultiValue | list) else [value]
    return tuple(str(item).strip().upper() for item in values)


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> NDArray[np.float64] | None:
    """Finite numbers, exactly `count` of them if given; None if the attribute is absent.

    Raises
    ------
    FileFormatError
        Something is not a finite number, or their count is another.
    """
    value = value_of(dataset, keyword)
    if value is None:
        return None
    try:
        values = np.atleast_1d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        values = np.array([np.nan])
    if values.ndim != 1 or not np.isfinite(values).all() or (count is not None and values.size != count):
        expected = f"{count} finite number{'s' if count != 1 else ''}" if count else "finite numbers"
        raise FileFormatError(
            f"{tag_name(keyword)} of {file_name(dataset)} is {str(value)[:80]!r}; expected {expected}. Repair the "
            "header."
        )
    return values


def number(dataset: Dataset, keyword: str) -> float | None:
    """One finite number, None if absent."""
    values = numbers(dataset, keyword, 1)
    return None if values is None else float(values[0])


def integer(dataset: Dataset, keyword: str, lowest: int = 0) -> int | None:
    """One whole number of at least `lowest`, None if absent.

    Raises
    ------
    FileFormatError
        The value is not whole or is below `lowest`.
    """
    value = number(dataset, keyword)
    if value is None:
        return None
    if value != int(value) or value < lowest:
        raise FileFormatError(
            f"{tag_name(keyword)} of {file_name(dataset)} is {value:g}; expected a whole number from {lowest} on."
        )
    return int(value)


def required_number(dataset: Dataset, keyword: str, why: str) -> float:
    """One finite number that must be there.

    Raises
    ------
    FileFormatError
        It is absent; the text says `why` it is needed.
    """
    value = number(dataset, keyword)
    if value is None:
        raise missing(dataset, keyword, why)
    return value


def required_integer(dataset: Dataset, keyword: str, lowest: int = 0) -> int:
    """One whole number that must be there and be at least `lowest`."""
    value = integer(dataset, keyword, lowest)
    if value is None:
        raise missing(dataset, keyword, "to know the size of the image")
    return value


def missing(dataset: Dataset, keyword: str, why: str) -> FileFormatError:
    """The error for an attribute that is absent or empty."""
    return FileFormatError(
        f"{tag_name(keyword)} is missing or empty in {file_name(dataset)}; it is needed {why}. "
        "Export the series again with this attribute."
    )


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty if absent.

    Raises
    ------
    FileFormatError
        The attribute is there and no sequence.
    """
    value = value_of(dataset, keyword)
    if value is None:
        return []
    if not isinstance(value, DicomSequence):
        raise FileFormatError(
            f"{tag_name(keyword)} of {file_name(dataset)} is no sequence of items. Repair the header."
        )
    return list(value)


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, None if there is none."""
    found = items(dataset, keyword)
    return found[0] if found else None


_DATE = re.compile(r"^(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})$")
_TIME = re.compile(r"^(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?$")
_DATE_TIME = re.compile(r"^(\d{8})(\d{2}\d{0,4}(?:\.\d+)?)?(?:[+\-]\d{4})?$")


def _parsed(date: str, time: str) -> datetime | None:
    date_match, time_match = _DATE.match(date), _TIME.match(time)
    if not date_match or not time_match:
        return None
    hour, minute, second, fraction = time_match.groups()
    try:
        midnight = datetime(*(int(part) for part in date_match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        return None
    try:
        return midnight + timedelta(
            hours=int(hour),
            minutes=int(minute or 0),
            seconds=int(second or 0),
            microseconds=int((fraction or "0").ljust(6, "0")),
        )
    except OverflowError:
        return None


def date_and_time(dataset: Dataset, date_keyword: str, time_keyword: str) -> datetime | None:
    """Local date and time from a DA and a TM attribute; None if either is absent.

    The forms of DICOM ("20201217", "104829.5") and of its predecessor ACR-NEMA ("1993.11.24", "09:53:00") are read.

    Raises
    ------
    FileFormatError
        Both are there and are no date and time.
    """
    date, time = text(dataset, date_keyword), text(dataset, time_keyword)
    if date is None or time is None:
        return None
    moment = _parsed(date, time)
    if moment is None:
        raise FileFormatError(
            f"{tag_name(date_keyword)} and {tag_name(time_keyword)} of {file_name(dataset)} are '{date[:40]}' and "
            f"'{time[:40]}'; expected a date YYYYMMDD and a time HHMMSS. Repair the header."
        )
    return moment


def date_time(dataset: Dataset, keyword: str) -> datetime | None:
    """Local date and time from a DT attribute (an offset from UTC is dropped); None if absent or a date only.

    Raises
    ------
    FileFormatError
        It is there and no date and time.
    """
    value = text(dataset, keyword)
    if value is None:
        return None
    match = _DATE_TIME.match(value)
    if match and match.group(2) is None:
        return None
    moment = _parsed(match.group(1), match.group(2)) if match else None
    if moment is None:
        raise FileFormatError(
            f"{tag_name(keyword)} of {file_name(dataset)} is '{value[:40]}'; expected YYYYMMDDHHMMSS. Repair the "
            "header."
        )
    return moment


def is_positive(value: float | None) -> bool:
    """Whether a number is there, finite and above zero."""
    return value is not None and math.isfinite(value) and value > 0
