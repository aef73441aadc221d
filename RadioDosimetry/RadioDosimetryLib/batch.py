"""RadioDosimetry without windows: the commands of `radiodosimetry` on files, DICOM folders and saved scenes.

Run it inside Slicer, in PythonSlicer, or in any Python that has the packages (scenes then need slicer-core)::

    Slicer --no-splash --no-main-window --python-script batch.py -- [OPTIONS] COMMAND [ARGUMENTS]
    PythonSlicer batch.py [OPTIONS] COMMAND [ARGUMENTS]
    python batch.py [OPTIONS] COMMAND [ARGUMENTS]

COMMAND and its arguments are those of `radiodosimetry` (`batch.py dose --help`). Wherever it takes the path of an
image, of labels, a table or a text, `node:NAME` names a node of the scene instead (`node:ID` where names repeat): a
volume, a segmentation or label map, a table, a text; `--scan 24=node:NAME` a scan, `--scan node:SEQUENCE` a whole
sequence with its hours. Where it writes an image, a table or JSON, `node:NAME` makes a node. For example::

    batch.py --scene patient.mrb --output-scene dose.mrb --summary dose.summary.json dose --nuclide Lu-177 \\
        --ct node:CT --tia node:TIA --labels node:Organs --output node:Dose --table dose.csv --rtdose dose.dcm

Options:

--scene FILE            scene to start from (.mrb, .mrml)
--output-scene FILE     save the scene with all inputs and results: units, colours, tables, histograms (.mrb)
--summary FILE          JSON: status, exit code, message, inputs with hashes, outputs, nodes, version, seed, device,
                        warnings, record; written whether the run succeeds or fails
--log FILE              text file with all messages, for systems that show none (Slicer on Windows)
--install-dependencies  install missing packages without asking; otherwise their absence ends the run

Exit codes: 0 done, 1 failed, 2 bad input, 130 cancelled with Ctrl-C. A run that fails says why in one line on standard
error and leaves nothing but summary and log: the command's own outputs appear all together, the scene after them. In
the Python console of Slicer `batch.main([...])` does the same with the scene that is open.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

_PACKAGE_FOLDER = Path(globals().get("__file__") or sys.argv[0]).resolve().parent
EXIT_OK, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_CANCELLED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and say how it went.

    Parameters
    ----------
    argv
        Arguments without the script's name; those of the process if None.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed, 2 bad input, 130 cancelled.
    """
    _makeImportable()
    try:
        options, words = _parse(list(sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:
        return int(stop.code or EXIT_OK)
    try:
        with _oneLine() as failure:
            _requirePackages(options.install_dependencies)
        return failure.code if failure.code else _runWithJournal(options, words)
    except KeyboardInterrupt:
        return _say("Cancelled; no result was written.", EXIT_CANCELLED)


class _Failure:
    """Exit code of a block that may fail; 0 as long as it did not."""

    def __init__(self) -> None:
        self.code = EXIT_OK


@contextlib.contextmanager
def _oneLine() -> Iterator[_Failure]:
    """Turn whatever a block raises into one line on standard error and an exit code, as the command does."""
    failure = _Failure()
    try:
        yield failure
    except KeyboardInterrupt:
        failure.code = _say("Cancelled; no result was written.", EXIT_CANCELLED)
    except ImportError as error:
        text = f"{error}" if type(error).__module__.startswith("radiodosimetry") else _missingPackage(error)
        failure.code = _say(text, EXIT_FAILED)
    except MemoryError:
        failure.code = _say("Not enough memory; give a coarser or smaller grid.", EXIT_FAILED)
    except Exception as error:
        failure.code = _say(*_described(error))


def _described(error: Exception) -> tuple[str, int]:
    from radiodosimetry.errors import CancelledError, InputError, RadioDosimetryError

    if isinstance(error, CancelledError):
        return str(error) or "Cancelled; no result was written.", EXIT_CANCELLED
    if isinstance(error, InputError):
        return str(error), EXIT_BAD_INPUT
    if isinstance(error, RadioDosimetryError):
        return str(error), EXIT_FAILED
    return f"Unexpected {type(error).__name__}: {error}", EXIT_FAILED


def _missingPackage(error: ImportError) -> str:
    name = error.name or str(error)
    return (
        f"The package '{name}' is missing in this Python; install the requirements of RadioDosimetry, or run again "
        "with --install-dependencies."
    )


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"radiodosimetry: {' '.join(text.split())}\n")
    return code


def _makeImportable() -> None:
    """Let the two packages be found; as a script this file's own folder must not hold top-level names."""
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != _PACKAGE_FOLDER]
    if str(_PACKAGE_FOLDER.parent) not in sys.path:
        sys.path.insert(0, str(_PACKAGE_FOLDER.parent))


class _Parser(argparse.ArgumentParser):
    """A parser that answers a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help).\n")


def _parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options of the batch, and the command line for `radiodosimetry`."""
    parser = _Parser(prog="batch.py", add_help=False, allow_abbrev=False)
    for name in ("scene", "output-scene", "summary", "log"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE")
    parser.add_argument("--install-dependencies", action="store_true")
    words = words[words[:1] == ["--"] :]  # what keeps Slicer from reading the words as its own
    options, rest = parser.parse_known_args(words)
    rest = rest[rest[:1] == ["--"] :]
    if rest[:1] in (["-h"], ["--help"]):
        sys.stdout.write((__doc__ or "").strip() + "\n")
        raise SystemExit(EXIT_OK)
    return options, rest


def _requirePackages(isInstallWanted: bool) -> None:
    """Find out whether the packages are there before anything is read.

    Raises
    ------
    MissingDependencyError
        Some are missing, and were not to be installed or could not be.
    """
    from RadioDosimetryLib.headless import hasApplication
    from RadioDosimetryLib.requirements import REQUIREMENTS_FILE, ensureRequirements, missingRequirements

    if not isInstallWanted and not hasApplication() and _areInstalled(REQUIREMENTS_FILE):
        return  # at once: the full check loads Slicer's libraries
    if isInstallWanted and missingRequirements():
        with contextlib.suppress(ImportError):
            import slicer.packaging

            slicer.packaging.pip_ensure(
                slicer.packaging.load_requirements(str(REQUIREMENTS_FILE)),
                prompt_install=False,
                prompt_restart=False,
                show_progress=False,
                requester="RadioDosimetry",
            )
    ensureRequirements(interactive=False)


def _areInstalled(requirementsFile: Path) -> bool:
    """Whether there is some version of every package of a file."""
    import importlib.metadata
    import re

    from RadioDosimetryLib.requirements import requirementLines

    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requirementLines(requirementsFile)]
    try:
        return all(importlib.metadata.version(name) for name in names)
    except importlib.metadata.PackageNotFoundError:
        return False


def _runWithJournal(options: argparse.Namespace, words: list[str]) -> int:
    """Run with messages recorded, then write the summary."""
    from radiodosimetry.images.atomic import write_text_atomically
    from radiodosimetry.provenance import to_json
    from RadioDosimetryLib.batchJournal import Journal, summaryOf

    with _oneLine() as failure:
        _checkOwnOutputs(options, words)
    if failure.code:
        return failure.code
    run = _Run(options, words, Journal(options.log))
    with _oneLine() as failure, run.journal:
        with _oneLine() as inner:
            inner.code = run.execute()
        code = inner.code
    if failure.code:
        return failure.code
    if options.summary is not None:
        with _oneLine() as failure:
            files, record = run.report()
            write_text_atomically(options.summary, to_json(summaryOf(run.journal, code, words, files, record)))
    return code or failure.code


def _checkOwnOutputs(options: argparse.Namespace, words: Sequence[str]) -> None:
    """Refuse scene, summary and log that cannot be written, are the same file, or would replace an input or output.

    Raises
    ------
    InputError
        Two files are the same, or the scene's name does not end in `.mrb`.
    OutputError
        A folder is missing or takes no files.
    """
    from radiodosimetry.errors import FileFormatError, InputError
    from radiodosimetry.images.atomic import OutputTransaction, refuse_overwriting
    from RadioDosimetryLib.batchWords import commandOf, fileWords

    own = [path for path in (options.output_scene, options.summary, options.log) if path is not None]
    if options.output_scene is not None and options.output_scene.suffix.lower() != ".mrb":
        raise InputError(f"--output-scene {options.output_scene} must end in .mrb, which holds a whole scene.")
    if options.scene is not None and not options.scene.is_file():
        raise FileFormatError(f"The scene {options.scene} does not exist; give a scene that 3D Slicer saved.")
    command = commandOf(words)
    files = fileWords(command, words) if command is not None else []
    refuse_overwriting(own, [options.scene, *(Path(word.path) for word in files if not word.isNode)])
    with OutputTransaction(*own):
        pass


class _Run:
    """One command with its scene.

    Parameters
    ----------
    options
        Options of the batch.
    words
        The command line for `radiodosimetry`, with nodes.
    journal
        Where its messages go.
    """

    def __init__(self, options: argparse.Namespace, words: list[str], journal: Any) -> None:
        from RadioDosimetryLib.batchCase import caseOf
        from RadioDosimetryLib.batchWords import commandOf

        self._options = options
        self._words = words
        self.journal = journal
        self._command = commandOf(words)
        self._case = caseOf(self._command, words)
        self._nodes: dict[str, list[str]] = {}
        self._warnings: list[str] = []
        self._record: dict[str, Any] | None = None

    def execute(self) -> int:
        """Run the command; returns its exit code.

        Raises
        ------
        RadioDosimetryError
            Scene or nodes cannot be used, or the scene cannot be saved.
        """
        from radiodosimetry import cli

        with tempfile.TemporaryDirectory(prefix="RadioDosimetry-") as folder:
            if self._command is None or not self._needsScene():
                code = cli.main(self._words)
                self._readRecord(self._words)
                return code
            return self._executeOnScene(cli.main, Path(folder))

    def _needsScene(self) -> bool:
        if {"-h", "--help"} & set(self._words):
            return False
        isNode = any(word.isNode for word in self._files(self._words))
        return isNode or self._options.scene is not None or self._options.output_scene is not None

    def _files(self, words: Sequence[str]) -> list:
        from RadioDosimetryLib.batchWords import fileWords

        return fileWords(self._command, words) if self._command is not None else []

    def _executeOnScene(self, commandLine: Any, folder: Path) -> int:
        """Read the scene, run the command on files, put the results into the scene, save it."""
        from RadioDosimetryLib.batchNodes import NodeFiles
        from RadioDosimetryLib.headless import ensureScene

        scene = ensureScene()
        from RadioDosimetryLib.batchScene import SceneResults, loadScene, saveScene

        self._requirePlaceForNodes()
        if self._options.scene is not None:
            loadScene(scene, self._options.scene)
        nodeFiles = NodeFiles(scene, self._command, self._words, folder, self._options.output_scene is not None)
        run = nodeFiles.write()
        self.journal.renamed.update(nodeFiles.names)
        before = self._filesInFolders(run)
        code = commandLine(run)
        if code != EXIT_OK:
            return code
        self._readRecord(run)
        made = [path for path, stamp in self._filesInFolders(run).items() if before.get(path) != stamp]
        results = SceneResults(scene, self._command, self._words, run, nodeFiles, made, self._case)
        self._nodes = results.add(withInputs=self._options.output_scene is not None)
        self._warnings += results.warnings
        for warning in results.warnings:
            sys.stderr.write(f"WARNING: {warning}\n")
        if self._options.output_scene is not None:
            saveScene(scene, self._options.output_scene, folder)
        return EXIT_OK

    def _requirePlaceForNodes(self) -> None:
        from radiodosimetry.errors import InputError
        from RadioDosimetryLib.headless import hasApplication

        outputs = [word for word in self._files(self._words) if word.role.isOutput and word.isNode]
        if outputs and self._options.output_scene is None and not hasApplication():
            raise InputError(
                f"{outputs[0].option} makes the node '{outputs[0].nodeName}' in a scene that is not saved; "
                "give --output-scene, or a path."
            )

    def _filesInFolders(self, words: Sequence[str]) -> dict[Path, int]:
        """Files in the output folders of the command, with the time of their last change."""
        folders = [Path(word.path) for word in self._files(words) if word.role.kind == "folder"]
        files = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*")) if path.is_file()]
        return {path: path.stat().st_mtime_ns for path in files}

    def _readRecord(self, words: Sequence[str]) -> None:
        """The record of the first result, while its sidecar is there."""
        for word in self._files(words):
            if not word.role.isOutput:
                continue
            path = Path(word.path)
            candidates = sorted(path.glob("*.json")) if path.is_dir() else [path.with_name(path.name + ".json"), path]
            for candidate in candidates:
                values = _jsonOf(candidate)
                if values is not None and "operation" in values:
                    self._record = values
                    return

    def report(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Inputs, outputs and scenes for the summary, and the record of the first result."""
        from RadioDosimetryLib.batchCase import caseInputs, caseOutputs, caseRecord, cohortFolder, cohortOutputs

        words = self._files(self._words)
        inputs = [_inputEntry(word) for word in words if not word.role.isOutput and word.option != "case"]
        outputs = [_outputEntry(word) for word in words if word.role.isOutput]
        if self._case is not None:
            inputs, outputs = caseInputs(self._case), caseOutputs(self._case)
            self._record = caseRecord(self._case)
        cohort = cohortFolder(self._command, self._words)
        if cohort is not None:
            outputs = cohortOutputs(cohort)
        return {
            "command": self._command,
            "inputs": inputs,
            "outputs": outputs,
            "scene": _inputIdentity(self._options.scene),
            "output_scene": None if self._options.output_scene is None else str(self._options.output_scene),
            "nodes": self._nodes,
            "warnings": self._warnings,
        }, self._record


def _inputEntry(word: Any) -> dict[str, Any]:
    entry = {"option": word.option, **({"hours": word.hours} if word.hours else {})}
    return entry | ({"node": word.nodeName} if word.isNode else _inputIdentity(Path(word.path)) or {})


def _outputEntry(word: Any) -> dict[str, Any]:
    return {"option": word.option, **({"node": word.nodeName} if word.isNode else {"path": word.path})}


def _inputIdentity(path: Path | None) -> dict[str, Any] | None:
    """Path and hash of a file or folder, the path alone where it cannot be read."""
    from radiodosimetry.provenance import file_identity

    if path is None:
        return None
    try:
        return {"path": str(path), "sha256": file_identity(path)["sha256"]}
    except OSError:
        return {"path": str(path)}


def _jsonOf(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return values if isinstance(values, dict) else None
    except (OSError, ValueError):
        return None


def _exit(code: int) -> None:
    """End the process with a code: Slicer by its event loop, which a script's end alone does not stop."""
    slicer = sys.modules.get("slicer")
    if getattr(slicer, "app", None) is not None:
        slicer.util.exit(code)
    else:
        sys.exit(code)


if __name__ == "__main__":
    _exit(main())
