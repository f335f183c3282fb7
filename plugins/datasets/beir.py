"""BEIR folders: a corpus, queries and judgements, in one language or in several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from metasearch import Corpus, Dataset
from metasearch.core import Candidate, Problem
from metasearch.core.corpus import Place
from metasearch.dataset.tables import Row, columns_of, is_blank, read_rows, text_of
from metasearch.errors import DataError, did_you_mean
from metasearch_plugins.datasets.fields import UNKNOWN_LANGUAGE, id_of, language_of, optional_id, parts_of
from metasearch_plugins.datasets.files import folder_of
from metasearch_plugins.datasets.grouping import Draft, Text
from metasearch_plugins.datasets.stsb import chosen_languages

_JUDGEMENT = ("query-id", "corpus-id", "score")
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}\Z")


class BEIR(Dataset):
    """A folder in BEIR's format: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``.

    ``corpus.jsonl`` has ``_id``, ``text`` and maybe ``title``; ``queries.jsonl`` has ``_id`` and ``text``; ``qrels/SPLIT.tsv``
    has the header ``query-id corpus-id score``, and a score above 0 means relevant. Beyond BEIR, both JSON files may have
    ``language``, and ``group``, which is never split; queries may have ``question``: the same value in two languages is the same
    question, and what answers one answers the other.

    Where ``qrels`` holds ``train.tsv``, ``test.tsv`` and maybe ``dev.tsv``, and nothing else, that split is fold 0: candidates
    go where their questions are, those that answer nothing go to test. Any other data is split into five folds by group; what
    has no ``group`` is grouped by what hangs together (:class:`~metasearch_plugins.datasets.grouping.Draft`). To search the
    whole corpus, as BEIR's own figures do: ``data.split=test data.fold=none``.

    Left out and listed in ``Corpus.problems``: empty texts, queries that nothing answers, judgements of ids that are not there.

    Args:
        path: the folder.
        languages: which languages to read; None: all that are there.
        language: of texts without the field ``language``; None: ``und``, undetermined.
        split: which file of ``qrels`` to read; None: all of them.
        title: put a candidate's title and a space before its text.

    Reference: Thakur et al. 2021 (BEIR).
    """

    name = "beir"

    def __init__(
        self,
        path: str | None = None,
        languages: Sequence[str] | None = None,
        language: str | None = None,
        split: str | None = None,
        title: bool = True,
    ) -> None:
        self.path = path
        self.languages = None if languages is None else list(languages)
        self.language = language or UNKNOWN_LANGUAGE
        self.split = split
        self.title = title

    @classmethod
    def reads(cls, path: Path) -> bool:
        return (path / "corpus.jsonl").is_file()

    @classmethod
    def documents(cls, path: Path) -> Iterator[Candidate]:
        reader = cls(path=str(path))
        for row, item in reader.texts(path / "corpus.jsonl"):
            if not is_blank(item.text):
                yield Candidate(id_of(row, "_id", path / "corpus.jsonl"), item.language, item.text, item.group or "")

    def load(self) -> Corpus:
        folder = folder_of(self.path, self.name, "corpus.jsonl, queries.jsonl and qrels/*.tsv")
        qrels = self._judgement_files(folder)
        draft = Draft()
        known = self._read_corpus(folder / "corpus.jsonl", draft)
        queries = self._read_queries(folder / "queries.jsonl", draft)
        _judge(qrels, parts_of(qrels), queries, known, draft)
        _drop_unanswered(queries, draft, self.split is None)
        if not draft.questions:
            names = ", ".join(file.name for file in qrels)
            raise DataError(
                f"{folder / 'qrels'}: nothing in {names} says that a text that is there answers a query that is there"
            )
        corpus = draft.corpus(self.name, self.dev_share)
        return corpus.of_languages(chosen_languages(self.languages, corpus.languages, str(folder)))

    def texts(self, file: Path) -> Iterator[tuple[Row, Text]]:
        """The texts of a JSON lines file, titles before them where there are any."""
        for row in read_rows(file):
            text = text_of(row, "text", file)
            if self.title and row.values.get("title") not in (None, ""):
                text = f"{text_of(row, 'title', file)} {text}".strip()
            language = language_of(row, ["language"], file, self.language)
            yield row, Text(language, text, optional_id(row, "group", file), (str(file), row.line))

    def _judgement_files(self, folder: Path) -> list[Path]:
        for name in ("corpus.jsonl", "queries.jsonl"):
            if not (folder / name).is_file():
                raise DataError(f"data.path={folder}: {name} is missing; there is {_listing(folder)}")
        files = sorted((folder / "qrels").glob("*.tsv"))
        if not files:
            where = f"in qrels there is {_listing(folder / 'qrels')}" if (folder / "qrels").is_dir() else "qrels is missing"
            raise DataError(f"data.path={folder}: no qrels/*.tsv; {where}")
        if self.split is None:
            return files
        chosen = [file for file in files if file.stem == self.split]
        if not chosen:
            names = [file.stem for file in files]
            raise DataError(
                f"data.split={self.split}: {did_you_mean(self.split, names)}{folder / 'qrels'} has {', '.join(names)}"
            )
        return chosen

    def _read_corpus(self, file: Path, draft: Draft) -> set[str]:
        """Ids of all texts, those included that were left out."""
        lines: dict[str, int] = {}
        for row, item in self.texts(file):
            candidate_id = _new_id(row, file, lines)
            if is_blank(item.text):
                draft.leave_out(item.place, f"text {candidate_id}", "empty text")
            else:
                draft.candidates[candidate_id] = item
        return set(lines)

    def _read_queries(self, file: Path, draft: Draft) -> dict[str, _Query]:
        """``_id`` -> query; empty ones have no question."""
        lines: dict[str, int] = {}
        queries: dict[str, _Query] = {}
        for row in read_rows(file):
            query_id = _new_id(row, file, lines)
            text, place = text_of(row, "text", file), (str(file), row.line)
            question_id = optional_id(row, "question", file) or query_id
            language = language_of(row, ["language"], file, self.language)
            if is_blank(text):
                queries[query_id] = _Query(None, language, place)
                draft.leave_out(place, f"query {query_id}", "empty text")
                continue
            queries[query_id] = _Query(question_id, language, place)
            item = Text(language, text, optional_id(row, "group", file), place)
            other = draft.questions.setdefault((language, question_id), item)
            if other is not item:
                raise DataError(
                    f"{file}:{row.line}: question {question_id!r} has another text in {language} at line {other.place[1]}; "
                    "one text per question and language"
                )
        return queries


class _Query(NamedTuple):
    """A line of ``queries.jsonl``: its cross-lingual id, None if it was left out; its language; where it is."""

    question: str | None
    language: str
    place: Place


def _new_id(row: Row, file: Path, lines: dict[str, int]) -> str:
    found = id_of(row, "_id", file)
    other = lines.setdefault(found, row.line)
    if other != row.line:
        raise DataError(f"{file}:{row.line}: the _id {found!r} is at line {other} already")
    return found


def _judge(files: Sequence[Path], parts: dict[Path, str], queries: dict[str, _Query], known: set[str], draft: Draft) -> None:
    """Read judgements into the draft: who answers whom, who is known not to, which part a question is in."""
    for file in files:
        columns = columns_of(file)
        if not set(_JUDGEMENT) <= set(columns):
            raise DataError(f"{file}:1: expected the columns {', '.join(_JUDGEMENT)}; found {', '.join(columns)}")
        for row in read_rows(file):
            query_id, candidate_id, score = (text_of(row, column, file) for column in _JUDGEMENT)
            place = (str(file), row.line)
            points = _points(score, place, draft)
            if query_id not in queries:
                draft.leave_out(place, f"query {query_id}", "judged, but not in queries.jsonl")
            elif candidate_id not in known:
                draft.leave_out(place, f"text {candidate_id}", "judged, but not in corpus.jsonl")
            elif (question_id := queries[query_id].question) is not None and candidate_id in draft.candidates:
                if points > 0:
                    draft.relevant.setdefault(question_id, {}).setdefault(candidate_id, place)
                else:
                    draft.wrong.setdefault(candidate_id, question_id)
                if parts:
                    draft.put_in_part(question_id, parts[file], place)


def _points(score: str, place: Place, draft: Draft) -> int:
    if not _WHOLE.match(score.strip()):
        raise DataError(f"{place[0]}:{place[1]}: 'score': expected a whole number, found {score[:40]!r}")
    points = int(score)
    if points < 0:  # as in TREC-COVID
        draft.problems.append(Problem(*place, "score", f"a score below 0 ({points}) counts as 0: not relevant"))
    return points


def _drop_unanswered(queries: dict[str, _Query], draft: Draft, tell: bool) -> None:
    """Leave out questions that nothing answers; without ``tell`` in silence, as those of other splits."""
    for query_id, (question_id, language, place) in queries.items():
        if question_id is not None and question_id not in draft.relevant:
            del draft.questions[language, question_id]
            draft.parts.pop(question_id, None)
            if tell:
                draft.leave_out(place, f"query {query_id}", "nothing answers it")


def _listing(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
