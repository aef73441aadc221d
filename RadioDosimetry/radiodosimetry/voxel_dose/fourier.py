"""Convolution of one image with many mirror-symmetric kernels, the transform of the image computed once.

Three things make it fast: rows that are all zero are not transformed (the image is padded axis by axis), the transform
of a mirror-symmetric kernel is real and comes from one octant (DCT-I), and only the wanted box is transformed back.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..processors import core_count

PRECISIONS = ("auto", "float32", "float64")
"""Number types of the transform; "auto" is float64 up to `LARGEST_DOUBLE_TRANSFORM`, float32 beyond."""

LARGEST_DOUBLE_TRANSFORM = 40_000_000
"""Padded voxels up to which "auto" takes float64 (0.3 GB per transform). In float32 a voxel errs by about 3e-7 of the
root mean square of the dose: a per cent where the dose is a millionth of its maximum."""

_SLAB_BYTES = 4 << 20
"""Size of a block of the spectrum that one thread works on: fits the processor's cache."""


@dataclass(frozen=True)
class Box:
    """Voxels `start_kji` (included) to `stop_kji` (excluded)."""

    start_kji: tuple[int, int, int]
    stop_kji: tuple[int, int, int]

    @classmethod
    def around(cls, mask_kji: NDArray[np.bool_]) -> Box | None:
        """The smallest box that holds every True voxel; None if there is none."""
        sides = []
        for axis in range(3):
            filled = np.flatnonzero(mask_kji.any(axis=tuple(other for other in range(3) if other != axis)))
            if len(filled) == 0:
                return None
            sides.append((int(filled[0]), int(filled[-1]) + 1))
        return cls((sides[0][0], sides[1][0], sides[2][0]), (sides[0][1], sides[1][1], sides[2][1]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels per axis."""
        counts = [stop - start for start, stop in zip(self.start_kji, self.stop_kji, strict=True)]
        return counts[0], counts[1], counts[2]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index."""
        parts = [slice(start, stop) for start, stop in zip(self.start_kji, self.stop_kji, strict=True)]
        return parts[0], parts[1], parts[2]


def farthest_offset_kji(source: Box, target: Box) -> tuple[int, int, int]:
    """The largest distance between a voxel of `source` and one of `target`, per axis: no kernel needs to be wider."""
    reaches = [
        max(target_stop - 1 - source_start, source_stop - 1 - target_start, 0)
        for source_start, source_stop, target_start, target_stop in zip(
            source.start_kji, source.stop_kji, target.start_kji, target.stop_kji, strict=True
        )
    ]
    return reaches[0], reaches[1], reaches[2]


class ImageSpectrum:
    """The transform of an image, ready to be convolved with kernels.

    Parameters
    ----------
    image_kji
        The image, (k, j, i).
    source
        Box that holds all of its non-zero voxels.
    target
        Box for which results are wanted; it may reach beyond the source.
    half_width_kji
        Half-width of the widest kernel; wider than `farthest_offset_kji` is cut without loss.
    precision
        One of `PRECISIONS`.
    workers
        Threads; all processors by default.

    Raises
    ------
    InputError
        `precision` is unknown.
    """

    def __init__(
        self,
        image_kji: NDArray[Any],
        source: Box,
        target: Box,
        half_width_kji: tuple[int, int, int],
        precision: str = "auto",
        workers: int | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"Precision '{precision}' is unknown; expected one of: {', '.join(PRECISIONS)}.")
        self._workers = workers or core_count()
        self._source, self._target = source, target
        farthest = farthest_offset_kji(source, target)
        kept = [min(half, far) for half, far in zip(half_width_kji, farthest, strict=True)]
        self.half_width_kji = (kept[0], kept[1], kept[2])
        self._sizes = [_even_fast_size(far + half + 1, 2 * half + 1) for far, half in zip(farthest, kept, strict=True)]
        self.precision = _chosen_precision(precision, int(np.prod(self._sizes)))
        self._spectrum = self._transform(np.asarray(image_kji)[source.slices])

    def convolve(self, octant_kji: NDArray[Any]) -> NDArray[Any]:
        """The image convolved with the kernel of this octant, on the target box.

        Parameters
        ----------
        octant_kji
            Kernel for offsets ≥ 0, (0, 0, 0) first; what reaches beyond `half_width_kji` is not needed and cut.

        Returns
        -------
        numpy.ndarray
            Shape of the target box, type `precision`.
        """
        from scipy import fft

        kernel = self._kernel_spectrum(octant_kji)
        size_k, size_j, size_i = self._sizes
        shape = self._target.shape
        first = [target - source for target, source in zip(self._target.start_kji, self._source.start_kji, strict=True)]
        planes = np.empty((shape[0], size_j, size_i // 2 + 1), dtype=self._spectrum.dtype)
        half = size_k // 2 + 1

        def along_k(rows: slice) -> None:
            mirrored = kernel[:, _mirror(np.arange(size_j)[rows], size_j)]
            slab = np.empty((size_k, *mirrored.shape[1:]), dtype=self._spectrum.dtype)
            np.multiply(self._spectrum[:half, rows], mirrored, out=slab[:half])
            np.multiply(self._spectrum[half:, rows], mirrored[half - 2 : 0 : -1], out=slab[half:])
            slab = fft.ifft(slab, axis=0, overwrite_x=True, workers=1)
            _copy_wrapped(slab, planes[:, rows], first[0], axis=0)

        result = np.empty(shape, dtype=self.precision)

        def along_j_and_i(slices: slice) -> None:
            columns = fft.ifft(planes[slices], axis=1, overwrite_x=True, workers=1)
            kept = np.empty((columns.shape[0], shape[1], columns.shape[2]), dtype=columns.dtype)
            _copy_wrapped(columns, kept, first[1], axis=1)
            values = fft.irfft(kept, n=size_i, axis=2, overwrite_x=True, workers=1)
            _copy_wrapped(values, result[slices], first[2], axis=2)

        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(along_k, self._blocks(size_j, self._spectrum.nbytes)))
            list(pool.map(along_j_and_i, self._blocks(shape[0], planes.nbytes)))
        return result

    def _transform(self, image_kji: NDArray[Any]) -> NDArray[Any]:
        from scipy import fft

        size_k, size_j, size_i = self._sizes
        spectrum = fft.rfft(image_kji.astype(self.precision), n=size_i, axis=2, workers=self._workers)
        spectrum = fft.fft(spectrum, n=size_j, axis=1, overwrite_x=True, workers=self._workers)
        full: NDArray[Any] = fft.fft(spectrum, n=size_k, axis=0, overwrite_x=True, workers=self._workers)
        return full

    def _kernel_spectrum(self, octant_kji: NDArray[Any]) -> NDArray[Any]:
        """Real spectrum of the mirrored kernel, for frequencies 0 to half the size of each axis."""
        from scipy import fft

        padded = np.zeros([size // 2 + 1 for size in self._sizes], dtype=self.precision)
        kept = tuple(
            slice(0, min(half + 1, count)) for half, count in zip(self.half_width_kji, octant_kji.shape, strict=True)
        )
        padded[kept] = octant_kji[kept]
        spectrum: NDArray[Any] = fft.dctn(padded, type=1, overwrite_x=True, workers=self._workers)
        return spectrum

    def _blocks(self, count: int, size_bytes: int) -> list[slice]:
        """An axis of `count` entries in blocks of bounded size, at least one per thread."""
        most = max(1, min(count * _SLAB_BYTES // max(size_bytes, 1), -(-count // self._workers)))
        return [slice(start, min(start + most, count)) for start in range(0, count, most)]


def _even_fast_size(*lower_bounds: int) -> int:
    """An even size that transforms fast, not below any bound."""
    from scipy import fft

    return 2 * int(fft.next_fast_len(max(1, -(-max(lower_bounds) // 2)), real=True))


def _chosen_precision(precision: str, padded_voxels: int) -> str:
    if precision != "auto":
        return precision
    return "float64" if padded_voxels <= LARGEST_DOUBLE_TRANSFORM else "float32"


def _mirror(index: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    """Index into the non-negative frequencies for each of all frequencies."""
    mirrored: NDArray[np.int_] = np.minimum(index, size - index)
    return mirrored


def _copy_wrapped(source: NDArray[Any], target: NDArray[Any], first: int, axis: int) -> None:
    """Copy `target.shape[axis]` entries of a periodic axis, beginning at `first` (which may be negative)."""
    size, count = source.shape[axis], target.shape[axis]
    start, done = first % size, 0
    while done < count:
        step = min(count - done, size - start)
        chosen_source = [slice(None)] * 3
        chosen_target = [slice(None)] * 3
        chosen_source[axis], chosen_target[axis] = slice(start, start + step), slice(done, done + step)
        target[tuple(chosen_target)] = source[tuple(chosen_source)]
        done, start = done + step, 0
