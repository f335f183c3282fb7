"""Plain tables of one's own: anchors with positives and negatives, or scored sentence pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metasearch import Corpus, Dataset
from metasearch.core import PairCorpus, Problem, SentencePair, expand
from metasearch.core.corpus import Place
from metasearch.dataset.tables import Row, columns_of, is_blank, is_table, read_rows, text_of
from metasearch.errors import DataError
from metasearch_plugins.datasets.fields import UNKNOWN_LANGUAGE, language_of, optional_id, parts_of
from metasearch_plugins.datasets.grouping import Draft, Text, connected, dev_groups
from metasearch_plugins.datasets.stsb import chosen_languages

# What a column holds -> names it may have, sentence-transformers' first.
_RETRIEVAL = {"anchor": ("anchor", "query", "question"), "positive": ("positive", "answer")}
_SCORED = {"sentence1": ("sentence1",), "sentence2": ("sentence2",), "score": ("score", "label")}
_NEGATIVE = re.compile(r"negative(_\d+)?\Z")


class Pairs(Dataset):
    """Rows of ``anchor``, ``positive`` and maybe ``negative``: questions with the texts that answer them.

    A file, or a folder of files, each CSV, TSV, JSON lines or Parquet by its extension. Columns are named as
    sentence-transformers names them; ``query`` or ``question`` also stands for ``anchor``, ``answer`` for ``positive``; there
    may be any number of negatives, ``negative``, ``negative_1``, ... Beside them: ``language``, or ``anchor_language`` and
    ``positive_language`` (which is the negatives' too); ``id``, the same for one question in several languages; ``group``, which
    is never split. Other columns are ignored.

    The same anchor in the same language (or with the same ``id``) is one question that has several answers; the same text in the
    same language is one candidate, whether positive or negative. A negative is a candidate like any other: samplers may draw it
    for its anchor, or for another. Without ``group``, rows that share an anchor or a positive stay together
    (:class:`~metasearch_plugins.datasets.grouping.Draft`). Files called ``train``, ``test`` and maybe ``dev`` (``validation``),
    and no others, are a split of the data's own: fold 0.

    Args:
        path: the file or folder.
        languages: which languages to read; None: all that are there.
        language: of rows that do not say; None: ``und``, undetermined.
    """

    name = "pairs"

    def __init__(self, path: str | None = None, languages: Sequence[str] | None = None, language: str | None = None) -> None:
        self.path = path
        self.languages = None if languages is None else list(languages)
        self.language = language or UNKNOWN_LANGUAGE

    @classmethod
    def reads(cls, path: Path) -> bool:
        return _any_has(path, _RETRIEVAL)

    def load(self) -> Corpus:
        draft = Draft()
        reader = _RetrievalReader(draft, self.language)
        files = _files(self.path, self.name)
        parts = parts_of(files)
        for file in files:
            columns = _columns(file, _RETRIEVAL, "anchor (or query, question) and positive (or answer)", self.name)
            for row in read_rows(file):
                reader.read(row, file, columns, parts.get(file))
        reader.report_contradictions()
        if not draft.questions:
            raise DataError(f"data.path={self.path}: holds no rows with an anchor and a positive")
        corpus = draft.corpus(self.name, self.dev_share)
        return corpus.of_languages(chosen_languages(self.languages, corpus.languages, str(self.path)))


class _RetrievalReader:
    """Collects rows over files: the same text is the same question, or candidate."""

    def __init__(self, draft: Draft, language: str) -> None:
        self.draft = draft
        self.language = language
        self.rows = 0
        self.question_ids: dict[tuple[str, str], str] = {}  # (language, text) -> id, of anchors without one
        self.candidate_ids: dict[tuple[str, str], str] = {}  # (language, text) -> id
        self.negatives: list[tuple[str, str, Place]] = []  # question id, candidate id, where

    def read(self, row: Row, file: Path, columns: Mapping[str, str], part: str | None) -> None:
        self.rows += 1
        place = (str(file), row.line)
        anchor, positive = text_of(row, columns["anchor"], file), text_of(row, columns["positive"], file)
        if is_blank(anchor) or is_blank(positive):
            self.draft.leave_out(place, f"row {self.rows}", f"empty {columns['anchor' if is_blank(anchor) else 'positive']}")
            return
        question_id = self._question(row, file, anchor)
        if part is not None:
            self.draft.put_in_part(question_id, part, place)
        language = language_of(row, ["positive_language", "language"], file, self.language)
        group = optional_id(row, "group", file)
        candidate_id = self._candidate(Text(language, positive, group, place), "positive")
        self.draft.relevant.setdefault(question_id, {}).setdefault(candidate_id, place)
        for column in filter(_NEGATIVE.match, row.values):
            if row.values[column] is not None and not is_blank(text := text_of(row, column, file)):
                wrong = self._candidate(Text(language, text, None, place), column)
                self.draft.wrong.setdefault(wrong, question_id)
                self.negatives.append((question_id, wrong, place))

    def report_contradictions(self) -> None:
        for question_id, candidate_id, place in self.negatives:
            if candidate_id in self.draft.relevant[question_id]:
                what = "is a positive of the same anchor elsewhere, which counts"
                self.draft.problems.append(Problem(*place, f"negative of question {question_id}", what))

    def _question(self, row: Row, file: Path, text: str) -> str:
        language = language_of(row, ["anchor_language", "language"], file, self.language)
        own = optional_id(row, "id", file)
        question_id = own or self.question_ids.setdefault((language, text), f"row-{self.rows:06d}")
        item = Text(language, text, optional_id(row, "group", file), (str(file), row.line))
        other = self.draft.questions.setdefault((language, question_id), item)
        if other.text != text:
            raise DataError(
                f"{file}:{row.line}: 'id': {question_id!r} is another question in {language} at "
                f"{other.place[0]}:{other.place[1]}; the same id is the same question in another language"
            )
        return question_id

    def _candidate(self, item: Text, column: str) -> str:
        candidate_id = self.candidate_ids.setdefault((item.language, item.text), f"row-{self.rows:06d}-{column}")
        self.draft.candidates.setdefault(candidate_id, item)
        return candidate_id


class ScoredPairs(Dataset):
    """Rows of ``sentence1``, ``sentence2`` and ``score`` (or ``label``): how alike two sentences are.

    A file, or a folder of files, each CSV, TSV, JSON lines or Parquet by its extension. Beside those columns: ``language``, or
    ``sentence1_language`` and ``sentence2_language``; ``id``, the same for one pair in several languages; ``group``, which is
    never split. Other columns are ignored. Without ``group``, rows that share an ``id`` or a sentence stay together. Files called
    ``train``, ``test`` and maybe ``dev`` (``validation``), and no others, are a split of the data's own: fold 0.

    Args:
        path: the file or folder.
        languages: only pairs of these languages; None: all.
        language: of rows that do not say; None: ``und``, undetermined.
        score_max: the score of two sentences that say the same; scores go from 0 to it, and are divided by it.
    """

    kind = "pairs"
    name = "scored-pairs"

    def __init__(
        self,
        path: str | None = None,
        languages: Sequence[str] | None = None,
        language: str | None = None,
        score_max: float = 1.0,
    ) -> None:
        self.path = path
        self.languages = None if languages is None else list(languages)
        self.language = language or UNKNOWN_LANGUAGE
        self.score_max = score_max

    @classmethod
    def reads(cls, path: Path) -> bool:
        return _any_has(path, _SCORED)

    def load(self) -> PairCorpus:
        files = _files(self.path, self.name)
        parts = parts_of(files)
        problems: list[Problem] = []
        rows = [row for file in files for row in self._rows(file, parts.get(file), problems)]
        if not rows:
            raise DataError(f"data.path={self.path}: holds no pairs")
        _check_ids(rows)
        groups, part_of = _groups(rows, self.dev_share)
        there = sorted({language for row in rows for language in row.languages})
        chosen = set(chosen_languages(self.languages, there, str(self.path)))
        places = {}
        for number, (row, group) in enumerate(zip(rows, groups, strict=True), 1):
            if chosen.issuperset(row.languages):
                pair_id = row.id or f"row-{number:06d}"
                places[SentencePair(pair_id, row.languages, row.first, row.second, row.score, group)] = row.place
        if not places:
            raise DataError(f"data.languages={self.languages}: {self.path} has no pairs of these languages alone")
        return PairCorpus(self.name, tuple(places), tuple(problems), part_of, places)

    def _rows(self, file: Path, part: str | None, problems: list[Problem]) -> Iterator[_ScoredRow]:
        columns = _columns(file, _SCORED, "sentence1, sentence2 and score (or label)", self.name)
        for row in read_rows(file):
            first, second = text_of(row, columns["sentence1"], file), text_of(row, columns["sentence2"], file)
            score = self._score(row, columns["score"], file)
            if is_blank(first) or is_blank(second):
                what = f"empty {columns['sentence1' if is_blank(first) else 'sentence2']}"
                problems.append(Problem(str(file), row.line, "row", what, skipped=True))
                continue
            one = language_of(row, ["sentence1_language", "language"], file, self.language)
            other = language_of(row, ["sentence2_language", "language"], file, self.language)
            pair_id, group = optional_id(row, "id", file), optional_id(row, "group", file)
            yield _ScoredRow(pair_id, (one, other), first, second, score, group, part, (str(file), row.line))

    def _score(self, row: Row, column: str, file: Path) -> float:
        written = row.values.get(column)
        try:
            score = float("nan") if written is None or isinstance(written, bool) else float(written)
        except (TypeError, ValueError, OverflowError):
            score = float("nan")
        if not 0 <= score <= self.score_max:
            raise DataError(
                f"{file}:{row.line}: {column!r}: expected a number from 0 to {self.score_max:g} (data.score_max), "
                f"found {str(written)[:40]!r}"
            )
        return score / self.score_max


class _ScoredRow(NamedTuple):
    """A scored pair as it was read; ``id``, ``group`` and ``part`` are None where the data gives none."""

    id: str | None
    languages: tuple[str, str]
    first: str
    second: str
    score: float
    group: str | None
    part: str | None
    place: Place


def _check_ids(rows: Sequence[_ScoredRow]) -> None:
    """Raise DataError where an id stands twice for the same languages, or would be parted by groups or by the data's split."""
    in_languages: dict[tuple[Any, ...], _ScoredRow] = {}
    first: dict[str, _ScoredRow] = {}
    for row in rows:
        if row.id is None:
            continue
        file, line = row.place
        other = in_languages.setdefault((row.languages, row.id), row)
        if other is not row:
            raise DataError(
                f"{file}:{line}: 'id': {row.id!r} is another pair of {'_'.join(row.languages)} at {_spoken(other.place)}; "
                "the same id is the same pair in other languages"
            )
        other = first.setdefault(row.id, row)
        if (row.group, row.part) != (other.group, other.part):
            kept = "group" if row.group != other.group else "part"
            raise DataError(f"{file}:{line}: 'id': {row.id!r} is of another {kept} at {_spoken(other.place)}")


def _spoken(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def _groups(rows: Sequence[_ScoredRow], dev_share: float) -> tuple[list[str], dict[str, str]]:
    """The group of each row, and group -> part where the data comes with a split of its own."""
    edges = []
    for number, row in enumerate(rows):
        sides = [(language, text) for language, text in zip(row.languages, (row.first, row.second), strict=True)]
        edges += [(number, node) for node in ((row.id,) if row.id else number, *sides)]
    component = connected(edges)
    names: dict[int, str] = {}
    for number, row in enumerate(rows):
        names.setdefault(component[number], row.id or f"row-{number + 1:06d}")
    groups = [row.group or names[component[number]] for number, row in enumerate(rows)]
    if not rows[0].part:
        return groups, {}
    parts = [row.part for row in rows]
    if "dev" not in parts:
        sizes: dict[str, int] = {}
        for group, part in zip(groups, parts, strict=True):
            if part == "train":
                sizes[group] = sizes.get(group, 0) + 1
        dev = dev_groups(sizes, dev_share)
        parts = ["dev" if part == "train" and group in dev else part for group, part in zip(groups, parts, strict=True)]
    groups = [f"{part}-{group}" for group, part in zip(groups, parts, strict=True)]
    return groups, {group: group.partition("-")[0] for group in groups}


# -- files and columns ---------------------------------------------------------------------------------------------------


def _files(path: str | None, name: str) -> list[Path]:
    if path is None:
        raise DataError(f"data.path is not set: data={name} needs a .csv, .tsv, .jsonl or .parquet file, or a folder of them")
    place = expand(path, "data.path")
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"data.path={place}: no such file or folder")
    files = _tables(place)
    if not files:
        there = ", ".join(sorted(file.name for file in place.iterdir())[:12]) or "nothing"
        raise DataError(f"data.path={place}: no .csv, .tsv, .jsonl or .parquet files in it; there is {there}")
    return files


def _tables(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.iterdir()) if file.is_file() and is_table(file) and not file.name.startswith(".")]


def _any_has(path: Path, roles: Mapping[str, Sequence[str]]) -> bool:
    """Whether a folder has a table with all of these columns; or a file one of them, so that its error names the others."""
    if path.is_dir():
        return any(all(set(names) & _names(file) for names in roles.values()) for file in _tables(path))
    return path.is_file() and is_table(path) and any(set(names) & set(columns_of(path)) for names in roles.values())


def _names(file: Path) -> set[str]:
    try:
        return set(columns_of(file))
    except DataError:  # of a format that is somebody else's
        return set()


def _columns(file: Path, roles: Mapping[str, Sequence[str]], wanted: str, name: str) -> dict[str, str]:
    """What a column holds -> its name in this file.

    Raises:
        DataError: one is missing, or there under two names; or a score stands beside anchors.
    """
    there = columns_of(file)
    found = {role: [column for column in names if column in there] for role, names in roles.items()}
    listed = ", ".join(map(repr, there[:12]))
    if not all(found.values()):
        others = {"pairs": ("scored-pairs", _SCORED), "scored-pairs": ("pairs", _RETRIEVAL)}
        other, other_roles = others[name]
        hint = f"; these are for data={other}" if all(set(names) & set(there) for names in other_roles.values()) else ""
        raise DataError(f"{file}: data={name} needs the columns {wanted}; found {listed}{hint}")
    for role, columns in found.items():
        if len(columns) > 1:
            raise DataError(f"{file}: {' and '.join(map(repr, columns))} both stand for {role}; found {listed}")
    beside = [column for column in _SCORED["score"] if column in there]
    if roles is _RETRIEVAL and beside:
        raise DataError(
            f"{file}: {beside[0]!r} beside {found['anchor'][0]!r} and {found['positive'][0]!r}: data=pairs takes every row for a "
            "right answer; drop the column, or call the columns sentence1, sentence2, score for data=scored-pairs"
        )
    return {role: columns[0] for role, columns in found.items()}
