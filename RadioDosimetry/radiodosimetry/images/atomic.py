"""Files that appear complete or not at all: temporary name first, renamed when everything has been written."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from ..errors import InputError, OutputError, RadioDosimetryError

_COMPRESSED_SUFFIXES = (".gz", ".bz2", ".zst")


def full_suffix(path: Path) -> str:
    """The suffix in lower case, with what precedes a compression suffix: `.nii.gz`, `.nrrd`, `.csv`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) >= 2 and suffixes[-1] in _COMPRESSED_SUFFIXES:
        return suffixes[-2] + suffixes[-1]
    return suffixes[-1] if suffixes else ""


class OutputTransaction:
    """Several output files that appear all together or not at all.

    Give it the paths that will be written to have their folders checked before any work starts. Inside the `with`
    block, write each file to the temporary path that `path_for` hands out. Leaving the block renames all of
    them; leaving it by any exception (Ctrl-C included) removes them and puts back what a rename had replaced.

    Parameters
    ----------
    *outputs
        Paths that will be written.

    Raises
    ------
    OutputError
        A folder is missing or cannot be written, an output is a folder, or writing or renaming failed.
    InputError
        Two outputs have the same path.
    """

    def __init__(self, *outputs: Path) -> None:
        self._temporary: dict[Path, Path] = {}
        seen: set[Path] = set()
        for output in map(Path, outputs):
            if _resolved(output) in seen:
                raise InputError(f"Two outputs would be written to {output}; give each its own path.")
            seen.add(_resolved(output))
            check_writable(output)

    def path_for(self, final: Path) -> Path:
        """Where to write what shall become `final`: a path in the same folder with the same suffix.

        Raises
        ------
        OutputError
            The folder of `final` is missing or cannot be written.
        InputError
            `final` was asked for before.
        """
        final = Path(final)
        if any(_resolved(final) == _resolved(other) for other in self._temporary):
            raise InputError(f"Two outputs would be written to {final}; give each its own path.")
        check_writable(final)
        temporary = final.with_name(f".partial-{secrets.token_hex(6)}{full_suffix(final)}")
        self._temporary[final] = temporary
        return temporary

    def written(self, final: Path) -> Path:
        """Where a file of this transaction lies before it has its final name, for what must read it back.

        Raises
        ------
        InputError
            `final` is not one of its files.
        """
        for other, temporary in self._temporary.items():
            if _resolved(other) == _resolved(Path(final)):
                return temporary
        raise InputError(f"{final} is not part of this transaction.")

    def write_text(self, final: Path, text: str) -> None:
        """Write a text file (UTF-8) as part of the transaction."""
        with _as_output_error(Path(final)):
            self.path_for(final).write_text(text, encoding="utf-8", newline="\n")

    def commit(self) -> None:
        """Rename every temporary file to its final name; undo all renames if one fails."""
        replaced: dict[Path, Path | None] = {}
        try:
            for final, temporary in self._temporary.items():
                with _as_output_error(final):
                    backup = final.with_name(f".replaced-{secrets.token_hex(6)}") if final.exists() else None
                    replaced[final] = backup
                    if backup is not None:
                        os.replace(final, backup)
                    os.replace(temporary, final)
        except BaseException:
            _undo(replaced, self._temporary)
            self.rollback()
            raise
        self._temporary.clear()
        for backup in replaced.values():
            _remove(backup)

    def rollback(self) -> None:
        """Remove every temporary file."""
        for temporary in self._temporary.values():
            _remove(temporary)
        self._temporary.clear()

    def __enter__(self) -> OutputTransaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.commit()
            return
        named = next(iter(self._temporary), None)
        self.rollback()
        if isinstance(error, OSError) and not isinstance(error, RadioDosimetryError):
            raise OutputError(_describe(error, named)) from error


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` when the block ends well, else removed.

    Raises
    ------
    OutputError
        The folder is missing or cannot be written, or writing failed (full disk, …).
    """
    with OutputTransaction() as transaction:
        yield transaction.path_for(Path(path))


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file (UTF-8, one newline per line end) that is complete or absent.

    Raises
    ------
    OutputError
        The file could not be written.
    """
    with OutputTransaction() as transaction:
        transaction.write_text(Path(path), text)


def check_writable(path: Path) -> None:
    """Refuse an output path before the work starts rather than after it.

    Raises
    ------
    OutputError
        The folder does not exist or refuses new files, or `path` is a folder.
    """
    path = Path(path)
    folder = path.parent
    probe = folder / f".partial-{secrets.token_hex(6)}"
    try:
        if not folder.is_dir():
            raise OutputError(f"Cannot write {path}: the folder {folder} does not exist; create it first.")
        if path.is_dir():
            raise OutputError(f"Cannot write {path}: it is a folder; give the name of a file.")
        if path.exists() and not os.access(path, os.W_OK):
            raise OutputError(f"Cannot write {path}: the existing file is write-protected; give another name.")
        probe.touch(exist_ok=False)
    except OutputError:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(f"Cannot write {path}: {_reason(error)}; give a path that can be written.") from error
    finally:
        _remove(probe)


def refuse_overwriting(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Keep a result from taking the place of what it is computed from.

    Raises
    ------
    InputError
        An output is one of the inputs, be it by another spelling or through a link.
    """
    known = {os.path.realpath(path) for path in inputs if path is not None}
    for output in outputs:
        if os.path.realpath(output) in known:
            raise InputError(f"The output {output} is also an input and would be overwritten; give another name.")


@contextlib.contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except RadioDosimetryError:
        raise
    except OSError as error:
        raise OutputError(_describe(error, path)) from error


def _describe(error: OSError, path: Path | None) -> str:
    name = path if path is not None else "the output"
    advice = "nothing was left behind. Free some space or choose another place."
    return f"Could not write {name}: {_reason(error)}; {advice}"


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _resolved(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _undo(replaced: dict[Path, Path | None], temporary: dict[Path, Path]) -> None:
    """Put back what was replaced; new files that had already reached their final name are removed."""
    for final, backup in replaced.items():
        if backup is not None and backup.exists():
            with contextlib.suppress(OSError):
                os.replace(backup, final)
        elif backup is None and not temporary[final].exists():
            _remove(final)


def _remove(path: Path | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError, ValueError):
            path.unlink(missing_ok=True)
