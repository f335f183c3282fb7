"""SemEval-2017 STS: six tracks of scored sentence pairs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from metasearch import Dataset
from metasearch.core import PairCorpus, Problem, SentencePair
from metasearch.dataset.tables import is_blank
from metasearch.errors import DataError
from metasearch_plugins.datasets.files import folder_of, read_text
from metasearch_plugins.datasets.stsb import MOST_POINTS, chosen_languages, points_of, translated_pairs

_INPUT = re.compile(r"STS\.input\.(?P<track>[A-Za-z0-9]+)\.(?P<first>[a-z]{2,3})-(?P<second>[a-z]{2,3})\.txt\Z")
# These files have English in the first column, though their names put it last.
_ENGLISH_FIRST = ("track2.ar-en", "track6.tr-en")


class STS2017(Dataset):
    """SemEval-2017 task 1, or any files in its format.

    A folder holds ``STS.input.TRACK.X-Y.txt`` (two sentences a line, apart by a tab) and ``STS.gs.TRACK.X-Y.txt`` (a score from 0
    to 5 a line). Pairs behind the last score were never scored and are left out (track 6). Line n of every track is one group:
    files of translated pairs that are put beside the others, such as ``STS.input.mine.ar-es.txt`` for the lines of ar-ar, never
    straddle a split.

    Args:
        path: the folder.
        languages: only tracks of these languages; None: all.

    Reference: Cer et al. 2017; paper Table 3 (150 train, 50 dev, 50 test pairs of a track in each fold).
    """

    kind = "pairs"
    dev_share = 50 / 250
    citation = "Cer et al. (2017), SemEval-2017 Task 1: Semantic Textual Similarity."
    license = "CC BY-SA 4.0"
    name = "sts2017"

    def __init__(self, path: str | None = None, languages: Sequence[str] | None = None) -> None:
        self.path = path
        self.languages = None if languages is None else list(languages)

    @classmethod
    def reads(cls, path: Path) -> bool:
        return path.is_dir() and any(_INPUT.match(file.name) for file in path.glob("STS.input.*.txt"))

    def load(self) -> PairCorpus:
        folder = folder_of(self.path, self.name, "STS.input.track5.en-en.txt, STS.gs.track5.en-en.txt, ...")
        files = {file: match for file in sorted(folder.glob("STS.input.*.txt")) if (match := _INPUT.match(file.name))}
        if not files:
            raise DataError(f"data.path={folder}: no STS.input.TRACK.X-Y.txt files in it, such as STS.input.track5.en-en.txt")
        there = sorted({language for match in files.values() for language in (match["first"], match["second"])})
        chosen = set(chosen_languages(self.languages, there, str(folder)))
        pairs: list[SentencePair] = []
        problems: list[Problem] = []
        by_track: dict[tuple[str, str], Path] = {}
        for file, match in files.items():
            languages = (match["first"], match["second"])
            if not chosen.issuperset(languages):
                continue
            other = by_track.setdefault(languages, file)
            if other != file:
                raise DataError(f"{file}: {'-'.join(languages)} is in {other} already; one file for each pair of languages")
            pairs += _read_track(file, languages, f"{match['track']}.{match['first']}-{match['second']}", problems)
        if not pairs and problems:
            raise DataError(f"{problems[0]}; no pair is left")
        if not pairs:
            raise DataError(f"data.languages={self.languages}: {folder} has no track of these languages alone")
        return PairCorpus(self.name, tuple(pairs), tuple(problems))

    def load_translated(self, files: Mapping[str, str]) -> PairCorpus:
        return translated_pairs(files)


def _read_track(file: Path, languages: tuple[str, str], track: str, problems: list[Problem]) -> list[SentencePair]:
    gold = file.with_name(file.name.replace("STS.input.", "STS.gs.", 1))
    if not gold.is_file():
        raise DataError(f"{file}: its scores are missing: {gold}")
    lines = _lines(file)
    scores = [points_of(written, gold, i) for i, written in enumerate(_lines(gold), 1)]
    if len(scores) > len(lines):
        raise DataError(f"{gold}: {len(scores)} scores for {len(lines)} pairs in {file}")
    pairs = []
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        if len(fields) != 2:
            raise DataError(f"{file}:{number}: expected two sentences apart by a tab, found {len(fields)} fields")
        if track in _ENGLISH_FIRST:
            fields.reverse()
        if number > len(scores):
            problems.append(Problem(str(file), number, f"pair {number}", "has no gold score", skipped=True))
        elif any(map(is_blank, fields)):
            problems.append(Problem(str(file), number, f"pair {number}", "empty sentence", skipped=True))
        else:
            score = scores[number - 1] / MOST_POINTS
            pair_id = f"{'-'.join(languages)}-{number:04d}"  # line n of another track is another pair
            pairs.append(SentencePair(pair_id, languages, fields[0].strip(), fields[1].strip(), score, f"{number:04d}"))
    return pairs


def _lines(file: Path) -> list[str]:
    """Lines ended by a line feed alone: the texts hold other characters that Python takes for line ends."""
    lines = [line.removesuffix("\r") for line in read_text(file).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
