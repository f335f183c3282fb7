"""A model and a corpus become an index on disk, and the index answers questions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metasearch.search.build import build_index as build_index
    from metasearch.search.info import IndexInfo as IndexInfo
    from metasearch.search.searcher import Hit as Hit
    from metasearch.search.searcher import SearchIndex as SearchIndex
    from metasearch.search.searcher import open_index as open_index

# Imported when first used: settings are checked before torch is imported.
_HOMES = {
    "Hit": "metasearch.search.searcher",
    "IndexInfo": "metasearch.search.info",
    "SearchIndex": "metasearch.search.searcher",
    "build_index": "metasearch.search.build",
    "open_index": "metasearch.search.searcher",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'metasearch.search' has no attribute {name!r}")
