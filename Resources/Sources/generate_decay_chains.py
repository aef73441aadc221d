"""Write the table `decay_chains` of the nuclides of nuclear medicine: who decays into whom, and how often.

    pip install radioactivedecay
    python Resources/Sources/generate_decay_chains.py

The emission package `icrp107-database` has no progeny. The branching fractions of the nuclides below and of all their
radioactive progeny are read from radioactivedecay, whose decay scheme is that of ICRP-107, so that branching and
emissions belong together. The package itself is needed by this script and by a test, not at run time.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import math
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = ROOT / "RadioDosimetry" / "radiodosimetry" / "nuclides" / "data" / "decay_chains"

THERAPY = """
P-32 P-33 Sc-47 Cu-64 Cu-67 As-77 Sr-89 Sr-90 Y-90 Pd-103 Rh-105 Pd-109 Ag-111 Sn-117m I-125 I-131 Cs-131
Cs-137 Ba-131 La-140 Ba-140 Pr-142 Pr-143 Nd-140 Pm-149 Sm-153 Tb-149 Tb-161 Gd-159 Dy-165 Dy-166 Ho-166
Ho-166m Er-169 Tm-170 Yb-169 Yb-175 Lu-177 Lu-177m Re-186 Re-188 W-188 Os-191 Pt-193m Pt-195m Ir-192 Au-198
Au-199 Hg-197 Hg-197m Tl-204 At-211 Rn-211 Pb-212 Bi-212 Bi-213 Po-210 Bi-210 Pb-210 Ra-223 Ra-224 Ra-225
Ra-226 Rn-220 Rn-222 Ac-225 Ac-227 Th-226 Th-227 Th-228 Th-229 U-230 U-232 Fm-255 Er-165 Ho-161 Co-60 Ca-45
Ca-47 H-3 C-14 S-35 Na-24 K-42 K-43 Fe-59 Rb-86 Am-241 Pu-238 Pu-239 Ra-228 Ac-228 Th-232 Zr-95
"""

DIAGNOSTIC = """
C-11 N-13 O-14 O-15 F-18 Na-22 Mg-28 Sc-43 Sc-44 Sc-44m Ti-44 Ti-45 Cr-51 Mn-51 Mn-52 Mn-52m Mn-54 Fe-52 Co-55
Co-57 Co-58 Cu-60 Cu-61 Cu-62 Zn-62 Zn-63 Zn-65 Ga-66 Ga-67 Ga-68 Ge-68 As-72 Se-72 As-74 Br-75 Br-76 Br-77
Se-75 Kr-81m Rb-81 Rb-82 Sr-82 Sr-83 Sr-85 Sr-87m Y-86 Zr-86 Y-87 Y-88 Zr-88 Zr-89 Nb-90 Tc-94m Tc-95m Tc-96
Mo-99 Tc-99m Ru-97 In-110 In-111 In-113m Sn-113 In-114m In-115m Sb-119 Te-118 Sb-118 I-120 I-121 I-122 I-123
I-124 I-126 I-132 I-133 I-135 Te-132 Xe-122 Xe-127 Xe-133 Xe-133m Xe-131m Cs-129 Ce-134 La-132 La-133 La-135
Ce-139 Ce-141 Ce-144 Gd-153 Tb-152 Tb-155 Tb-156 Tm-167 Ta-178 W-178 Re-181 Re-182 Au-195 Au-195m Tl-200
Tl-201 Pb-201 Pb-203 Bi-203 Bi-205 Bi-206 Bi-207 Eu-152 Eu-154 Ba-133 Cd-109 Ba-137m Y-91 Nb-95 Ru-103 Ru-106
Tl-208
"""

MODES = {"α": "alpha", "β-": "beta-", "β+": "beta+", "EC": "EC", "β+ & EC": "beta+/EC", "IT": "IT"}

HEADER = (
    "# Decay branching fractions (dimensionless, per decay of the parent) of {parents} radionuclides; the scheme of "
    "ICRP Publication 107 as given by radioactivedecay {version}; progeny without rows of their own are stable."
)

SOURCE = """file = "decay_chains.csv"
title = "ICRP Publication 107: Nuclear decay data for dosimetric calculations, Ann ICRP 38(3), 2008"
doi = "10.1016/j.icrp.2008.10.004"
table = "decay scheme: progeny and branching fractions of the nuclides of nuclear medicine and all their progeny"
licence = "Branching fractions are facts; the ICRP-107 collection (education, research, not-for-profit) is not included"
sha256 = "{sha256}"
generator = "Resources/Sources/generate_decay_chains.py"
made_with = "radioactivedecay {version} (MIT, doi 10.21105/joss.03318), dataset {dataset}"
"""


def chain_rows(names: list[str]) -> list[tuple[str, str, str, str]]:
    """Rows (parent, progeny, branching, mode) of `names` and of everything radioactive they decay into, sorted."""
    import radioactivedecay

    rows: list[tuple[str, str, str, str]] = []
    waiting, done = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        nuclide = radioactivedecay.Nuclide(name)
        for progeny, branching, mode in zip(
            nuclide.progeny(), nuclide.branching_fractions(), nuclide.decay_modes(), strict=True
        ):
            if mode not in MODES:
                continue  # spontaneous fission has no one progeny
            rows.append((name, str(progeny), f"{branching:.8g}", MODES[mode]))
            if math.isfinite(radioactivedecay.Nuclide(progeny).half_life("s")):
                waiting.append(str(progeny))
    return sorted(rows, key=lambda row: (row[0], -float(row[2]), row[1]))


def main() -> None:
    """Write the table and its SOURCE.toml."""
    import radioactivedecay

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=DEFAULT_FOLDER, help="folder of the table")
    folder = parser.parse_args().output
    rows = chain_rows((THERAPY + " " + DIAGNOSTIC).split())
    text = io.StringIO()
    text.write(HEADER.format(parents=len({row[0] for row in rows}), version=radioactivedecay.__version__) + "\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("parent", "progeny", "branching", "mode"))
    writer.writerows(rows)
    content = text.getvalue().encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decay_chains.csv").write_bytes(content)
    source = SOURCE.format(
        version=radioactivedecay.__version__,
        dataset=radioactivedecay.DEFAULTDATA.dataset_name,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    (folder / "SOURCE.toml").write_text(source, encoding="utf-8")
    print(f"{len(rows)} rows written to {folder / 'decay_chains.csv'}")


if __name__ == "__main__":
    main()
