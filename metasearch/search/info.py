"""``index.json``: what an index was built of, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from metasearch.errors import DataError
from metasearch.report import RunFolder
from metasearch.report.checked_json import is_text, is_whole, read_versioned, take

FILE = "index.json"
BUILD = "build.json"
INDEX = "index.faiss"


@dataclass(frozen=True)
class IndexInfo:
    """A finished index.

    Attributes:
        path: its folder.
        model: built-in or hub name, or absolute path of a folder.
        encoder: ``name``, ``distribution``, ``version``, ``options`` (without the model) and ``precision`` of the encoder.
        probe: what the model makes of a few texts; another model is refused by it.
        index: ``name``, ``distribution``, ``version``, ``options`` of the index, and whether it is ``exact``.
        corpus: ``path``, and ``sha256`` over its documents.
        count: documents.
        dimension: of their vectors.
        languages: language -> documents; ``""``: not known.
        recall: ``at`` (20), ``queries`` (documents drawn by seed) and ``value``, against exact search; None for an exact index.
        query_ms: milliseconds that a query took in the index, encoding apart, all asked at once.
        seconds: stage -> seconds.
        versions: of the packages that matter.
        files: name -> size and digest.
    """

    path: Path
    model: str
    encoder: Mapping[str, Any]
    probe: Mapping[str, Any]
    index: Mapping[str, Any]
    corpus: Mapping[str, Any]
    count: int
    dimension: int
    languages: Mapping[str, int]
    recall: Mapping[str, Any] | None
    query_ms: float
    seconds: Mapping[str, float]
    versions: Mapping[str, str | None]
    files: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of ``index.json``."""
        return {"schema": 1, **{f.name: getattr(self, f.name) for f in fields(self) if f.name != "path"}}

    def write(self) -> None:
        """Write ``index.json``, whole: from then on the index is finished."""
        RunFolder(self.path).write_json(FILE, self.to_json())


def read_info(folder: Path) -> IndexInfo:
    """Read ``index.json``.

    Raises:
        DataError: the folder is missing, holds no index or an unfinished one, or the file is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; metasearch index makes one")
    file = folder / FILE
    if not file.exists():
        if (folder / BUILD).exists():
            raise DataError(f"{folder}: this index is not finished; give the same metasearch index command again to go on")
        raise DataError(f"{folder}: no index: it has no {FILE}")
    content = read_versioned(file)
    place = str(file)

    def mapping(key: str, *inside: str) -> dict[str, Any]:
        found: dict[str, Any] = take(content, key, place, "an object", lambda value: isinstance(value, dict))
        for name in inside:
            take(found, name, f"{place}: {key}", "there", lambda _: True)
        return found

    return IndexInfo(
        path=folder,
        model=take(content, "model", place, "text", is_text),
        encoder=mapping("encoder", "name", "distribution", "options", "precision"),
        probe=mapping("probe", "texts", "dimension", "float32"),
        index=mapping("index", "name", "distribution", "options", "exact"),
        corpus=mapping("corpus"),
        count=take(content, "count", place, "a whole number", is_whole),
        dimension=take(content, "dimension", place, "a whole number", is_whole),
        languages=mapping("languages"),
        recall=content.get("recall"),
        query_ms=content.get("query_ms", 0.0),
        seconds=mapping("seconds"),
        versions=mapping("versions"),
        files=mapping("files"),
    )
