"""BM25: search by the words that question and candidate share, the baseline without any training."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import regex  # type: ignore[import-untyped]

from metasearch.core import Encoder, Side
from metasearch.errors import ConfigError

if TYPE_CHECKING:
    import torch

# Characters of scripts that put no space between words, each with the marks that sit on it. Scripts are matched by Script and not
# by Script_Extensions, which would take marks that Latin letters also bear; the prolonged sound mark of kana needs naming then.
_SCRIPTS = "".join(rf"\p{{Script={name}}}" for name in ("Thai", "Lao", "Khmer", "Myanmar", "Han", "Hiragana", "Katakana"))
_UNSPACED = rf"[[{_SCRIPTS}\u30FC]&&[\p{{L}}\p{{M}}\p{{N}}--\p{{Nd}}]]"
_CHARACTER = regex.compile(rf"(?V1){_UNSPACED}\p{{M}}*")
_RUN = regex.compile(rf"(?V1)(?P<unspaced>(?:{_UNSPACED}\p{{M}}*)+)|(?:(?!{_UNSPACED})[\p{{L}}\p{{M}}\p{{N}}])+")
# Joiners, soft hyphens, direction marks: invisible inside words. The zero-width space stays, because it separates words.
_INVISIBLE = regex.compile(r"(?V1)[\p{Default_Ignorable_Code_Point}--\u200B]")
_QUERIES_AT_ONCE = 256


def tokenize(text: str) -> list[str]:
    """Split a text into terms, the same way for all languages: no stop words, no stemming.

    The text is brought to NFKC and case-folded, and invisible characters are dropped (together Unicode's NFKC_Casefold). A term
    is a run of letters, combining marks and digits. Scripts without spaces (Thai, Lao, Khmer, Myanmar, Han, kana) give
    overlapping pairs of characters, as Lucene's CJK analyzer does, where a letter and its marks are one character; one that
    stands alone is a term.

    Example:
        >>> tokenize("Die Größe der STADT, 2019")
        ['die', 'grösse', 'der', 'stadt', '2019']
        >>> tokenize("東京都2019年")
        ['東京', '京都', '2019', '年']
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold())
    terms: list[str] = []
    for run in _RUN.finditer(folded):
        characters: list[str] = _CHARACTER.findall(run.group()) if run["unspaced"] else []
        if len(characters) > 1:
            terms += [first + second for first, second in pairwise(characters)]
        else:
            terms.append(run.group())
    return terms


class BM25Encoder(Encoder):
    """BM25 scores, computed by ``bm25s``. There are no vectors and nothing to train: it works with ``algo=zero-shot`` only.

    Args:
        k1: how soon repetitions of a term stop counting; 0: at the first.
        b: how much long candidates are marked down, 0 to 1.
        method: ``"lucene"`` (idf = ln(1 + (N - df + 0.5) / (df + 0.5)), never negative), ``"robertson"`` (the same without
            "1 +", and 0 for terms in more than half of the candidates) or ``"atire"`` (ln(N / df), and tf times k1 + 1). See
            Kamphuis et al. 2020, "Which BM25 do you mean?".

    Reference: Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond".
    """

    kind = "triplets"
    trainable: ClassVar[bool] = False

    def __init__(self, k1: float = 1.2, b: float = 0.75, method: str = "lucene") -> None:
        self.k1, self.b, self.method = k1, b, method

    def similarity(
        self, queries: Sequence[str], candidates: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Score every query against every candidate.

        Args:
            queries: any number of texts.
            candidates: the collection: document frequencies and the average length are taken from exactly these texts.
            progress: called with the number of texts done since the last call; candidates first.

        Returns:
            float32 ``(len(queries), len(candidates))``: 0 where no term is shared, never less. Equal candidates score exactly
            equal.
        """
        import bm25s  # type: ignore[import-untyped]

        terms = [tokenize(text) for text in candidates]
        scores = np.zeros((len(queries), len(candidates)), dtype=np.float32)
        index = bm25s.BM25(k1=self.k1, b=self.b, method=self.method)
        index.vocab_dict = {}  # what it knows when no candidate has a term, which bm25s cannot index
        if any(terms):
            index.index(terms, create_empty_token=False, show_progress=False)
        if progress:
            progress(len(candidates))
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = queries[start : start + _QUERIES_AT_ONCE]
            for row, query in enumerate(part, start):
                if known := index.get_tokens_ids(tokenize(query)):
                    scores[row] = index.get_scores_from_ids(known)
            if progress:
                progress(len(part))
        return scores

    def describe(self) -> dict[str, Any]:
        return {"model": f"BM25 ({self.method}, k1 {self.k1:g}, b {self.b:g})", "parameters": 0}

    @property
    def device(self) -> torch.device:
        import torch

        return torch.device("cpu")

    def to(self, device: str, precision: str = "float32") -> None:
        """Stay where it is: BM25 is computed on the CPU, in float32, whatever is asked for."""

    # -- what an encoder with parameters does ----------------------------------------------------------------------------

    def parameters(self) -> dict[str, torch.Tensor]:
        return {}

    def load_parameters(self, params: Mapping[str, torch.Tensor]) -> None:
        if params:
            _cannot()

    @property
    def dimension(self) -> int:
        """Not defined.

        Raises:
            ConfigError: always, as do all methods that need parameters or vectors.
        """
        _cannot()

    def prepare(self, sets: Sequence[Any]) -> NoReturn:
        _cannot()

    def embed(self, params: Mapping[str, torch.Tensor], prepared: Any, index: int) -> NoReturn:
        _cannot()

    def encode(
        self, texts: Sequence[str], side: Side, batch_size: int = 32, progress: Callable[[int], None] | None = None
    ) -> NoReturn:
        _cannot()

    def save(self, path: Path, model_card: str) -> NoReturn:
        """There is no model: the configuration says all. A caller looks at ``trainable`` and leaves saving out.

        Raises:
            ConfigError: always; nothing is written.
        """
        _cannot()


def _cannot() -> NoReturn:
    raise ConfigError(
        "encoder=bm25 has no parameters and no vectors: it can only be scored; use algo=zero-shot, or an encoder with a model"
    )
