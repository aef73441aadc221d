"""DICOM's codes for regions by their names: SNOMED CT for organs and lesions, with their side."""

from __future__ import annotations

import re
from dataclasses import dataclass

Code = tuple[str, str, str]
"""Value, scheme, meaning."""

_STRUCTURE: Code = ("123037004", "SCT", "Anatomical structure")
_ABNORMAL: Code = ("49755003", "SCT", "Morphologically abnormal structure")
_LESION: Code = ("52988006", "SCT", "Lesion")
_SIDES: dict[str, Code] = {"left": ("7771000", "SCT", "Left"), "right": ("24028007", "SCT", "Right")}

_ORGANS: dict[str, Code] = {
    "liver": ("10200004", "SCT", "Liver"),
    "spleen": ("78961009", "SCT", "Spleen"),
    "kidney": ("64033007", "SCT", "Kidney"),
    "lung": ("39607008", "SCT", "Lung"),
    "pancreas": ("15776009", "SCT", "Pancreas"),
    "heart": ("80891009", "SCT", "Heart"),
    "stomach": ("69695003", "SCT", "Stomach"),
    "thyroid": ("69748006", "SCT", "Thyroid gland"),
    "prostate": ("41216001", "SCT", "Prostate"),
    "bladder": ("89837001", "SCT", "Urinary bladder"),
    "parotid": ("45289007", "SCT", "Parotid gland"),
    "salivary": ("385294005", "SCT", "Salivary gland"),
    "adrenal": ("23451007", "SCT", "Adrenal gland"),
    "brain": ("12738006", "SCT", "Brain"),
    "marrow": ("14016003", "SCT", "Bone marrow"),
    "bone": ("272673000", "SCT", "Bone"),
    "vertebra": ("51282000", "SCT", "Vertebra"),
    "muscle": ("71616004", "SCT", "Skeletal and/or smooth muscle"),
    "body": ("123037004", "SCT", "Anatomical structure"),
}
"""Word in a region's name to the organ."""

_LESION_WORDS = ("tumour", "tumor", "lesion", "metastasis", "metastases", "met", "gtv", "node", "cyst")


@dataclass(frozen=True)
class RegionTerms:
    """Codes of a region.

    Attributes
    ----------
    category, kind
        Segmented property category and type.
    side
        Left or right; None where the name does not say.
    """

    category: Code
    kind: Code
    side: Code | None = None


def terms_of(name: str) -> RegionTerms:
    """Codes of a region by the words of its name; what is not known is an anatomical structure."""
    words = [re.sub(r"\d+$", "", word) for word in re.split(r"[\W_]+", name.lower()) if word]
    side = next((_SIDES[word] for word in words if word in _SIDES), None)
    if any(word in _LESION_WORDS for word in words):
        return RegionTerms(_ABNORMAL, _LESION, side)
    singular = {word.removesuffix("s") for word in words} | set(words)
    organ = next((code for word, code in _ORGANS.items() if word in singular), _STRUCTURE)
    return RegionTerms(_STRUCTURE, organ, side)
