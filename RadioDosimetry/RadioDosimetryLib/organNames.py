"""Which organ of `organ_dose` a segment is, from its name or its terminology.

Understood are the names of the organs themselves, the class names of TotalSegmentator (Wasserthal et al., Radiol Artif
Intell 5 (2023) e230024, doi:10.1148/ryai.230024), what people write ("Left Kidney", "kidney_L", "Lt lung"), and the
type that Slicer's terminology gives a segment. Left and right, and the lobes of the lungs, are one organ. Lesions,
cysts, vessels and bones are none: the phantoms' bone sources are layers and volumes inside bone, not bones.
"""

from __future__ import annotations

import re

_ORGAN_OF_NAME = {
    "adrenal": "adrenals",
    "adrenals": "adrenals",
    "bladder": "bladder_contents",
    "urinary_bladder": "bladder_contents",
    "bladder_contents": "bladder_contents",
    "urinary_bladder_contents": "bladder_contents",
    "bladder_wall": "urinary_bladder_wall",
    "urinary_bladder_wall": "urinary_bladder_wall",
    "body": "total_body",
    "body_extremities": None,
    "body_trunc": None,
    "total_body": "total_body",
    "whole_body": "total_body",
    "bone_marrow": "red_marrow",
    "red_bone_marrow": "red_marrow",
    "red_marrow": "red_marrow",
    "marrow": "red_marrow",
    "brain": "brain",
    "breast": "breasts",
    "breasts": "breasts",
    "cortical_bone_surface": "cortical_bone_surface",
    "cortical_bone_volume": "cortical_bone_volume",
    "trabecular_bone_surface": "trabecular_bone_surface",
    "trabecular_bone_volume": "trabecular_bone_volume",
    "duodenum": "small_intestine",
    "small_bowel": "small_intestine",
    "small_intestine": "small_intestine",
    "small_intestine_contents": "small_intestine_contents",
    "gallbladder": "gallbladder_contents",
    "gall_bladder": "gallbladder_contents",
    "gallbladder_contents": "gallbladder_contents",
    "gallbladder_wall": "gallbladder_wall",
    "heart": "heart_contents",
    "heart_contents": "heart_contents",
    "heart_atrium": "heart_contents",
    "heart_ventricle": "heart_contents",
    "heart_myocardium": "heart_wall",
    "heart_wall": "heart_wall",
    "myocardium": "heart_wall",
    "kidney": "kidneys",
    "kidneys": "kidneys",
    "liver": "liver",
    "lli_contents": "lli_contents",
    "lli_wall": "lli_wall",
    "lower_large_intestine_contents": "lli_contents",
    "lower_large_intestine_wall": "lli_wall",
    "rectosigmoid": "lli_contents",
    "uli_contents": "uli_contents",
    "uli_wall": "uli_wall",
    "upper_large_intestine_contents": "uli_contents",
    "upper_large_intestine_wall": "uli_wall",
    "lung": "lungs",
    "lungs": "lungs",
    "autochthon": "muscle",
    "gluteus_maximus": "muscle",
    "gluteus_medius": "muscle",
    "gluteus_minimus": "muscle",
    "iliopsoas": "muscle",
    "muscle": "muscle",
    "muscles": "muscle",
    "skeletal_muscle": "muscle",
    "osteogenic_cells": "osteogenic_cells",
    "ovaries": "ovaries",
    "ovary": "ovaries",
    "pancreas": "pancreas",
    "remainder": "remainder_of_body",
    "remainder_of_body": "remainder_of_body",
    "remainder_body": "remainder_of_body",
    "rest_of_body": "remainder_of_body",
    "skin": "skin",
    "spleen": "spleen",
    "stomach": "stomach_contents",
    "stomach_contents": "stomach_contents",
    "stomach_wall": "stomach_wall",
    "testes": "testes",
    "testicle": "testes",
    "testicles": "testes",
    "testis": "testes",
    "thymus": "thymus",
    "thyroid": "thyroid",
    "uterus": "uterus",
}
"""Name without side, lobe and "gland" to the organ as a source. What has a wall and contents (bladder, gallbladder,
stomach, heart) is taken as its contents, as OLINDA/EXM offers them as sources; the panels show that name."""

_NO_ORGAN = re.compile(
    r"tumou?r|lesion|metasta|cyst|vessel|vein|vena|artery|nodule|cancer|carcinoma|implant|effusion|infiltrate|"
    r"(^|_)(mets?|node|nodes|ptv|gtv|ctv|roi|voi)(_|\d|$)"
)
_SIDE_OR_PART = frozenset(
    {"left", "right", "lt", "rt", "l", "r", "both", "bilateral", "lobe", "lobes", "upper", "middle", "lower"}
    | {"gland", "glands", "whole", "total", "normal", "healthy", "organ", "of"}
)


def organOf(segmentName: str, terminology: str | None = None) -> str | None:
    """The organ of `organ_dose` that a segment is as a source of activity.

    Parameters
    ----------
    segmentName
        Name of the segment; comes first.
    terminology
        Value of the segment's terminology tag, used where the name says nothing; None if it has none.

    Returns
    -------
    str or None
        Name of the organ; None for what is no organ of the phantoms, or could be several (the colon).
    """
    for text in (segmentName, _typeOf(terminology)):
        name = _plain(text)
        if name:
            if _NO_ORGAN.search(name):
                return None
            if name in _ORGAN_OF_NAME:
                return _ORGAN_OF_NAME[name]
            reduced = "_".join(word for word in name.split("_") if word not in _SIDE_OR_PART)
            if reduced in _ORGAN_OF_NAME:
                return _ORGAN_OF_NAME[reduced]
    return None


def organOfSegment(segment) -> str | None:
    """`organOf` of a vtkSegment: its name, then its terminology tag."""
    import vtk

    found = vtk.mutable("")
    hasTag = segment.GetTag(segment.GetTerminologyEntryTagName(), found)
    return organOf(segment.GetName(), str(found) if hasTag else None)


def _plain(text: str) -> str:
    """Lower case, words joined by underscores, without what stands in parentheses; "KidneyLeft" is "kidney_left"."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", re.sub(r"\(.*?\)", " ", text))
    return re.sub(r"[^a-z0-9]+", "_", separated.lower()).strip("_")


def _typeOf(terminology: str | None) -> str:
    """Meaning of the type in a terminology entry: context~category~type~modifier~…, each code^scheme^meaning."""
    parts = (terminology or "").split("~")
    return parts[2].split("^")[2] if len(parts) > 2 and parts[2].count("^") >= 2 else ""
