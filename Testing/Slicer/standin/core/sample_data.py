"""The module SampleData: sources are registered and checked as Slicer does; nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer


class SampleDataSource:
    """One data set: files to download, or a function that makes it."""

    def __init__(
        self,
        sampleName: str | None = None,
        sampleDescription: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        checksums: Any = None,
        loadFiles: Any = None,
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFileProperties: dict[str, Any] | None = None,
        loadFileType: Any = None,
    ) -> None:
        if loadFileType is not None and loadFileTypes is not None:
            raise ValueError("loadFileType and loadFileTypes cannot be specified at the same time")
        self.sampleName = sampleName
        self.sampleDescription = sampleDescription or sampleName
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        self.uris = _as_list(uris, uris)
        self.fileNames = _as_list(uris, fileNames)
        self.nodeNames = _as_list(uris, nodeNames)
        self.checksums = _as_list(uris, checksums)
        self.loadFiles = _as_list(uris, loadFiles)
        self.loadFileTypes = _as_list(uris, loadFileTypes if loadFileTypes is not None else loadFileType)
        lists = (self.uris, self.fileNames, self.nodeNames, self.checksums, self.loadFiles, self.loadFileTypes)
        if any(item is None or isinstance(item, str) for item in lists):
            # Slicer fails here with "object of type 'NoneType' has no len()".
            raise TypeError(
                f"found uris={uris!r} of {sampleName!r}, expected a text or list even with a customDownloader"
            )
        if len({len(item) for item in lists}) != 1:
            raise ValueError(f"All fields of sample data source must have the same length: {lists}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampleDataSource) and vars(self) == vars(other)

    __hash__ = object.__hash__


class SampleDataLogic:
    """Register of all data sets."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        """Give a section of the module its title."""
        titles = _of_modules("sampleDataSourceCategories")
        titles.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: dict[str, Any] | None = None,
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """Offer a data set in a section of the module; a second time it is passed over."""
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
            loadFileType=loadFileType,
        )
        sources = _of_modules("sampleDataSources").setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        """Data sets of a section, or of all of them."""
        sources = _of_modules("sampleDataSources")
        return sources if category is None else sources.get(category, [])

    @staticmethod
    def categoryTitle(category: str) -> str:
        """Title of a section."""
        return str(_of_modules("sampleDataSourceCategories").get(category, {}).get("title", category))

    def sourceForSampleName(self, sampleName: str) -> SampleDataSource | None:
        """Data set of a name, None when there is none."""
        sources = [source for group in _of_modules("sampleDataSources").values() for source in group]
        return next((source for source in sources if source.sampleName == sampleName), None)

    def downloadSamples(self, sampleName: str) -> list[Any]:
        """Files of a data set: refused, tests do not use the network."""
        raise RuntimeError(f"found a download of {sampleName!r}; the stand-in downloads nothing")


def downloadSample(sampleName: str) -> Any:
    """First node of a data set: refused, tests do not use the network."""
    return SampleDataLogic().downloadSamples(sampleName)[0]


def downloadSamples(sampleName: str) -> Any:
    """Nodes of a data set: refused, tests do not use the network."""
    return SampleDataLogic().downloadSamples(sampleName)


def _of_modules(name: str) -> Any:
    """Dictionary in `slicer.modules`, where all modules find it."""
    if not hasattr(slicer.modules, name):
        setattr(slicer.modules, name, {})
    return getattr(slicer.modules, name)


def _as_list(uris: Any, value: Any) -> Any:
    """A text makes lists of one; a list of addresses makes lists of its length where nothing was given."""
    if isinstance(uris, str):
        return [value]
    if isinstance(uris, (list, tuple)) and (value is None or isinstance(value, str)):
        return [value] * len(uris)
    return value
