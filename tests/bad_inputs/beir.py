"""BEIR folders."""

from __future__ import annotations

from tests.bad_inputs import Case, Content

_DESCRIBE = ("data", "describe", "d")
_CORPUS, _QUERIES, _QRELS = "d/corpus.jsonl", "d/queries.jsonl", "d/qrels/test.tsv"
_GOOD: dict[str, Content] = {
    _CORPUS: '{"_id": "c1", "title": "", "text": "tea is old"}\n{"_id": "c2", "text": "coffee is not"}\n',
    _QUERIES: '{"_id": "q1", "text": "what is old"}\n{"_id": "q2", "text": "what is not"}\n',
    _QRELS: "query-id\tcorpus-id\tscore\nq1\tc1\t1\nq2\tc2\t1\n",
}


def _beir(name: str, file: str, content: Content, *said: str, code: int = 2, process: bool = False) -> Case:
    return Case(f"beir: {name}", _DESCRIBE, (file, *said), {**_GOOD, file: content}, code=code, process=process)


def _more(file: str, line: str) -> str:
    return f"{_GOOD[file]}{line}\n"  # type: ignore[str-bytes-safe]


CASES = [
    _beir("an empty corpus", _CORPUS, "", "is empty: expected a JSON object a line", process=True),
    _beir("a line that is no JSON", _CORPUS, _more(_CORPUS, "{x}"), ":3: not valid JSON"),
    _beir("a line that is a list", _CORPUS, _more(_CORPUS, "[]"), ":3: expected a JSON object, found a list"),
    _beir("a line cut off", _CORPUS, _more(_CORPUS, '{"_id": "c'), ":3: not valid JSON"),
    _beir("all on one line", _CORPUS, '{"_id": "a", "text": "b"} {"_id": "c", "text": "d"}', ":1: not valid JSON"),
    _beir("nested too deeply", _CORPUS, _more(_CORPUS, '{"_id": ' + "[" * 100_000), ":3: not valid JSON: nested too deeply"),
    _beir("a number of ten thousand digits", _CORPUS, _more(_CORPUS, '{"_id": ' + "9" * 10_000 + "}"), ":3: not valid JSON"),
    _beir("a key twice", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "a", "text": "b"}'), ":3", "'text'", "twice"),
    _beir("UTF-16", _CORPUS, '{"_id": "c1", "text": "x"}\n'.encode("utf-16"), ":1: UTF-16 text; save it as UTF-8", process=True),
    _beir("Latin-1", _CORPUS, '{"_id": "c1", "text": "é"}\n'.encode("latin-1"), ":1: not UTF-8 text (byte 23 of the line)"),
    _beir("a NUL byte", _CORPUS, b'{"_id": "c1", "text": "\0"}\n', ":1: not UTF-8 text (a NUL is byte 23 of the line)"),
    _beir("an escaped NUL", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "a\\u0000"}'), ":3: 'text': a NUL at character 1"),
    _beir("half a surrogate pair", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "\\ud800"}'), ":3: 'text': half a surrogate"),
    _beir("an id of half a surrogate pair", _CORPUS, _more(_CORPUS, '{"_id": "\\ud800", "text": "a"}'), ":3: '_id': half a"),
    _beir("no text", _CORPUS, _more(_CORPUS, '{"_id": "c3"}'), ":3: has no 'text'; found '_id'"),
    _beir(
        "a text that is a number",
        _CORPUS,
        _more(_CORPUS, '{"_id": "c3", "text": 3}'),
        ":3: 'text': expected text, found a number",
    ),
    _beir("no id", _CORPUS, _more(_CORPUS, '{"text": "x"}'), ":3: has no '_id'"),
    _beir("an empty id", _CORPUS, _more(_CORPUS, '{"_id": " ", "text": "x"}'), ":3: '_id' is empty"),
    _beir("an id that is true", _CORPUS, _more(_CORPUS, '{"_id": true, "text": "x"}'), ":3: '_id': expected text"),
    _beir("an id twice", _CORPUS, _more(_CORPUS, '{"_id": "c1", "text": "x"}'), ":3: the _id 'c1' is at line 1 already"),
    _beir(
        "a language that is none", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "x", "language": "../en"}'), ":3: 'language'"
    ),
    _beir("an escape for a language", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "x", "language": "\\u001b[2J"}'), ":3"),
    _beir(
        "a title that is a list", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "x", "title": []}'), ":3: 'title': expected text"
    ),
    _beir("a line of ten megabytes", _CORPUS, _more(_CORPUS, '{"_id": "c3", "text": "' + "x" * 10_000_000), ":3: not valid JSON"),
    _beir("a query twice", _QUERIES, _more(_QUERIES, '{"_id": "q1", "text": "x"}'), ":3: the _id 'q1' is at line 1 already"),
    _beir(
        "one question, two texts",
        _QUERIES,
        _more(_QUERIES, '{"_id": "q3", "text": "x", "question": "q1"}'),
        ":3: question 'q1' has another text",
    ),
    _beir("queries are empty", _QUERIES, "\n\n", "is empty"),
    _beir("judgements are empty", _QRELS, "", "is empty: expected a header"),
    _beir("judgements without a header", _QRELS, "q1\tc1\t1\n", ":1: expected the columns query-id, corpus-id, score"),
    _beir("a header twice over", _QRELS, "query-id\tquery-id\tscore\n", ":1: the column 'query-id' is there twice"),
    _beir("a judgement of two fields", _QRELS, _more(_QRELS, "q1\tc1"), ":4: expected 3 fields"),
    _beir("a judgement with commas", _QRELS, "query-id,corpus-id,score\nq1,c1,1\n", ":1: expected the columns"),
    _beir("a score that is NaN", _QRELS, _more(_QRELS, "q1\tc2\tnan"), ":4: 'score': expected a whole number, found 'nan'"),
    _beir("a score of a half", _QRELS, _more(_QRELS, "q1\tc2\t0.5"), ":4: 'score': expected a whole number, found '0.5'"),
    _beir("a score of a hundred digits", _QRELS, _more(_QRELS, "q1\tc2\t" + "9" * 100), ":4: 'score': expected a whole number"),
    _beir("a score with an escape sequence", _QRELS, _more(_QRELS, "q1\tc2\t\x1b[2J"), ":4: 'score': expected a whole number"),
    _beir("a quote left open", _QRELS, _more(_QRELS, '"q1\tc2\t1'), ":4: not valid TSV"),
    _beir(
        "a query that is not there is listed",
        _QRELS,
        _more(_QRELS, "q9\tc2\t1"),
        ":4",
        "judged, but not in queries.jsonl",
        code=0,
    ),
    _beir(
        "a text that is not there is listed", _QRELS, _more(_QRELS, "q1\tc9\t1"), ":4", "judged, but not in corpus.jsonl", code=0
    ),
    _beir("a score below 0 is listed", _QRELS, _more(_QRELS, "q1\tc2\t-1"), ":4: score: a score below 0", code=0),
    _beir(
        "a text that shows nothing is listed",
        _CORPUS,
        _more(_CORPUS, '{"_id": "c3", "text": "\\u200f"}'),
        ":3",
        "empty text",
        code=0,
    ),
    _beir(
        "an unanswered query is listed",
        _QUERIES,
        _more(_QUERIES, '{"_id": "q3", "text": "x"}'),
        ":3",
        "nothing answers it",
        code=0,
    ),
    _beir(
        "escape sequences in ids are listed",
        _QRELS,
        _more(_QRELS, "q\x1b]0;owned\x07\tc1\t1"),
        ":4",
        "\\u001b]0;owned\\u0007",
        code=0,
    ),
    Case(
        "beir: nothing is judged",
        _DESCRIBE,
        ("d/qrels: nothing in test.tsv says",),
        {**_GOOD, _QRELS: "query-id\tcorpus-id\tscore\nq9\tc9\t1\n"},
    ),
    Case(
        "beir: no judgements",
        _DESCRIBE,
        ("data.path=d: no qrels/*.tsv; qrels is missing",),
        {k: v for k, v in _GOOD.items() if k != _QRELS},
    ),
    Case(
        "beir: no queries",
        _DESCRIBE,
        ("data.path=d: queries.jsonl is missing",),
        {k: v for k, v in _GOOD.items() if k != _QUERIES},
    ),
    Case(
        "beir: a split that is not there",
        ("run", "data=beir", "data.path=d", "data.split=../test", "algo=zero-shot"),
        ("data.split=../test", "qrels has test"),
        _GOOD,
    ),
    Case(
        "beir: a file for a folder",
        ("run", "data=beir", "data.path=d/corpus.jsonl"),
        ("data.path=d/corpus.jsonl: not a folder",),
        _GOOD,
    ),
]
