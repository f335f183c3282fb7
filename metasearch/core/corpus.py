"""Questions, candidates and who answers whom: what a data set is once it has been read."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property


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
    """

    name: str
    questions: tuple[Question, ...]
    candidates: tuple[Candidate, ...]
    relevant: Mapping[str, frozenset[str]]
    problems: tuple[Problem, ...] = field(default=(), repr=False)

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
        digest = hashlib.sha256()
        for row in sorted((q.language, q.id, q.text, q.group) for q in self.questions):
            digest.update("\x1f".join(("q", *row, "")).encode("utf-8", "surrogatepass"))
        for row in sorted((c.language, c.id, c.text, c.group) for c in self.candidates):
            digest.update("\x1f".join(("c", *row, "")).encode("utf-8", "surrogatepass"))
        for question_id in sorted(self.relevant):
            ids = sorted(self.relevant[question_id])
            digest.update("\x1f".join(("r", question_id, *ids, "")).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def of_groups(self, groups: Collection[str]) -> Corpus:
        """The part of the corpus that lies in ``groups``: its questions, its candidates, their judgements."""
        return self._where(lambda item: item.group in groups, problems=())

    def of_languages(self, languages: Iterable[str]) -> Corpus:
        """The part of the corpus in ``languages`` (questions and candidates)."""
        wanted = set(languages)
        return self._where(lambda item: item.language in wanted, problems=self.problems)

    def _where(self, wanted: Callable[[Question | Candidate], bool], problems: tuple[Problem, ...]) -> Corpus:
        questions = tuple(q for q in self.questions if wanted(q))
        candidates = tuple(c for c in self.candidates if wanted(c))
        kept = {c.id for c in candidates}
        ids = {q.id for q in questions}
        relevant = {i: self.relevant[i] & kept for i in sorted(ids) if i in self.relevant}
        return Corpus(self.name, questions, candidates, relevant, problems)
