"""Organs by segment names, and packages that have to be installed."""

from __future__ import annotations

import builtins
import sys
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402

from radiodosimetry.errors import MissingDependencyError  # noqa: E402
from radiodosimetry.organ_dose.organ_names import REMAINDER, STYLISED_TARGETS, organ_named  # noqa: E402
from radiodosimetry.workflows.s_values import phantom_s_value_table  # noqa: E402
from RadioDosimetryLib import organNames, requirements  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

TOTALSEGMENTATOR_ORGANS = {
    "spleen": "spleen",
    "kidney_right": "kidneys",
    "kidney_left": "kidneys",
    "gallbladder": "gallbladder_contents",
    "liver": "liver",
    "stomach": "stomach_contents",
    "pancreas": "pancreas",
    "adrenal_gland_right": "adrenals",
    "adrenal_gland_left": "adrenals",
    "lung_upper_lobe_left": "lungs",
    "lung_lower_lobe_left": "lungs",
    "lung_upper_lobe_right": "lungs",
    "lung_middle_lobe_right": "lungs",
    "lung_lower_lobe_right": "lungs",
    "thyroid_gland": "thyroid",
    "small_bowel": "small_intestine",
    "duodenum": "small_intestine",
    "urinary_bladder": "bladder_contents",
    "heart": "heart_contents",
    "heart_myocardium": "heart_wall",
    "heart_atrium_left": "heart_contents",
    "heart_ventricle_right": "heart_contents",
    "brain": "brain",
    "gluteus_maximus_left": "muscle",
    "autochthon_right": "muscle",
    "iliopsoas_left": "muscle",
    "skeletal_muscle": "muscle",
}
"""Classes of TotalSegmentator 2 (and of its heart and tissue tasks) that are organs of the phantoms."""

TOTALSEGMENTATOR_OTHERS = (
    "esophagus", "trachea", "colon", "prostate", "kidney_cyst_left", "kidney_cyst_right", "sacrum", "vertebrae_S1",
    "vertebrae_L1", "vertebrae_C7", "aorta", "pulmonary_vein", "brachiocephalic_trunk", "subclavian_artery_right",
    "common_carotid_artery_left", "atrial_appendage_left", "superior_vena_cava", "portal_vein_and_splenic_vein",
    "iliac_vena_left", "humerus_left", "scapula_right", "clavicula_left", "femur_left", "hip_right", "spinal_cord",
    "skull", "rib_left_1", "sternum", "costal_cartilages", "liver_vessels", "liver_tumor", "lung_vessels",
    "body_trunc", "body_extremities", "subcutaneous_fat", "torso_fat", "parotid_gland_left",
)  # fmt: skip
"""Classes that are none, or that could be several (the colon is upper and lower large intestine)."""


@pytest.mark.parametrize("name", TOTALSEGMENTATOR_ORGANS)
def test_classes_of_totalsegmentator_are_the_organs_of_the_phantoms(name: str) -> None:
    assert organNames.organOf(name) == TOTALSEGMENTATOR_ORGANS[name]


@pytest.mark.parametrize("name", TOTALSEGMENTATOR_OTHERS)
def test_classes_of_totalsegmentator_that_are_no_organ_of_the_phantoms_are_none(name: str) -> None:
    assert organNames.organOf(name) is None


@pytest.mark.parametrize(
    ("name", "organ"),
    [
        ("Left Kidney", "kidneys"), ("kidney_L", "kidneys"), ("KidneyRight", "kidneys"), ("Kidneys (both)", "kidneys"),
        ("Lt lung", "lungs"), ("healthy liver", "liver"), ("normal_liver", "liver"), ("Whole body", "total_body"),
        ("Liver lesion 2", None), ("kidney tumour", None), ("bone mets", None), ("liver metastases", None),
        ("PTV", None), ("Segment_1", None), ("", None), ("red marrow", "red_marrow"), ("Left ovary", "ovaries"),
        ("testicles", "testes"), ("Upper large intestine wall", "uli_wall"), ("rest of body", REMAINDER),
    ],
)  # fmt: skip
def test_names_that_people_write_are_understood(name: str, organ: str | None) -> None:
    assert organNames.organOf(name) == organ


@pytest.mark.parametrize("phantom", ["adult-male", "adult-female"])
def test_every_organ_is_a_source_of_the_phantoms_by_that_very_name(phantom: str) -> None:
    sources = (*phantom_s_value_table("Lu-177", phantom).sources, REMAINDER)
    for organ in set(organNames._ORGAN_OF_NAME.values()) - {None}:
        assert organ_named(organ, sources, "source") == organ


def test_every_target_of_a_phantom_is_understood_by_its_own_name() -> None:
    for target in STYLISED_TARGETS:
        assert organNames.organOf(target) == target


def test_terminology_tells_the_organ_where_the_name_does_not() -> None:
    entry = (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~"
        "SCT^64033007^Kidney~SCT^24028007^Right~Anatomic codes - DICOM master list~^^~^^"
    )
    assert organNames.organOf("Segment_3", entry) == "kidneys"
    assert organNames.organOf("spleen", entry) == "spleen"
    assert organNames.organOf("kidney tumour", entry) is None
    for broken in ("", "~~", "a~b~c", "a~b~^^~d"):
        assert organNames.organOf("Segment_3", broken) is None
    segment = slicer.vtkSegment()
    segment.SetName("Segment_3")
    assert organNames.organOfSegment(segment) is None
    segment.SetTag(segment.GetTerminologyEntryTagName(), entry)
    assert organNames.organOfSegment(segment) == "kidneys"


def test_requirements_that_are_met_ask_nobody() -> None:
    assert requirements.missingRequirements() == []
    requirements.ensureRequirements(interactive=True)


def test_missing_requirements_are_named_and_a_batch_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import slicer.packaging

    file = tmp_path / "requirements.txt"
    file.write_text("# a comment\nno-such-package-of-anybody>=3\nnumpy>=1\n\n", encoding="utf-8")
    monkeypatch.setattr(requirements, "REQUIREMENTS_FILE", file)
    assert requirements.requirementLines(file) == ["no-such-package-of-anybody>=3", "numpy>=1"]
    assert requirements.missingRequirements() == ["no-such-package-of-anybody>=3"]
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda *given, **options: pytest.fail("a batch installed"))
    with pytest.raises(MissingDependencyError, match="missing: no-such-package.*pip install no-such-package"):
        requirements.ensureRequirements(interactive=False)


def test_a_user_who_declines_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer.packaging

    def decline(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("declined by the user")

    monkeypatch.setattr(slicer.packaging, "pip_check", lambda lines: False)
    monkeypatch.setattr(slicer.packaging, "pip_ensure", decline)
    with pytest.raises(MissingDependencyError, match="were not installed \\(declined by the user\\)"):
        requirements.ensureRequirements(interactive=True)


def test_torch_comes_through_its_extension_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_torch(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "torch" or (name == "PyTorchUtils" and "PyTorchUtils" not in sys.modules):
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(MissingDependencyError, match="install the extension PyTorch in the Extensions Manager"):
        requirements.torchModule()
    asked: list[dict[str, Any]] = []

    class PyTorchUtilsLogic:
        def installTorch(self, **options: Any) -> Any:  # noqa: N802 - the extension's name
            asked.append(options)
            return None if len(asked) == 1 else "torch"

    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    with pytest.raises(MissingDependencyError, match="install it with the module PyTorch Utils"):
        requirements.torchModule(interactive=False)
    assert asked == []
    with pytest.raises(MissingDependencyError, match="agree to its installation"):
        requirements.torchModule()
    assert requirements.torchModule() == "torch"
    assert asked[0] == {"askConfirmation": True, "torchVersionRequirement": ">=2.8,<2.14"}
