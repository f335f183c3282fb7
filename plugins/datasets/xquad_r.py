"""XQuAD-R: SQuAD-like JSON files, one per language, whose sentences are the candidates (LAReQA)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metasearch import Corpus, Dataset
from metasearch.core import Candidate, Problem, Question, expand
from metasearch.dataset.tables import is_blank, kind_of
from metasearch.errors import DataError, did_you_mean
from metasearch_plugins.datasets.files import folder_of, read_text

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")


class XQuADR(Dataset):
    """LAReQA's XQuAD-R, or any files in its format.

    A folder holds one ``LANGUAGE.json`` per language: ``data[].paragraphs[]`` with ``context``, ``sentences``,
    ``sentence_breaks`` (``[start, end)`` character offsets into the context) and ``qas[]`` (``id``, ``question``,
    ``answers[0].answer_start``). Every sentence is a candidate; it is relevant to a question when the answer starts
    inside it; the same ``id`` in two languages is the same question. A question whose answer starts in no sentence is left
    out and listed in ``Corpus.problems``.

    Args:
        path: the folder.
        languages: which languages to read; None: all that are there.
        context: encode a candidate as ``sentence + " " + paragraph`` (the paper) instead of the sentence alone.

    Reference: Roy et al. 2020 (LAReQA); spec section 2.
    """

    citation = "Roy et al. (2020), LAReQA: Language-Agnostic Answer Retrieval from a Multilingual Pool."
    license = "CC BY-SA 4.0"
    name = "xquad-r"

    def __init__(self, path: str | None = None, languages: Sequence[str] | None = None, context: bool = False) -> None:
        self.path = path
        self.languages = None if languages is None else list(languages)
        self.context = context

    @classmethod
    def reads(cls, path: Path) -> bool:
        return path.is_dir() and bool(_files(path))

    def folder(self) -> Path:
        """The folder to read."""
        return folder_of(self.path, self.name, "ar.json, de.json, ...")

    def load(self) -> Corpus:
        folder = self.folder()
        there = _files(folder)
        if not there:
            raise DataError(f"data.path={folder}: no LANGUAGE.json files in it, such as ar.json")
        for language in self.languages or ():
            if language not in there:
                raise DataError(
                    f"data.languages: {folder} has no language {language!r}; {did_you_mean(language, there)}"
                    f"it has {', '.join(there)}"
                )
        reader = _Reader(self.context)
        for language in sorted(self.languages or there):
            reader.read(language, there[language])
        return reader.corpus(self.name)

    def load_translated(self, files: Mapping[str, str]) -> Corpus:
        """Read SQuAD files, language -> path: as XQuAD-R's, or without sentences, which are then found by the Unicode rules."""
        reader = _Reader(self.context, prefix="translated-")
        for language, path in sorted(files.items()):
            reader.read(language, expand(path, f"data.translated: {language}"))
        return reader.corpus("translated")


def _files(folder: Path) -> dict[str, Path]:
    """Language -> its file; other JSON files that lie there are nobody's language."""
    return {file.stem: file for file in sorted(folder.glob("*.json")) if _LANGUAGE.match(file.stem)}


class _Reader:
    """Collects records over files; checks every field before it is used."""

    def __init__(self, context: bool, prefix: str = "") -> None:
        self.context = context
        self.prefix = prefix  # of groups and ids; with one, the files are plain SQuAD, machine-translated as a rule
        self.questions: list[Question] = []
        self.candidates: list[Candidate] = []
        self.problems: list[Problem] = []
        self.relevant: dict[str, set[str]] = {}
        self.groups: dict[str, tuple[str, str]] = {}  # question id -> (group, file)

    def corpus(self, name: str) -> Corpus:
        if not self.questions:  # files without any are refused, so there are problems
            raise DataError(f"{next(p for p in self.problems if p.skipped)}; no question is left")
        relevant = {question_id: frozenset(ids) for question_id, ids in self.relevant.items()}
        return Corpus(name, tuple(self.questions), tuple(self.candidates), relevant, tuple(self.problems))

    def read(self, language: str, file: Path) -> None:
        self.language, self.file = language, file
        self.raw = read_text(file)
        self.found_at, self.found_line = 0, 1
        try:
            content = json.loads(self.raw)
        except json.JSONDecodeError as error:
            raise DataError(f"{file}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})") from error
        except RecursionError as error:
            raise DataError(f"{file}: not valid JSON: nested too deeply") from error
        except ValueError as error:  # a number of thousands of digits
            raise DataError(f"{file}: not valid JSON: {error}") from error
        seen: set[str] = set()
        for where, article in self._list(content, "", "data"):
            group = self.prefix + where.removeprefix("data[").removesuffix("]").zfill(3)
            for place, paragraph in self._list(article, where, "paragraphs"):
                number = place[place.rindex("[") + 1 : -1].zfill(3)
                self._paragraph(paragraph, place, group, f"{language}-{group}-{number}", seen)
        if not seen:
            raise DataError(f"{file}: holds no questions")

    def _paragraph(self, paragraph: Any, where: str, group: str, prefix: str, seen: set[str]) -> None:
        context = self._text(paragraph, where, "context")
        sentences, breaks = self._sentences(paragraph, where, context)
        if len(sentences) != len(breaks):
            raise self._error(where, f"{len(sentences)} sentences but {len(breaks)} sentence_breaks")
        spans: list[tuple[int, int]] = []
        for i, (sentence, span) in enumerate(zip(sentences, breaks, strict=True)):
            place = f"{where}.sentences[{i}]"
            self._check_text(sentence, place)
            if not (isinstance(span, list) and len(span) == 2 and all(_is_int(x) for x in span) and 0 <= span[0] <= span[1]):
                raise self._error(f"{where}.sentence_breaks[{i}]", f"expected [start, end], found {json.dumps(span)[:60]}")
            if span[1] > len(context):
                raise self._error(f"{where}.sentence_breaks[{i}]", f"ends at {span[1]}, but the context at {len(context)}")
            spans.append((span[0], span[1]))
            if is_blank(sentence):
                self._problem(sentence, place, "empty sentence", skipped=True)
                continue
            if sentence != context[span[0] : span[1]]:
                self._problem(sentence, place, "differs from the context at its sentence_breaks; the sentence is used")
            text = f"{sentence} {context}" if self.context else sentence
            self.candidates.append(Candidate(f"{prefix}-{i:03d}", self.language, text, group))
        for place, qa in self._list(paragraph, where, "qas"):
            self._question(qa, place, group, prefix, context, sentences, spans, seen)

    def _sentences(self, paragraph: Any, where: str, context: str) -> tuple[list[Any], list[Any]]:
        if self.prefix and isinstance(paragraph, dict) and "sentences" not in paragraph:
            return split_sentences(context)
        sentences = [text for _, text in self._list(paragraph, where, "sentences")]
        return sentences, [span for _, span in self._list(paragraph, where, "sentence_breaks")]

    def _question(
        self,
        qa: Any,
        where: str,
        group: str,
        prefix: str,
        context: str,
        sentences: list[str],
        spans: list[tuple[int, int]],
        seen: set[str],
    ) -> None:
        question_id, text = self.prefix + self._text(qa, where, "id"), self._text(qa, where, "question")
        if question_id in seen:
            raise self._error(where, f"the id {question_id!r} stands twice in this file")
        other_group, other_file = self.groups.setdefault(question_id, (group, str(self.file)))
        if other_group != group:
            raise self._error(
                where,
                f"question {question_id!r} is in article {_number(group)} here but in article {_number(other_group)} "
                f"of {other_file}; "
                "the same id must be the same question",
            )
        seen.add(question_id)
        answers = list(self._list(qa, where, "answers"))
        if not answers and self.prefix:
            self._problem(question_id, f"{where}.answers", "no answer", skipped=True)
            return
        if not answers:
            raise self._error(f"{where}.answers", "expected an answer, found none")
        place, answer = answers[0]
        start = answer.get("answer_start") if isinstance(answer, dict) else None
        if not _is_int(start) or start is None:
            raise self._error(f"{place}.answer_start", f"expected a whole number, found {kind_of(start)}")
        inside = [i for i, (begin, end) in enumerate(spans) if begin <= start < end and not is_blank(sentences[i])]
        if is_blank(text):
            self._problem(question_id, where, "empty question", skipped=True)
            return
        if not inside:
            self._problem(question_id, place, f"answer_start {start} lies in no sentence", skipped=True)
            return
        answer_text = answer.get("text")
        if isinstance(answer_text, str):
            if context[start : start + len(answer_text)] != answer_text:
                self._problem(question_id, place, "the answer's text is not what the context has at answer_start")
            if start + len(answer_text) > spans[inside[0]][1]:
                self._problem(question_id, place, "the answer runs past the end of its sentence")
        self.questions.append(Question(question_id, self.language, text, group))
        self.relevant.setdefault(question_id, set()).add(f"{prefix}-{inside[0]:03d}")

    # -- checked access ------------------------------------------------------------------------------------------------

    def _list(self, holder: Any, where: str, key: str) -> Iterator[tuple[str, Any]]:
        found = self._field(holder, where, key)
        if not isinstance(found, list):
            raise self._error(_join(where, key), f"expected a list, found {kind_of(found)}")
        return ((f"{_join(where, key)}[{i}]", item) for i, item in enumerate(found))

    def _text(self, holder: Any, where: str, key: str) -> str:
        found = self._field(holder, where, key)
        return self._check_text(found, _join(where, key))

    def _check_text(self, found: Any, where: str) -> str:
        if not isinstance(found, str):
            raise self._error(where, f"expected text, found {kind_of(found)}")
        try:
            found.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self._error(where, f"half a surrogate pair at character {error.start}: no valid Unicode text") from error
        if "\0" in found:
            raise self._error(where, f"a NUL at character {found.index(chr(0))}, which no text holds")
        return found

    def _field(self, holder: Any, where: str, key: str) -> Any:
        if not isinstance(holder, dict):
            raise self._error(where or "top level", f"expected an object, found {kind_of(holder)}")
        if key not in holder:
            raise self._error(
                where or "top level", f"has no {key!r}; found {', '.join(map(repr, list(holder)[:8])) or 'nothing'}"
            )
        return holder[key]

    def _error(self, where: str, what: str) -> DataError:
        return DataError(f"{self.file}: {where}: {what}")

    def _problem(self, near: str, where: str, what: str, skipped: bool = False) -> None:
        self.problems.append(Problem(str(self.file), self._line(near), where, what, skipped))

    def _line(self, text: str) -> int:
        """The line that holds a JSON string, as it may have been written; 0 if it is not found."""
        # Records are read in the order of the file, so the search goes on from the last one found.
        for start in dict.fromkeys((self.found_at, 0)):
            for written in (json.dumps(text, ensure_ascii=False), json.dumps(text)):
                place = self.raw.find(written, start)
                if place >= 0:
                    line = self.found_line if start else 1
                    self.found_at, self.found_line = place, line + self.raw.count("\n", start, place)
                    return self.found_line
        return 0


def split_sentences(context: str) -> tuple[list[Any], list[Any]]:
    """Sentences of a paragraph by the Unicode rules (UAX 29), and their ``[start, end]``; without white space at their ends."""
    from uniseg.sentencebreak import sentences as by_unicode

    sentences: list[Any] = []
    breaks: list[Any] = []
    start = 0
    for piece in by_unicode(context):
        text = piece.strip()
        if text:
            begin = start + piece.index(text)
            sentences.append(text)
            breaks.append([begin, begin + len(text)])
        start += len(piece)
    return sentences, breaks


def _number(group: str) -> int:
    return int(group.rpartition("-")[2])


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
