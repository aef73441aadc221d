"""An anatomy from a patient's own CT and label map: names understood, lungs and bone found where unlabelled."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import RegionError, UnitError
from ..images.body import body_mask
from ..images.geometry import require_same_grid
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity
from .patient import LESION_PREFIX, REMAINDER, Anatomy

CORTICAL_HU = 300.0
"""From this CT number on, a labelled bone counts as cortical; below it as marrow, where it holds red marrow."""

BONE_HU = 180.0
"""What is denser and unlabelled counts as bone."""

LUNG_HU = (-950.0, -500.0)
"""CT numbers of lung; gas of the bowel is thinner, and small."""

_LUNG_ML = 150.0
"""Smaller pieces are not taken for lungs."""

_BONE_ML = 2.0
"""Smaller pieces of dense tissue are left alone: calcium, clips, contrast medium."""

_RULES = (
    # what a name holds (after plain spelling), the region it is
    (r"^(tumou?r|lesion|metastas[ie]s|met|nodule)_*\d*$|^.*_(tumou?r|lesion)_*\d*$", "lesion"),
    (r"^(kidney_left|left_kidney)$", "left_kidney"),
    (r"^(kidney_right|right_kidney)$", "right_kidney"),
    (r"^kidneys?$", "kidneys"),
    (r"^lung_.*left$|^left_lung$|^lung_left$", "left_lung"),
    (r"^lung_.*right$|^right_lung$|^lung_right$", "right_lung"),
    (r"^lungs?$", "lungs"),
    (r"^(vertebra|sacrum|hip_|sternum|spine|marrow|red_marrow|pelvis|scapula|clavicula).*$", "marrow-bearing"),
    (r"^(rib_|femur|humerus|skull|bone|cortical_bone|skeleton).*$", "bone"),
    (r"^(aorta|inferior_vena_cava|superior_vena_cava|portal_vein.*|iliac_.*|pulmonary_(vein|artery).*|brachiocephalic_.*|"
     r"common_carotid.*|subclavian_.*|blood_pool|blood_vessels)$", "blood_vessels"),
    (r"^heart(_contents)?$|^heart_(atrium|ventricle).*$|^atrial_appendage.*$", "heart_contents"),
    (r"^heart_(wall|myocardium)$|^myocardium$", "heart_wall"),
    (r"^(urinary_)?bladder(_contents)?$", "urinary_bladder_contents"),
    (r"^gall_?bladder(_contents)?$", "gallbladder_contents"),
    (r"^adrenal.*$", "adrenals"),
    (r"^(small_bowel|small_intestine|duodenum)$", "small_intestine"),
    (r"^(colon|large_bowel|large_intestine)$", "colon"),
    (r"^thyroid.*$", "thyroid"),
    (r"^(healthy_)?liver$", "liver"),
    (r"^(spleen|pancreas|stomach)$", ""),
    (r"^(body|skin|remainder|trunc|trunk|background|gluteus.*|autochthon.*|iliopsoas.*|costal_cartilages|spinal_cord|"
     r"muscle|fat|prostate|uterus|trachea|esophagus|oesophagus|subcutaneous.*|torso_fat|skeletal_muscle)$", REMAINDER),
)  # fmt: skip
"""Names as this project, TotalSegmentator and hand-drawn label maps have them."""


def anatomy_from_labels(
    ct: QuantitativeVolume, labels: LabelMap, sex: str | None = None, body_mass_kg: float | None = None
) -> Anatomy:
    """A virtual patient with the anatomy of a real CT.

    Names are understood as this project and TotalSegmentator spell them; lung lobes, vertebrae and vessels are joined.
    Labelled bone is split into cortex and marrow at `CORTICAL_HU`. Where no lung or no bone is labelled, they are
    found by their CT numbers. What has no kinetics of its own keeps its name and takes up what the remainder takes up.

    Parameters
    ----------
    ct
        CT numbers [HU].
    labels
        Regions on the grid of the CT.
    sex, body_mass_kg
        Of the patient, where known.

    Returns
    -------
    Anatomy
        Source "ct:" and the first 12 digits of the SHA-256 of the CT's voxels: the same CT is the same patient,
        whatever its file is called.

    Raises
    ------
    UnitError
        The volume is not a CT.
    GeometryMismatchError
        The grids differ.
    RegionError
        No label has a voxel inside the body, or the CT has no body.
    """
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(f"An anatomy needs CT numbers, found {ct.quantity.value}.")
    require_same_grid(ct.geometry, labels.geometry, "The CT", "the labels")
    body = body_mask(ct)
    body |= (labels.array_kji > 0) & ndimage.binary_dilation(body, iterations=2)
    masks, renamed, warnings = _named_masks(ct, labels, body)
    if not masks:
        raise RegionError("No label has a voxel inside the body; check that labels and CT belong together.")
    warnings += _find_unlabelled(ct, body, masks)
    names = [*(name for name in masks if not name.startswith(LESION_PREFIX)),
             *(name for name in masks if name.startswith(LESION_PREFIX))]  # fmt: skip
    labels_kji = np.where(body, len(names) + 1, 0).astype(np.int32)
    for label, name in enumerate(names, start=1):
        labels_kji[masks[name]] = label  # lesions come last and take their place from their organs
    sites = {name: _site(masks, name) for name in names if name.startswith(LESION_PREFIX)}
    digest = hashlib.sha256(np.ascontiguousarray(ct.array_kji, dtype=np.float32).tobytes()).hexdigest()
    parameters: dict[str, object] = {"regions_of_labels": renamed, "lesion_sites": sites}
    if body_mass_kg is not None:
        parameters["body_mass_kg"] = float(body_mass_kg)
    record = Record("anatomy of a labelled CT", parameters, {"ct_sha256": digest}, warnings=tuple(warnings))
    present = set(np.unique(labels_kji).tolist())
    kept = {label: name for label, name in enumerate([*names, REMAINDER], start=1) if label in present}
    return Anatomy(ct, LabelMap(labels_kji, ct.geometry, kept, record), f"ct:{digest[:12]}", sex, record)


def region_of_label(name: str) -> str:
    """What a label means here: a region, "lesion", "bone", "marrow-bearing", or its name in plain spelling."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    for pattern, region in _RULES:
        if re.fullmatch(pattern, plain):
            return region or plain
    return plain


def _named_masks(
    ct: QuantitativeVolume, labels: LabelMap, body: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, str], list[str]]:
    """Masks by region, what each label became, and names that say nothing here."""
    masks: dict[str, NDArray[np.bool_]] = {}
    renamed: dict[str, str] = {}
    own_names: list[str] = []
    dense = ct.array_kji >= CORTICAL_HU
    lesions = 0

    def add(region: str, mask: NDArray[np.bool_]) -> None:
        if mask.any():
            masks[region] = masks[region] | mask if region in masks else mask

    for name in labels.names.values():
        mask = labels.mask(name) & body
        if not mask.any():
            continue
        region = region_of_label(name)
        if region == "lesion":
            lesions += 1
            region = f"{LESION_PREFIX}{lesions}"
        renamed[name] = region
        if region == REMAINDER:
            continue
        if region in ("marrow-bearing", "bone"):
            add("cortical_bone", mask & dense if region == "marrow-bearing" else mask)
            if region == "marrow-bearing":
                add("red_marrow", mask & ~dense)
                renamed[name] = "red_marrow"
            else:
                renamed[name] = "cortical_bone"
            continue
        if region not in masks and region == re.sub(r"[^a-z0-9]+", "_", name.strip().lower()) and _is_unknown(region):
            own_names.append(region)
        add(region, mask)
    warnings = []
    if own_names:
        warnings.append(
            f"No kinetics are known for {', '.join(own_names)}: each keeps its name and takes up what the remainder "
            f"does."
        )
    return masks, renamed, warnings


def _is_unknown(plain: str) -> bool:
    return not any(re.fullmatch(pattern, plain) for pattern, _ in _RULES)


def _find_unlabelled(ct: QuantitativeVolume, body: NDArray[np.bool_], masks: dict[str, NDArray[np.bool_]]) -> list[str]:
    """Add lungs and bone by CT number where no label has them; what was added, in words."""
    taken = np.zeros(body.shape, dtype=bool)
    for mask in masks.values():
        taken |= mask
    voxel_ml = ct.geometry.voxel_volume_ml
    found: list[str] = []
    if not {"lungs", "left_lung", "right_lung"} & set(masks):
        inner = ndimage.binary_erosion(body, iterations=2)
        lung = inner & ~taken & (ct.array_kji > LUNG_HU[0]) & (ct.array_kji < LUNG_HU[1])
        lung = ndimage.binary_closing(_large_pieces(lung, _LUNG_ML / voxel_ml), iterations=1) & body & ~taken
        if lung.any():
            masks["lungs"] = lung
            found.append("lungs")
    if not {"cortical_bone", "red_marrow"} & set(masks):
        dense = body & ~taken & (ct.array_kji >= BONE_HU)
        dense = _large_pieces(dense, _BONE_ML / voxel_ml)
        if dense.any():
            # Marrow is what the shells of dense bone enclose.
            filled = ndimage.binary_closing(dense, iterations=2)
            filled = np.stack([ndimage.binary_fill_holes(plane) for plane in filled]) & body & ~taken
            masks["cortical_bone"] = dense & (ct.array_kji >= CORTICAL_HU)
            masks["red_marrow"] = filled & ~masks["cortical_bone"] & (ct.array_kji > -150)
            found.extend(name for name in ("cortical_bone", "red_marrow") if masks[name].any())
            for name in ("cortical_bone", "red_marrow"):
                if not masks[name].any():
                    del masks[name]
    return [f"Not labelled and found by CT number: {', '.join(found)}."] if found else []


def _large_pieces(mask: NDArray[np.bool_], least_voxels: float) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(pieces.ravel())
    large = sizes >= least_voxels
    large[0] = False
    return np.asarray(large[pieces])


def _site(masks: dict[str, NDArray[np.bool_]], lesion: str) -> str:
    """What lies around a lesion, by the largest share of the voxels next to it."""
    around = ndimage.binary_dilation(masks[lesion], iterations=2) & ~masks[lesion]
    bone = {"cortical_bone", "red_marrow"}
    lung = {"lungs", "left_lung", "right_lung"}
    shares = {
        "liver": np.count_nonzero(masks["liver"] & around) if "liver" in masks else 0,
        "bone": sum(int(np.count_nonzero(masks[name] & around)) for name in bone & set(masks)),
        "lung": sum(int(np.count_nonzero(masks[name] & around)) for name in lung & set(masks)),
    }
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.3 * max(int(np.count_nonzero(around)), 1) else "soft tissue"
