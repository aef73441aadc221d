"""The committed numbers of EGSnrc are the files their source describes, and those it was run to."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
from egsnrc_reference import EGSNRC_FOLDER, SPLIT_FOLDER, read_columns

FILES = sorted(path.stem for path in EGSNRC_FOLDER.glob("*.csv"))
ALL_PATHS = sorted(path for folder in (EGSNRC_FOLDER, SPLIT_FOLDER) for path in folder.glob("*.csv"))
COLUMNS = {
    "dpk": ("r_inner_cm", "r_outer_cm", "energy_in_shell_MeV_per_particle_or_decay", "rel_unc_1sigma_percent"),
    "h": ("x", "|y|max", "|z|min", "n_equivalent", "dose_Gy_per_particle_or_decay", "rel_unc_1sigma_percent"),
    "": ("i", "j", "k", "n_equivalent", "energy_MeV_per_voxel", "rel_unc_1sigma_percent"),
}


@pytest.mark.parametrize("path", ALL_PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_is_the_one_its_source_describes(path: Path) -> None:
    entries = tomllib.loads(path.with_name("SOURCE.toml").read_text(encoding="utf-8"))["table"]
    (entry,) = (entry for entry in entries if entry["file"] == path.name)
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert all(entry[key] for key in ("title", "doi", "table", "licence", "generator"))
    assert content.decode("utf-8").startswith("# ")


@pytest.mark.shared_data
@pytest.mark.parametrize("file", FILES)
def test_every_file_holds_the_numbers_of_the_run(file: str, shared_data: Path) -> None:
    with (shared_data / "reference_transport" / f"{file}.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = COLUMNS.get(file.split("_")[0], COLUMNS[""])
    for ours, name in zip(read_columns(file).values(), names, strict=True):
        assert np.array_equal(ours, [float(row[name]) for row in rows])
