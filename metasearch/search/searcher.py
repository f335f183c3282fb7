"""Ask an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metasearch.core import QUERY, Encoder, Index, expand
from metasearch.errors import ConfigError, DataError, ModelError
from metasearch.prepare import usable_device
from metasearch.registry import registry
from metasearch.search.info import FILE, INDEX, IndexInfo, read_info
from metasearch.search.probe import same_model, take_probe
from metasearch.search.settings import find_model
from metasearch.search.store import TEXTS, Texts, file_state


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer.

    Attributes:
        rank: from 1.
        score: dot product of query and document, the cosine for normalised vectors; approximate with ``ivf-pq``.
        id: of the document.
        language: of the document; empty where the corpus does not say.
        text: as it was encoded, without any prompt.
    """

    rank: int
    score: float
    id: str
    language: str
    text: str


class SearchIndex:
    """A finished index with its model, ready to be asked; :func:`open_index` makes it.

    Attributes:
        info: what the index was built of.
    """

    def __init__(self, info: IndexInfo, encoder: Encoder, index: Index, texts: Texts) -> None:
        self.info = info
        self._encoder, self._index, self._texts = encoder, index, texts

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """Find the best documents for each query.

        Args:
            queries: in any languages.
            k: how many documents each.

        Returns:
            For each query its hits by descending score, equal scores in the order of the corpus; fewer than k where there are
            fewer.

        Raises:
            ConfigError: k is less than 1, or a query holds no text or no valid Unicode.

        Example:
            >>> index = metasearch.open_index("indexes/mini")  # doctest: +SKIP
            >>> [hit.text for hit in index.search(["who discovered penicillin?"], k=3)[0]]  # doctest: +SKIP
        """
        if k < 1:
            raise ConfigError(f"k={k}: expected at least 1")
        for query in queries:
            _check_query(query)
        if not queries:
            return []
        scores, positions = self._index.search(self._encoder.encode(queries, QUERY), min(k, self.info.count))
        return [self._hits(s, p) for s, p in zip(scores.tolist(), positions.tolist(), strict=True)]

    def _hits(self, scores: Sequence[float], positions: Sequence[int]) -> list[Hit]:
        found = sorted((-score, position) for score, position in zip(scores, positions, strict=True) if position >= 0)
        documents = self._texts.at([position for _, position in found])
        return [
            Hit(rank, -minus, document.id, document.language, document.text)
            for rank, ((minus, _), document) in enumerate(zip(found, documents, strict=True), 1)
        ]


def open_index(folder: str | Path, model: str | None = None, device: str = "auto") -> SearchIndex:
    """Open a finished index and load its model.

    Args:
        folder: that :func:`build_index` made.
        model: where the model is now, if it has moved since; None: where it was.
        device: ``auto``, ``cpu``, ``cuda``, ... for the encoder.

    Raises:
        DataError: the folder is missing, unfinished or damaged; the message names the file and what is wrong.
        ModelError: the model is not there, or another one than built the index.
    """
    info = read_info(expand(str(folder), "DIR"))
    for name, expected in info.files.items():
        if Path(name).name != name:  # the folder may come from anybody
            raise DataError(f"{info.path / FILE}: names the file {name!r}, which is not in the folder; build the index again")
        _check_file(info.path / name, expected)
    index = _create("index", info.index, info)
    index.open(info.path / INDEX)
    return SearchIndex(info, _encoder(info, model, usable_device(device)), index, Texts(info.path / TEXTS))


def _check_file(file: Path, expected: object) -> None:
    if not file.is_file():
        raise DataError(f"{file}: not there; build the index again")
    found = file_state(file)
    if found != expected:
        bytes_expected = expected.get("bytes") if isinstance(expected, dict) else None
        raise DataError(
            f"{file}: damaged or from another index: {found['bytes']} bytes, expected {bytes_expected}"
            f"{' with other content' if found['bytes'] == bytes_expected else ''}; build the index again"
        )


def _encoder(info: IndexInfo, model: str | None, device: str) -> Encoder:
    source = info.model if model is None else find_model(model)[0]
    if Path(source).is_absolute() and not Path(source).exists():
        raise ModelError(f"{info.path}: its model {source} is not there any more; say where it is with --model")
    precision = info.encoder["precision"]
    encoder: Encoder = _create("encoder", info.encoder, info, model=source)
    encoder.to(device, precision)
    if not same_model(take_probe(encoder), info.probe, precision, str(info.path)):
        raise ModelError(
            f"{info.path}: {source} is not the model that built this index: it gives other embeddings. Say with --model where "
            "the right one is, or build the index again"
        )
    return encoder


def _create(kind: str, described: Any, info: IndexInfo, **more: Any) -> Any:
    item = registry.find(kind, f"{described['distribution']}:{described['name']}")
    options = {**described["options"], **more}
    unknown = sorted(set(options) - set(item.component.options))
    if unknown:
        raise DataError(
            f"{info.path}: built with the {kind} options {', '.join(unknown)}, which {kind}={item.name} of {item.provider} lacks"
        )
    return item.create(**options)


def _check_query(query: str) -> None:
    if not query.strip():
        raise ConfigError("the query is empty")
    try:
        query.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(f"the query is not valid Unicode text (character {error.start + 1})") from error
