"""Parallel files of scored sentence pairs: the machine-translated STS benchmark, and any files like it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from metasearch import Dataset
from metasearch.core import PairCorpus, Problem, SentencePair, expand
from metasearch.dataset.tables import is_blank
from metasearch.errors import DataError, did_you_mean
from metasearch_plugins.datasets.files import folder_of, read_text

_FILE = re.compile(r"stsb-(?P<language>[a-z]{2,3}(-[A-Za-z0-9]{2,8})*)-(?P<part>train|dev|test)\.csv\Z")
MOST_POINTS = 5.0


class ScoredPair(NamedTuple):
    """One record of a file: its line (from 1), both sentences, the score from 0 to 5."""

    line: int
    first: str
    second: str
    points: float


class STSb(Dataset):
    """The STS benchmark in several languages (stsb-multi-mt), row by row parallel.

    A folder holds ``stsb-LANGUAGE-PART.csv`` with PART train, dev or test: comma-separated, double quotes, no header; first
    sentence, second sentence, score from 0 to 5. Row i is the same pair in every language, so the first sentence of one language
    stands beside the second of another: every two languages make a track. The benchmark's own split is ``data.fold=0``.

    Args:
        path: the folder.
        languages: which languages to read; None: all that are there.

    Reference: Cer et al. 2017; May 2021 (stsb-multi-mt).
    """

    kind = "pairs"
    citation = "Cer et al. (2017), SemEval-2017 Task 1; May (2021), stsb-multi-mt."
    license = "CC BY-SA 4.0 (scores); the texts' licences differ"
    name = "stsb"

    def __init__(self, path: str | None = None, languages: Sequence[str] | None = None) -> None:
        self.path = path
        self.languages = None if languages is None else list(languages)

    @classmethod
    def reads(cls, path: Path) -> bool:
        return path.is_dir() and any(_FILE.match(file.name) for file in path.glob("stsb-*.csv"))

    def load(self) -> PairCorpus:
        folder = folder_of(self.path, self.name, "stsb-en-train.csv, stsb-de-train.csv, ...")
        found: dict[str, dict[str, Path]] = {}
        for file in sorted(folder.glob("stsb-*.csv")):
            if match := _FILE.match(file.name):
                found.setdefault(match["language"], {})[match["part"]] = file
        if not found:
            raise DataError(f"data.path={folder}: no stsb-LANGUAGE-PART.csv files in it, such as stsb-en-train.csv")
        chosen = chosen_languages(self.languages, list(found), str(folder))
        for language in chosen:
            for part in ("train", "dev", "test"):
                if part not in found[language]:
                    raise DataError(f"data.path={folder}: stsb-{language}-{part}.csv is missing")
        pairs: list[SentencePair] = []
        problems: list[Problem] = []
        for part in ("train", "dev", "test"):
            pairs += parallel_pairs({language: found[language][part] for language in chosen}, part, problems)
        return PairCorpus(self.name, tuple(pairs), tuple(problems), {p.group: p.group.partition("-")[0] for p in pairs})

    def load_translated(self, files: Mapping[str, str]) -> PairCorpus:
        return translated_pairs(files)


def chosen_languages(wanted: Sequence[str] | None, there: Sequence[str], place: str) -> list[str]:
    """The languages asked for, sorted; all that are there if none were.

    Raises:
        DataError: one is not there.
    """
    for language in wanted or ():
        if language not in there:
            raise DataError(
                f"data.languages: {place} has no language {language!r}; {did_you_mean(language, there)}it has {', '.join(there)}"
            )
    return sorted(wanted or there)


def translated_pairs(files: Mapping[str, str]) -> PairCorpus:
    """Machine-translated training files in STSb's format, language -> path; together they make cross-lingual tracks too."""
    problems: list[Problem] = []
    paths = {language: expand(path, f"data.translated: {language}") for language, path in files.items()}
    pairs = parallel_pairs(paths, "translated", problems)
    return PairCorpus("translated", tuple(pairs), tuple(problems))


def parallel_pairs(files: Mapping[str, Path], prefix: str, problems: list[Problem]) -> list[SentencePair]:
    """All tracks of files whose row i is the same pair: first sentence from one language, second from another.

    Args:
        files: language -> file.
        prefix: of ids and groups, which are ``PREFIX-ROW``.
        problems: records left out are appended.

    Raises:
        DataError: a file is malformed, or the files are not parallel (other rows or scores); the message names file and line.
    """
    rows = {language: read_scored_csv(file) for language, file in files.items()}
    languages = sorted(rows)
    first_language = languages[0]
    for language in languages[1:]:
        check_parallel(files[first_language], rows[first_language], files[language], rows[language])
    left_out = set()
    for language in languages:
        for number, row in enumerate(rows[language]):
            if is_blank(row.first) or is_blank(row.second):
                problems.append(Problem(str(files[language]), row.line, f"row {number + 1}", "empty sentence", skipped=True))
                left_out.add(number)
    return [
        SentencePair(
            f"{prefix}-{number:05d}", (a, b), one.first, other.second, one.points / MOST_POINTS, f"{prefix}-{number:05d}"
        )
        for i, a in enumerate(languages)
        for b in languages[i:]
        for number, (one, other) in enumerate(zip(rows[a], rows[b], strict=True))
        if number not in left_out
    ]


def check_parallel(file: Path, rows: Sequence[ScoredPair], other_file: Path, others: Sequence[ScoredPair]) -> None:
    """Raise DataError unless both files have the same number of rows with the same scores."""
    if len(rows) != len(others):
        raise DataError(f"{other_file}: {len(others)} rows, but {file} has {len(rows)}; row i must be the same pair in both")
    for row, other in zip(rows, others, strict=True):
        if row.points != other.points:
            raise DataError(
                f"{other_file}:{other.line}: score {other.points:g}, but {file}:{row.line} has {row.points:g}; "
                "row i must be the same pair in both"
            )


def read_scored_csv(file: Path) -> list[ScoredPair]:
    """Read ``sentence 1, sentence 2, score`` records.

    Raises:
        DataError: it cannot be read, a record has not three fields, or a score is no number from 0 to 5.
    """
    text = read_text(file)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)  # splitlines() would cut at U+2028 too
    rows: list[ScoredPair] = []
    begin = 1
    try:
        for record in reader:
            if record:
                if len(record) != 3:
                    raise DataError(f"{file}:{begin}: expected sentence, sentence, score; found {len(record)} fields")
                rows.append(ScoredPair(begin, record[0], record[1], points_of(record[2], file, begin)))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}:{begin}: not valid CSV: {error}") from error
    if not rows:
        raise DataError(f"{file}: holds no pairs")
    return rows


def points_of(written: str, file: Path, line: int) -> float:
    """A score from 0 to 5.

    Raises:
        DataError: it is none.
    """
    try:
        points = float(written)
    except ValueError:
        points = float("nan")
    if not 0 <= points <= MOST_POINTS:
        raise DataError(f"{file}:{line}: expected a score from 0 to 5, found {written.strip()[:40]!r}")
    return points
