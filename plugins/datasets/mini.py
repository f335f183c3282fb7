"""A small parallel question-answering corpus that comes with the package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from metasearch_plugins.datasets.xquad_r import XQuADR


class Mini(XQuADR):
    """Short articles with questions in en, ar, de, el, hi, ru, th and tr, sentence by sentence parallel, in XQuAD-R's format.

    Written for this project (see ``mini/README.md`` beside this file), so that everything runs without a download. It is there to
    try things on; scores on it compare with nothing else.

    Args:
        languages: which languages to read; None: all eight.
        context: encode a candidate as ``sentence + " " + paragraph``.
    """

    citation = "The metasearch mini corpus."
    license = "CC BY 4.0"
    name = "mini"

    def __init__(self, languages: Sequence[str] | None = None, context: bool = False) -> None:
        super().__init__(None, languages, context)

    def folder(self) -> Path:
        return Path(str(resources.files("metasearch_plugins.datasets") / "mini"))
