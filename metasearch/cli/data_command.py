"""``metasearch data describe``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from metasearch.cli import console
from metasearch.core import AnyCorpus, Corpus, Dataset, PairCorpus, expand
from metasearch.errors import DataError, PluginError
from metasearch.registry import registry

_SHOWN = 20


def describe(path: str, as_json: bool) -> None:
    corpus = _dataset(path).load()
    content = description(corpus)
    if as_json:
        console.print_json(content)
        return
    console.out().print(f"{corpus.name}: {path}", markup=False)
    if isinstance(corpus, PairCorpus):
        _show_tracks(content)
    else:
        _show_languages(content)
    output = console.out()
    problems = corpus.problems
    output.print(
        f"{len(problems)} problems, {sum(p.skipped for p in problems)} records left out" if problems else "no problems",
        markup=False,
    )
    for what, count in Counter(p.what for p in problems).most_common():
        output.print(f"  {count} x {what}", markup=False)
    for problem in problems[:_SHOWN]:
        output.print(f"  {problem}", markup=False, soft_wrap=True)
    if len(problems) > _SHOWN:
        output.print(f"  and {len(problems) - _SHOWN} more (--json lists all)", markup=False)


def _show_languages(content: dict[str, Any]) -> None:
    columns = ("questions", "candidates", "distinct_candidates", "candidates_that_answer")
    rows = {
        language: [*(str(row[key]) for key in columns), _spoken(row["question_characters"]), _spoken(row["candidate_characters"])]
        for language, row in content["languages"].items()
    }
    header = ("language", "questions", "candidates", "distinct", "answers", "question length", "candidate length")
    _show_table(header, rows)
    console.out().print(
        f"{content['parallel_questions']} of {content['distinct_questions']} questions are there in every language; "
        f"{content['groups']} groups (articles), which are never split",
        markup=False,
    )


def _show_tracks(content: dict[str, Any]) -> None:
    rows = {
        track: [str(row["pairs"]), f"{row['mean_score']:.2f}", _spoken(row["sentence_characters"])]
        for track, row in content["tracks"].items()
    }
    _show_table(("track", "pairs", "mean score (0..1)", "sentence length"), rows)
    console.out().print(f"{content['groups']} groups, which are never split", markup=False)


def _show_table(header: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    from rich.table import Table

    table = Table()
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.out().print(table)


def _spoken(lengths: Mapping[str, int]) -> str:
    return f"{lengths['median']} (max {lengths['max']})"


def _dataset(path: str) -> Dataset:
    names = registry.names("data")
    if path in names and "path" not in registry.find("data", path).component.options:
        return registry.create("data", path)  # type: ignore[no-any-return]
    place = expand(path, "path")
    if not place.exists():
        raise DataError(f"{path}: no such file or folder")
    with_path = [item for item in registry if item.kind == "data" and "path" in item.component.options]
    for item in with_path:
        try:
            cls = item.load()
        except PluginError as error:  # somebody else's trouble: this data may be of another format
            print(f"warning: {error}", file=sys.stderr)
            continue
        if cls.reads(place):
            return cls(path=str(place))  # type: ignore[no-any-return]
    formats = ", ".join(f"{item.name} ({item.component.summary})" for item in with_path)
    raise DataError(f"{path}: no data set of a known format; known: {formats}; or a name: {', '.join(names)}")


def description(corpus: AnyCorpus) -> dict[str, Any]:
    """What a corpus holds, as plain values."""
    return {
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        **(_of_tracks(corpus) if isinstance(corpus, PairCorpus) else _of_languages(corpus)),
        "groups": len(corpus.groups),
        "problems": [
            {"file": p.file, "line": p.line, "where": p.where, "what": p.what, "left_out": p.skipped} for p in corpus.problems
        ],
    }


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
