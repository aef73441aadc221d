"""Fréchet distance between two sets of slices in the space of a named feature extractor.

The number depends on the extractor and on how many slices there are. It is called FID only where the features are those
of Inception v3, whose weights the user gives by path; everything else carries the name of its extractor. A distance is
reported with the number of slices and with the floor: the distance between two halves of the real slices.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, ndimage

from ..errors import FileFormatError, InputError, MissingDependencyError, extra_advice
from ..provenance import file_identity

PYRAMID_LEVELS = 4
"""Levels of the pyramid of `pyramid_features`, each half as fine as the one before."""

INCEPTION_FEATURES = 2048
"""Length of Inception v3's pooled features, which the Fréchet inception distance is defined on (Heusel 2017)."""

FLOOR_SPLITS = 10
"""Random halvings of the real slices that the floor is the mean of."""

FeatureExtractor = Callable[[NDArray[np.floating]], NDArray[np.float64]]
"""Slices (n, j, i) to features (n, f)."""


@dataclass(frozen=True)
class FrechetResult:
    """A Fréchet distance with what it must be read beside.

    Attributes
    ----------
    distance
        Squared Fréchet distance, in the squared unit of the features.
    floor
        Mean distance between two halves of the real slices: what equal distributions score with half as many slices.
    extractor
        Name of the features.
    real_count, test_count
        Slices.
    """

    distance: float
    floor: float
    extractor: str
    real_count: int
    test_count: int

    @property
    def name(self) -> str:
        """ "FID" for Inception's features, else "Fréchet distance (extractor)"."""
        return "FID" if self.extractor.startswith("Inception v3") else f"Fréchet distance ({self.extractor})"

    def as_dict(self) -> dict[str, Any]:
        """What to write into a table or JSON file."""
        return {
            "name": self.name,
            "distance": self.distance,
            "real_against_real_floor": self.floor,
            "extractor": self.extractor,
            "real_slices": self.real_count,
            "test_slices": self.test_count,
        }


def frechet_distance(first_features: ArrayLike, second_features: ArrayLike) -> float:
    """|μ1 − μ2|² + tr(C1 + C2 − 2 (C1 C2)^½) of two sets of features.

    Parameters
    ----------
    first_features, second_features
        Shape (n, f); n at least 2 in each.

    Raises
    ------
    InputError
        Another shape, or too few.

    References
    ----------
    .. [1] Heusel et al., Adv Neural Inf Process Syst 30 (2017) 6626-6637, Eq. 6.
    """
    a, b = np.asarray(first_features, dtype=np.float64), np.asarray(second_features, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(
            f"A Fréchet distance needs two sets (n, features) of at least two each, found {a.shape} and {b.shape}."
        )
    shift = a.mean(axis=0) - b.mean(axis=0)
    first, second = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    # tr (C1 C2)^½ is the sum of the square roots of the eigenvalues of the symmetric C1^½ C2 C1^½.
    root = _root(first)
    shared = np.sqrt(np.clip(linalg.eigvalsh(root @ second @ root), 0.0, None)).sum()
    return float(max(shift @ shift + np.trace(first) + np.trace(second) - 2.0 * shared, 0.0))


def compare_slices(
    real_slices: ArrayLike,
    test_slices: ArrayLike,
    extractor: FeatureExtractor | None = None,
    *,
    name: str | None = None,
    seed: int = 1,
) -> FrechetResult:
    """Fréchet distance between real and tested slices, with N and the floor.

    Parameters
    ----------
    real_slices, test_slices
        Shape (n, j, i), in one unit, at least four real and two tested.
    extractor
        Slices to features; `pyramid_features` if None.
    name
        Of the extractor, needed where one is given.
    seed
        Of the random halvings.

    Raises
    ------
    InputError
        Too few slices, or an extractor without a name.
    """
    real, test = np.asarray(real_slices), np.asarray(test_slices)
    if extractor is None:
        extractor, name = pyramid_features, PYRAMID_NAME
    if not name:
        raise InputError("A Fréchet distance says nothing without the name of its features; give the extractor's name.")
    if len(real) < 4 or len(test) < 2:
        raise InputError(f"Found {len(real)} real and {len(test)} tested slices; expected at least four and two.")
    real_features, test_features = extractor(real), extractor(test)
    generator = np.random.default_rng(seed)
    halves = []
    for _ in range(FLOOR_SPLITS):
        order = generator.permutation(len(real_features))
        middle = len(order) // 2
        halves.append(frechet_distance(real_features[order[:middle]], real_features[order[middle:]]))
    return FrechetResult(
        frechet_distance(real_features, test_features), float(np.mean(halves)), name, len(real), len(test)
    )


PYRAMID_NAME = "pyramid statistics, 20 features"
"""Name of `pyramid_features`."""


def pyramid_features(slices: NDArray[np.floating]) -> NDArray[np.float64]:
    """Features that need no trained network: intensity and texture at four scales.

    Of each level of a Gaussian pyramid the mean and the standard deviation, and of the detail that the next level lacks
    the mean absolute value, its standard deviation and the share of the detail along the rows. Nothing of them was
    learned: they see brightness, noise, blur and streaks, and not whether an organ is where it should be.

    Parameters
    ----------
    slices
        Shape (n, j, i).

    Returns
    -------
    ndarray
        Shape (n, 20), in the unit of the slices.
    """
    level = np.asarray(slices, dtype=np.float64)
    columns = []
    for _ in range(PYRAMID_LEVELS):
        smooth = ndimage.gaussian_filter(level, (0, 1.0, 1.0), mode="nearest")
        detail = level - smooth
        step = np.abs(np.diff(level, axis=2)).mean(axis=(1, 2)) if level.shape[2] > 1 else np.zeros(len(level))
        columns += [
            level.mean(axis=(1, 2)),
            level.std(axis=(1, 2)),
            np.abs(detail).mean(axis=(1, 2)),
            detail.std(axis=(1, 2)),
            step,
        ]
        level = smooth[:, ::2, ::2] if min(smooth.shape[1:]) > 1 else smooth
    return np.stack(columns, axis=1)


def inception_extractor(path: Path, device: str = "cpu") -> tuple[FeatureExtractor, str]:
    """Features of an Inception v3 that the user has as a TorchScript file.

    Parameters
    ----------
    path
        TorchScript module that takes (n, 3, 299, 299) from 0 to 1 and returns pooled features (n, 2048).
    device
        "cpu" or "cuda".

    Returns
    -------
    tuple
        The extractor and its name with the file's hash, which goes beside the number.

    Raises
    ------
    FileFormatError
        The file is missing, is no TorchScript, or returns something else than 2048 features.
    MissingDependencyError
        torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(f"FID needs PyTorch; {extra_advice('learning')}.") from error
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}; expected Inception v3 as TorchScript.")
    try:
        with warnings.catch_warnings():
            # TorchScript is deprecated, and still the form in which Inception's weights are passed on.
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise FileFormatError(f"{path} is no TorchScript module; expected Inception v3 as TorchScript.") from error

    def extract(slices: NDArray[np.floating]) -> NDArray[np.float64]:
        found = []
        for one in np.asarray(slices, dtype=np.float32):
            image = torch.from_numpy(one / max(float(one.max()), 1e-12))[None, None].to(device)
            image = torch.nn.functional.interpolate(image, (299, 299), mode="bilinear", antialias=True)
            with torch.no_grad():
                found.append(module(image.expand(-1, 3, -1, -1)).reshape(1, -1).cpu().numpy())
        features = np.concatenate(found).astype(np.float64)
        if features.shape[1] != INCEPTION_FEATURES:
            raise FileFormatError(
                f"{path} returns {features.shape[1]} features, expected the {INCEPTION_FEATURES} of Inception v3."
            )
        return features

    return extract, f"Inception v3 (sha256 {file_identity(path)['sha256'][:12]})"


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)
