"""What a data set is once it has been read: questions, candidates and who answers whom; or scored sentence pairs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from metasearch.core.encoder import CANDIDATE, QUERY, Side

Place = tuple[str, int]  # path of a file, 1-based line


@dataclass(frozen=True, slots=True)
class Question:
    """One question in one language.

    Attributes:
        id: cross-lingual id; the same id in two languages is the same question.
        language: language code, for example ``"ar"``.
        text: the question, without any prompt.
        group: what must not be split between train, dev and test (the article, for XQuAD-R).
    """

    id: str
    language: str
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One text that may answer questions.

    Attributes:
        id: unique in the whole corpus; equal scores are ordered by it.
        language: language code.
        text: what is encoded (with ``data.context=true``: the sentence, a space, its paragraph).
        group: see :class:`Question`.
    """

    id: str
    language: str
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd in a data file, found while reading it.

    Attributes:
        file: path of the file.
        line: 1-based line, or 0 where it is unknown.
        where: place inside the file, for example ``data[3].paragraphs[0].qas[2]``.
        what: what is wrong, in words.
        skipped: whether the record was left out because of it.
    """

    file: str
    line: int
    where: str
    what: str
    skipped: bool = False

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}: {self.where}: {self.what}" + (" (left out)" if self.skipped else "")


@dataclass(frozen=True)
class Corpus:
    """A retrieval data set in memory.

    Attributes:
        name: for reports, for example ``"xquad-r"``.
        questions: all questions of all languages.
        candidates: all candidates of all languages.
        relevant: question id -> ids of the candidates that answer it, in every language.
        problems: what was odd while reading.
        parts: group -> ``"train"``, ``"dev"`` or ``"test"``, where the data comes with a split of its own; else empty.
        places: where questions and candidates come from, (file, 1-based line), where that is known. Not part of the data:
            neither equality nor the fingerprint looks at it.
    """

    name: str
    questions: tuple[Question, ...]
    candidates: tuple[Candidate, ...]
    relevant: Mapping[str, frozenset[str]]
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    parts: Mapping[str, str] = field(default_factory=dict, repr=False)
    places: Mapping[Question | Candidate, Place] = field(default_factory=dict, repr=False, compare=False)

    kind: ClassVar[str] = "triplets"

    def __bool__(self) -> bool:
        return bool(self.questions)

    @cached_property
    def group_sizes(self) -> dict[str, int]:
        """Group -> its questions; a question counts once however many languages have it. In order of group."""
        sizes = dict.fromkeys(self.groups, 0)
        for group in {q.id: q.group for q in self.questions}.values():
            sizes[group] += 1
        return sizes

    @cached_property
    def texts(self) -> dict[Side, list[str]]:
        """What scoring encodes: distinct texts by side."""
        return {
            QUERY: list(dict.fromkeys(q.text for q in self.questions)),
            CANDIDATE: list(dict.fromkeys(c.text for c in self.candidates)),
        }

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Language codes of questions and candidates, sorted."""
        return tuple(sorted({q.language for q in self.questions} | {c.language for c in self.candidates}))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups (articles) that hold questions or candidates, sorted."""
        return tuple(sorted({q.group for q in self.questions} | {c.group for c in self.candidates}))

    @cached_property
    def question_texts(self) -> dict[tuple[str, str], Question]:
        """``(language, question id)`` -> question."""
        return {(q.language, q.id): q for q in self.questions}

    @cached_property
    def candidates_of(self) -> dict[str, list[Candidate]]:
        """Language -> its candidates, in order of id."""
        found: dict[str, list[Candidate]] = {language: [] for language in self.languages}
        for candidate in sorted(self.candidates, key=lambda c: c.id):
            found[candidate.language].append(candidate)
        return found

    @cached_property
    def answers(self) -> dict[tuple[str, str], list[Candidate]]:
        """``(candidate language, question id)`` -> relevant candidates in that language, in order of id."""
        by_id = {c.id: c for c in self.candidates}
        found: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
        for question_id, ids in self.relevant.items():
            for candidate_id in sorted(ids):
                if candidate_id in by_id:
                    candidate = by_id[candidate_id]
                    found[candidate.language, question_id].append(candidate)
        return dict(found)

    def answerable(self, question_language: str, candidate_language: str) -> list[str]:
        """Ids of the questions in one language that have an answer in another, sorted."""
        key = (question_language, candidate_language)
        if key not in self._answerable:
            self._answerable[key] = sorted(
                q.id for q in self.questions if q.language == question_language and (candidate_language, q.id) in self.answers
            )
        return self._answerable[key]

    @cached_property
    def _answerable(self) -> dict[tuple[str, str], list[str]]:
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every question, candidate and judgement: equal when the data is equal."""
        questions = sorted(("q", q.language, q.id, q.text, q.group) for q in self.questions)
        candidates = sorted(("c", c.language, c.id, c.text, c.group) for c in self.candidates)
        judgements = (("r", question_id, *sorted(self.relevant[question_id])) for question_id in sorted(self.relevant))
        return _digest([*questions, *candidates, *judgements])

    def of_groups(self, groups: Collection[str]) -> Corpus:
        """The part of the corpus that lies in ``groups``: its questions, its candidates, their judgements."""
        return self._where(lambda item: item.group in groups, (), {})

    def joined(self, other: Corpus) -> Corpus:
        """Both corpora as one. Groups, candidate ids and the questions of a language must not occur in both."""
        relevant = dict(self.relevant)
        for question_id, ids in other.relevant.items():
            relevant[question_id] = relevant.get(question_id, frozenset()) | ids
        return Corpus(
            self.name,
            self.questions + other.questions,
            self.candidates + other.candidates,
            relevant,
            self.problems + other.problems,
        )

    def of_languages(self, languages: Iterable[str]) -> Corpus:
        """The part of the corpus in ``languages`` (questions and candidates)."""
        wanted = set(languages)
        return self._where(lambda item: item.language in wanted, self.problems, self.parts)

    def _where(
        self, wanted: Callable[[Question | Candidate], bool], problems: tuple[Problem, ...], parts: Mapping[str, str]
    ) -> Corpus:
        questions = tuple(q for q in self.questions if wanted(q))
        candidates = tuple(c for c in self.candidates if wanted(c))
        kept = {c.id for c in candidates}
        ids = {q.id for q in questions}
        relevant = {i: self.relevant[i] & kept for i in sorted(ids) if i in self.relevant}
        return Corpus(self.name, questions, candidates, relevant, problems, parts, self.places)


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences and how alike they are.

    Attributes:
        id: unique within its languages; the same id in two language pairs is the same pair, translated.
        languages: of the first and of the second sentence.
        first, second: the sentences, without any prompt.
        score: gold similarity, 0 (different topics) to 1 (equivalent).
        group: what must not be split between train, dev and test.
    """

    id: str
    languages: tuple[str, str]
    first: str
    second: str
    score: float
    group: str

    def swapped(self) -> SentencePair:
        """The same pair, second sentence first: similarity is symmetric."""
        return SentencePair(self.id, self.languages[::-1], self.second, self.first, self.score, self.group)


@dataclass(frozen=True)
class PairCorpus:
    """Scored sentence pairs in memory (symmetric search).

    Attributes:
        name: for reports, for example ``"sts2017"``.
        pairs: all pairs of all language pairs (tracks).
        problems: what was odd while reading.
        parts: group -> ``"train"``, ``"dev"`` or ``"test"``, where the data comes with a split of its own; else empty.
        places: where pairs come from (see :class:`Corpus`).
    """

    name: str
    pairs: tuple[SentencePair, ...]
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    parts: Mapping[str, str] = field(default_factory=dict, repr=False)
    places: Mapping[SentencePair, Place] = field(default_factory=dict, repr=False, compare=False)

    kind: ClassVar[str] = "pairs"

    def __bool__(self) -> bool:
        return bool(self.pairs)

    @cached_property
    def texts(self) -> dict[Side, list[str]]:
        """What scoring encodes: distinct sentences, all as queries."""
        return {QUERY: list(dict.fromkeys(text for pair in self.pairs for text in (pair.first, pair.second))), CANDIDATE: []}

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Language codes of the sentences, sorted."""
        return tuple(sorted({language for pair in self.pairs for language in pair.languages}))

    @cached_property
    def tracks(self) -> dict[tuple[str, str], list[SentencePair]]:
        """(first language, second language) -> its pairs, in order of id. Sorted by languages."""
        found: dict[tuple[str, str], list[SentencePair]] = {}
        for pair in sorted(self.pairs, key=lambda p: (p.languages, p.id)):
            found.setdefault(pair.languages, []).append(pair)
        return found

    def pairs_of(self, first: str, second: str) -> list[SentencePair]:
        """Pairs of two languages, turned round where the data has them the other way round only; empty if it has none."""
        key = (first, second)
        if key not in self._pairs_of:
            self._pairs_of[key] = self.tracks.get(key) or [pair.swapped() for pair in self.tracks.get((second, first), ())]
        return self._pairs_of[key]

    @cached_property
    def _pairs_of(self) -> dict[tuple[str, str], list[SentencePair]]:
        return {}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups that hold pairs, sorted."""
        return tuple(sorted({pair.group for pair in self.pairs}))

    @cached_property
    def group_sizes(self) -> dict[str, int]:
        """Group -> its distinct pair ids. In order of group."""
        sizes = dict.fromkeys(self.groups, 0)
        for _, group in {(pair.id, pair.group) for pair in self.pairs}:
            sizes[group] += 1
        return sizes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every pair: equal when the data is equal."""
        return _digest(sorted(("p", *p.languages, p.id, p.first, p.second, repr(p.score), p.group) for p in self.pairs))

    def of_groups(self, groups: Collection[str]) -> PairCorpus:
        """The part of the corpus that lies in ``groups``."""
        return PairCorpus(self.name, tuple(pair for pair in self.pairs if pair.group in groups))

    def joined(self, other: PairCorpus) -> PairCorpus:
        """Both corpora as one. Groups must not occur in both."""
        return PairCorpus(self.name, self.pairs + other.pairs, self.problems + other.problems)


AnyCorpus = Corpus | PairCorpus


def _digest(rows: Iterable[tuple[str, ...]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\x1f".join((*row, "")).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
