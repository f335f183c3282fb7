"""``metasearch data describe``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from metasearch.cli import console
from metasearch.core import PairCorpus, Problem
from metasearch.core.printable import printable
from metasearch.dataset.describe import CHECKS, Finding, description, findings
from metasearch.dataset.recognise import make_dataset

_SHOWN = 20


def describe(path: str, as_json: bool) -> None:
    corpus = make_dataset(path, console.warn).load()
    found = findings(corpus)
    content = description(corpus, found)
    if as_json:
        console.print_json(content)
        return
    _say(f"{corpus.name}: {path}")
    if isinstance(corpus, PairCorpus):
        _show_tracks(content)
    else:
        _show_languages(content)
    if content["parts"]:
        _say("a split of its own (data.fold=0): " + ", ".join(f"{part} {count}" for part, count in content["parts"].items()))
    _show_problems(corpus.problems)
    _show_findings(content["checks"], found)


def _show_problems(problems: Sequence[Problem]) -> None:
    left_out = sum(p.skipped for p in problems)
    _say(f"{len(problems)} problems, {left_out} records left out" if problems else "no problems")
    for what, count in Counter(p.what for p in problems).most_common(_SHOWN):
        _say(f"  {count} x {printable(what)}")
    for problem in problems[:_SHOWN]:
        _say(f"  {printable(str(problem))}")
    if len(problems) > _SHOWN:
        _say(f"  and {len(problems) - _SHOWN} more (--json lists all)")


def _show_findings(counts: Mapping[str, int], found: Sequence[Finding]) -> None:
    for check, title in CHECKS.items():
        if counts[check]:
            _say(f"{counts[check]} {title}")
    shown = [f for f in found if f.check != "distractor"]  # every corpus has those
    for finding in shown[:_SHOWN]:
        _say(f"  {finding.check}: {finding}")
    if len(shown) > _SHOWN:
        _say(f"  and {len(shown) - _SHOWN} more (--json lists all)")


def _say(line: str) -> None:
    console.out().print(line, soft_wrap=True)


def _show_languages(content: dict[str, Any]) -> None:
    columns = ("questions", "candidates", "distinct_candidates", "candidates_that_answer")
    rows = {
        language: [*(str(row[key]) for key in columns), _spoken(row["question_characters"]), _spoken(row["candidate_characters"])]
        for language, row in content["languages"].items()
    }
    header = ("language", "questions", "candidates", "distinct", "answers", "question length", "candidate length")
    _show_table(header, rows)
    _say(
        f"{content['parallel_questions']} of {content['distinct_questions']} questions are there in every language; "
        f"{content['groups']} groups (articles), which are never split"
    )


def _show_tracks(content: dict[str, Any]) -> None:
    rows = {
        track: [str(row["pairs"]), f"{row['mean_score']:.2f}", _spoken(row["sentence_characters"])]
        for track, row in content["tracks"].items()
    }
    _show_table(("track", "pairs", "mean score (0..1)", "sentence length"), rows)
    _say(f"{content['groups']} groups, which are never split")


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
