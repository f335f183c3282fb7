"""What a corpus holds, and what in it may spoil a score: texts that are there twice, in two parts, empty or long."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from metasearch.core import AnyCorpus, Corpus, PairCorpus
from metasearch.core.corpus import Place
from metasearch.core.printable import printable
from metasearch.dataset.tables import is_blank

# In characters, because tokens depend on the model: four make about one, and models take 256 tokens or so of a text.
LONG = 4 * 256
# What is looked for -> how it is called, the worst first.
CHECKS = {
    "leak": "texts in two parts (without a split of the data's own: in two groups, which folds may part)",
    "unanswered": "questions that nothing answers",
    "duplicate": "texts that are there more than once",
    "empty": "texts that show nothing",
    "long": f"texts of more than {LONG} characters, which models cut",
    "distractor": "candidates that answer nothing",
}
_EXCERPT = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: a key of :data:`CHECKS`.
        what: which text, in words.
        ids: of the questions, candidates or pairs with that text.
        places: where they are, as far as that is known.
        text: its beginning; characters that cannot be seen are escaped.
    """

    check: str
    what: str
    ids: tuple[str, ...]
    places: tuple[Place, ...]
    text: str

    def __str__(self) -> str:
        places = ", ".join(f"{file}:{line}" for file, line in self.places[:4]) + (", ..." if len(self.places) > 4 else "")
        return f"{places or ', '.join(map(printable, self.ids[:4]))}: {self.what}: {self.text}"


def description(corpus: AnyCorpus, found: Sequence[Finding]) -> dict[str, Any]:
    """What a corpus holds, and what was :func:`found <findings>` in it, as plain values."""
    counts = Counter(f.check for f in found)
    return {
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        **(_of_tracks(corpus) if isinstance(corpus, PairCorpus) else _of_languages(corpus)),
        "groups": len(corpus.groups),
        "parts": dict(sorted(_sizes_of_parts(corpus).items())),
        "problems": [
            {"file": p.file, "line": p.line, "where": p.where, "what": p.what, "left_out": p.skipped} for p in corpus.problems
        ],
        "checks": {check: counts[check] for check in CHECKS},
        "findings": [
            {
                "check": f.check,
                "what": f.what,
                "ids": list(f.ids),
                "places": [{"file": file, "line": line} for file, line in f.places],
                "text": f.text,
            }
            for f in found
        ],
    }


# -- checks --------------------------------------------------------------------------------------------------------------


class _Item(NamedTuple):
    """A question, a candidate or a pair: ``texts`` has one text, or two."""

    side: str
    language: str
    id: str
    texts: tuple[str, ...]
    group: str
    place: Place | None


def findings(corpus: AnyCorpus) -> list[Finding]:
    """All that the checks find, in the order of :data:`CHECKS`.

    Two texts are the same if they differ only in case, white space, invisible characters and the like: after NFKC, case folding
    and the removal of format characters.
    """
    items = list(_items(corpus))
    found = [*_repeated(items, corpus), *_of_texts(items), *_unmatched(items, corpus)]
    order = list(CHECKS)
    return sorted(found, key=lambda f: order.index(f.check))


def _items(corpus: AnyCorpus) -> Iterator[_Item]:
    if isinstance(corpus, PairCorpus):
        for pair in corpus.pairs:
            yield _Item("pair", "_".join(pair.languages), pair.id, (pair.first, pair.second), pair.group, corpus.places.get(pair))
        return
    for q in corpus.questions:
        yield _Item("question", q.language, q.id, (q.text,), q.group, corpus.places.get(q))
    for c in corpus.candidates:
        yield _Item("candidate", c.language, c.id, (c.text,), c.group, corpus.places.get(c))


def _repeated(items: Sequence[_Item], corpus: AnyCorpus) -> Iterator[Finding]:
    same: dict[tuple[Any, ...], list[_Item]] = {}
    for item in items:
        same.setdefault((item.side, item.language, *map(_normalised, item.texts)), []).append(item)
    for alike in same.values():
        if len(alike) > 1:
            yield _finding("duplicate", f"{len(alike)} {alike[0].language} {alike[0].side}s with one text", alike)
            parts = list(dict.fromkeys(corpus.parts.get(item.group, f"group {item.group}") for item in alike))
            if len(parts) > 1:
                where = printable(" and ".join(parts[:4])) + (", ..." if len(parts) > 4 else "")
                yield _finding("leak", f"{alike[0].language} {alike[0].side} in {where}", alike)


def _of_texts(items: Sequence[_Item]) -> Iterator[Finding]:
    checks: dict[str, Callable[[str], bool]] = {"empty": is_blank, "long": lambda text: len(text) > LONG}
    for item in items:
        for check, fails in checks.items():
            if any(map(fails, item.texts)):
                length = max(map(len, item.texts))
                yield _finding(check, f"{item.language} {item.side} of {length} characters", [item])


def _unmatched(items: Sequence[_Item], corpus: AnyCorpus) -> Iterator[Finding]:
    if isinstance(corpus, PairCorpus):
        return
    there = {c.id for c in corpus.candidates}
    asked = {q.id for q in corpus.questions}
    answering = set().union(*(ids for i, ids in corpus.relevant.items() if i in asked))
    for item in items:
        if item.side == "question" and not (corpus.relevant.get(item.id, frozenset()) & there):
            yield _finding("unanswered", f"{item.language} question {printable(item.id)}", [item])
        if item.side == "candidate" and item.id not in answering:
            yield _finding("distractor", f"{item.language} candidate {printable(item.id)}", [item])


def _finding(check: str, what: str, items: Sequence[_Item]) -> Finding:
    text = " | ".join(items[0].texts)
    excerpt = printable(text[:_EXCERPT]) + ("..." if len(text) > _EXCERPT else "")
    places = tuple(item.place for item in items if item.place)
    return Finding(check, what, tuple(item.id for item in items), places, excerpt)


@lru_cache(maxsize=2**16)  # a sentence stands in many pairs
def _normalised(text: str) -> str:
    import regex  # type: ignore[import-untyped]

    return " ".join(regex.sub(r"\p{Cf}+", "", unicodedata.normalize("NFKC", text).casefold()).split())


# -- counts --------------------------------------------------------------------------------------------------------------


def _sizes_of_parts(corpus: AnyCorpus) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for group, part in corpus.parts.items():
        sizes[part] += corpus.group_sizes.get(group, 0)
    return sizes


def _of_tracks(corpus: PairCorpus) -> dict[str, Any]:
    return {
        "tracks": {
            "_".join(languages): {
                "pairs": len(pairs),
                "mean_score": sum(p.score for p in pairs) / len(pairs),
                "sentence_characters": _lengths([len(text) for p in pairs for text in (p.first, p.second)]),
            }
            for languages, pairs in corpus.tracks.items()
        }
    }


def _of_languages(corpus: Corpus) -> dict[str, Any]:
    ids = [{q.id for q in corpus.questions if q.language == language} for language in corpus.languages]
    return {
        "languages": {language: _of_language(corpus, language) for language in corpus.languages},
        "distinct_questions": len(set().union(*ids)),
        "parallel_questions": len(set.intersection(*ids)) if ids else 0,
    }


def _of_language(corpus: Corpus, language: str) -> dict[str, Any]:
    questions = [q for q in corpus.questions if q.language == language]
    candidates = [c for c in corpus.candidates if c.language == language]
    answers = {c.id for q in questions for c in corpus.answers.get((language, q.id), ())}
    return {
        "questions": len(questions),
        "candidates": len(candidates),
        "distinct_candidates": len({c.text for c in candidates}),
        "candidates_that_answer": len(answers),
        "question_characters": _lengths([len(q.text) for q in questions]),
        "candidate_characters": _lengths([len(c.text) for c in candidates]),
    }


def _lengths(lengths: list[int]) -> dict[str, int]:
    ordered = sorted(lengths) or [0]
    return {"median": ordered[len(ordered) // 2], "max": ordered[-1]}
