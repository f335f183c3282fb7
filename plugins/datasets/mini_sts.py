"""A small parallel corpus of scored sentence pairs that comes with the package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from metasearch.core import PairCorpus, Problem
from metasearch_plugins.datasets.stsb import STSb, chosen_languages, parallel_pairs


class MiniSTS(STSb):
    """Everyday sentence pairs in en, ar, es and tr, row by row parallel, with similarity scores.

    Written for this project (see ``mini_sts/README.md`` beside this file), so that symmetric search runs without a download.
    Scores on it compare with nothing else. It has no split of its own: ``data.fold`` makes five.

    Args:
        languages: which languages to read; None: all four.
    """

    citation = "The metasearch mini STS corpus."
    license = "CC BY 4.0"
    name = "mini-sts"
    dev_share = 0.2

    def __init__(self, languages: Sequence[str] | None = None) -> None:
        super().__init__(None, languages)

    def load(self) -> PairCorpus:
        folder = Path(str(resources.files("metasearch_plugins.datasets") / "mini_sts"))
        files = {file.stem.removeprefix("mini-sts-"): file for file in sorted(folder.glob("mini-sts-*.csv"))}
        chosen = chosen_languages(self.languages, list(files), self.name)
        problems: list[Problem] = []
        pairs = parallel_pairs({language: files[language] for language in chosen}, "pair", problems)
        return PairCorpus(self.name, tuple(pairs), tuple(problems))
