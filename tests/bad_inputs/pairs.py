"""Plain tables of anchors and positives, and of scored pairs: CSV, TSV, JSON lines, Parquet."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bad_inputs import Case, Content

_HEADER = "anchor,positive\n"
_GOOD = _HEADER + "what is old,tea is old\n"
_SCORED = "sentence1,sentence2,score\na cat,a dog,0.5\n"


def _table(name: str, content: Content, *said: str, kind: str = "csv", code: int = 2, process: bool = False) -> Case:
    file = f"t.{kind}"
    return Case(f"pairs: {name}", ("data", "describe", file), (file, *said), {file: content}, code=code, process=process)


def _parquet(folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"anchor": ["a", "b"], "positive": [1, 2]}), folder / "t.parquet")


CASES = [
    _table("empty", "", "is empty: expected a header", process=True),
    _table("a header alone", _HEADER, "holds no rows"),
    _table("a name missing in the header", "anchor,\na,b\n", ":1: no header: column 2 has no name"),
    _table("a column twice", "anchor,anchor\na,b\n", ":1: the column 'anchor' is there twice"),
    _table("no positives", "anchor,answerr\na,b\n", "data=pairs needs the columns", "found 'anchor', 'answerr'"),
    _table("two columns for one thing", "anchor,query,positive\na,b,c\n", "'anchor' and 'query' both stand for anchor"),
    _table("a score beside anchors", "anchor,positive,score\na,b,1\n", "'score' beside 'anchor' and 'positive'"),
    _table("a field too many", _GOOD + "a,b,c\n", ":3: expected 2 fields (anchor, positive), found 3"),
    _table("a field too few", _GOOD + "a\n", ":3: expected 2 fields (anchor, positive), found 1"),
    _table("a quote left open", _GOOD + '"a,b\n', ":3: not valid CSV"),
    _table("a quote left open over ten megabytes", _GOOD + '"a,b\n' + "x,y\n" * 2_500_000, ":3: not valid CSV"),
    _table("text behind a quote", _GOOD + '"a"x,b\n', ":3: not valid CSV"),
    _table("not UTF-8", _GOOD.encode() + b"a\xff,b\n", ":3: not UTF-8 text (byte 1 of the line)"),
    _table("UTF-16", _GOOD.encode("utf-16"), ":1: UTF-16 text; save it as UTF-8"),
    _table("UTF-16 without a mark", _GOOD.encode("utf-16-le"), ":1: not UTF-8 text (a NUL is byte 1 of the line)"),
    _table("a NUL", _GOOD + "a\0,b\n", ":3: not UTF-8 text (a NUL is byte 1 of the line)"),
    _table("a language that is none", "anchor,positive,language\na,b,e\n", ":2: 'language': expected a language code"),
    _table("a path for a language", "anchor,positive,language\na,b,../../x\n", ":2: 'language': expected a language code"),
    _table("an id for two questions", "id,anchor,positive\n1,a,b\n1,c,d\n", ":3: 'id': '1' is another question"),
    _table(
        "a question in two groups",
        "id,anchor,positive,group,language\n1,a,b,g,en\n1,c,d,h,de\n",
        ":3: question '1' is in group 'h' here",
    ),
    _table("a group of bytes that direct", "anchor,positive,group\na,b,\u202e\n", ":2: 'group' is empty"),
    _table("an empty anchor is left out", _GOOD + ",b\n", ":3: row 2: empty anchor (left out)", code=0),
    _table("an anchor that shows nothing is left out", _GOOD + "\u202e\u200f,b\n", ":3: row 2: empty anchor (left out)", code=0),
    _table("a positive of ten megabytes is listed", _GOOD + "a," + "x" * 10_000_000 + "\n", ":3", "10000000", code=0),
    _table("a byte order mark is none", b"\xef\xbb\xbf" + _GOOD.encode(), "questions", code=0),
    _table(
        "a negative that is a positive is listed",
        "anchor,positive,negative\na,b,c\na,c,d\n",
        ":2",
        "is a positive of the same anchor elsewhere",
        code=0,
    ),
    _table("no JSON", "anchor\n", ":1: not valid JSON", kind="jsonl"),
    _table("a JSON list", "[]\n", ":1: expected a JSON object, found a list", kind="jsonl"),
    _table("an anchor that is a number", '{"anchor": 1, "positive": "b"}\n', ":1: 'anchor': expected text", kind="jsonl"),
    _table(
        "a row that lacks the anchor",
        '{"anchor": "a", "positive": "b"}\n{"positive": "c"}\n',
        ":2: has no 'anchor'",
        kind="jsonl",
    ),
    _table(
        "half a surrogate pair", '{"anchor": "\\udc00", "positive": "b"}\n', ":1: 'anchor': half a surrogate pair", kind="jsonl"
    ),
    _table(
        "a negative that is a list",
        '{"anchor": "a", "positive": "b", "negative": []}\n',
        ":1: 'negative': expected text",
        kind="jsonl",
    ),
    _table("a column's name is half a surrogate pair", '{"anchor": "a", "\\ud800": 1}\n', "needs the columns", kind="jsonl"),
    _table("a score that is text", _SCORED + "a,b,high\n", ":3: 'score': expected a number from 0 to 1", "'high'"),
    _table("a score that is NaN", _SCORED + "a,b,nan\n", ":3: 'score': expected a number from 0 to 1"),
    _table("a score out of range", _SCORED + "a,b,5\n", ":3: 'score': expected a number from 0 to 1 (data.score_max), found '5'"),
    _table("a score below 0", _SCORED + "a,b,-0.1\n", ":3: 'score': expected a number from 0 to 1"),
    _table("an infinite score", _SCORED + "a,b,inf\n", ":3: 'score': expected a number from 0 to 1"),
    _table("no score", _SCORED + "a,b,\n", ":3: 'score': expected a number from 0 to 1"),
    _table("a score that is true", json.dumps({"sentence1": "a", "sentence2": "b", "score": True}), ":1: 'score'", kind="jsonl"),
    _table(
        "a score that is an object", json.dumps({"sentence1": "a", "sentence2": "b", "score": {}}), ":1: 'score'", kind="jsonl"
    ),
    _table(
        "a score of 400 digits", '{"sentence1": "a", "sentence2": "b", "score": ' + "9" * 400 + "}", ":1: 'score'", kind="jsonl"
    ),
    _table("an id for two pairs", "id,sentence1,sentence2,score\n1,a,b,1\n1,c,d,0\n", ":3: 'id': '1' is another pair"),
    _table("not Parquet", "anchor,positive\n", "cannot be read as Parquet", kind="parquet"),
    _table("Parquet cut off", b"PAR1" + b"\0" * 100, "cannot be read as Parquet", kind="parquet"),
    Case(
        "pairs: Parquet with numbers for texts",
        ("data", "describe", "t.parquet"),
        ("t.parquet:1: 'positive': expected text",),
        prepare=_parquet,
    ),
    Case("pairs: an extension that is none", ("run", "data=pairs", "data.path=t.xlsx"), ("t.xlsx",), {"t.xlsx": _GOOD}),
    Case("pairs: a folder without tables", ("run", "data=pairs", "data.path=d"), ("data.path=d: no .csv",), {"d/x.txt": "x"}),
    Case("pairs: no path", ("run", "data=scored-pairs"), ("data.path is not set: data=scored-pairs needs",)),
    Case(
        "pairs: ids in two parts",
        ("data", "describe", "d"),
        ("train.csv:2: 'id': '1' is of another part at", "test.csv:2"),
        {
            "d/test.csv": "id,sentence1,sentence2,score,language\n1,a,b,1,en\n",
            "d/train.csv": "id,sentence1,sentence2,score,language\n1,a,b,1,de\n",
        },
    ),
    Case(
        "pairs: score_max of 0",
        ("run", "data=scored-pairs", "data.path=t.csv", "data.score_max=0"),
        ("data.score_max=0", "above 0"),
        {"t.csv": _SCORED},
    ),
    Case(
        "pairs: a folder name with an escape sequence",
        ("data", "describe", "d\x1b[2J"),
        ("d\\u001b[2J", "no data set of a known format"),
        {"d\x1b[2J/x": "x"},
    ),
    Case("pairs: a path of a megabyte", ("data", "describe", "x" * 1_000_000), ("xxx", "the name is too long for a file")),
]
