"""STS 2017 folders and STSb folders."""

from __future__ import annotations

from tests.bad_inputs import Case, Content

_DESCRIBE = ("data", "describe", "d")
_INPUT, _GOLD = "d/STS.input.track5.en-en.txt", "d/STS.gs.track5.en-en.txt"
_TWO = "a cat\ta dog\na tea\ta cup\n"
_ROWS = "a cat,a dog,3.0\na tea,a cup,1.5\n"


def _track(name: str, pairs: Content, scores: Content, *said: str, code: int = 2) -> Case:
    return Case(f"sts2017: {name}", _DESCRIBE, said, {_INPUT: pairs, _GOLD: scores}, code=code)


def _rows(name: str, rows: Content, *said: str, code: int = 2, part: str = "train", process: bool = False) -> Case:
    files: dict[str, Content] = {f"d/stsb-en-{p}.csv": _ROWS for p in ("train", "dev", "test")}
    return Case(f"stsb: {name}", _DESCRIBE, said, {**files, f"d/stsb-en-{part}.csv": rows}, code=code, process=process)


CASES = [
    _track("no scores at all", _TWO, "", f"{_INPUT}:1: pair 1: has no gold score (left out); no pair is left"),
    _track("a score too many", _TWO, "1\n2\n3\n", f"{_GOLD}: 3 scores for 2 pairs"),
    _track("a score that is text", _TWO, "1\nhigh\n", f"{_GOLD}:2: expected a score from 0 to 5, found 'high'"),
    _track("a score that is NaN", _TWO, "nan\n2\n", f"{_GOLD}:1: expected a score from 0 to 5, found 'nan'"),
    _track("a score above 5", _TWO, "5.01\n2\n", f"{_GOLD}:1: expected a score from 0 to 5, found '5.01'"),
    _track("a score below 0", _TWO, "-0.1\n2\n", f"{_GOLD}:1: expected a score from 0 to 5"),
    _track("an infinite score", _TWO, "1\ninf\n", f"{_GOLD}:2: expected a score from 0 to 5"),
    _track("an empty score", _TWO, "\n2\n", f"{_GOLD}:1: expected a score from 0 to 5, found ''"),
    _track("a score with an escape sequence", _TWO, "\x1b[2J\n2\n", f"{_GOLD}:1: expected a score"),
    _track("a score with an underscore", _TWO, "1_0\n2\n", f"{_GOLD}:1: expected a score from 0 to 5"),
    _track("one sentence", "a cat\n", "1\n", f"{_INPUT}:1: expected two sentences apart by a tab, found 1 fields"),
    _track("three sentences", "a\tb\tc\n", "1\n", f"{_INPUT}:1: expected two sentences apart by a tab, found 3 fields"),
    _track("an empty line between", "a\tb\n\nc\td\n", "1\n2\n3\n", f"{_INPUT}:2: expected two sentences"),
    _track("not UTF-8", "a\tü\n".encode("latin-1"), "1\n", f"{_INPUT}: not UTF-8 text (byte 2)"),
    _track("UTF-16", _TWO.encode("utf-16"), "1\n2\n", f"{_INPUT}: not UTF-8 text (byte 0)"),
    _track("a NUL", "a\0\tb\n", "1\n", f"{_INPUT}:1", "NUL"),
    _track("scores in UTF-16", _TWO, "1\n2\n".encode("utf-16"), f"{_GOLD}: not UTF-8"),
    _track("an empty sentence is left out", "a\tb\n \tc\n", "1\n2\n", f"{_INPUT}:2: pair 2: empty sentence (left out)", code=0),
    _track(
        "a sentence that shows nothing", "a\tb\n\u200f\tc\n", "1\n2\n", f"{_INPUT}:2: pair 2: empty sentence (left out)", code=0
    ),
    _track("pairs without a score are left out", _TWO, "1\n", f"{_INPUT}:2: pair 2: has no gold score (left out)", code=0),
    _track("other line ends are text", "a\u2028b\tc\x85d\n", "1\n", "1 ", "en_en", code=0),
    Case("sts2017: the scores are missing", _DESCRIBE, (f"{_INPUT}: its scores are missing: {_GOLD}",), {_INPUT: _TWO}),
    Case(
        "sts2017: two files for a track",
        _DESCRIBE,
        ("STS.input.track9.en-en.txt: en-en is in", "already"),
        {_INPUT: _TWO, _GOLD: "1\n2\n", _INPUT.replace("5", "9"): _TWO, _GOLD.replace("5", "9"): "1\n2\n"},
    ),
    Case(
        "sts2017: nothing in it",
        ("run", "data=sts2017", "data.path=d", "algo=zero-shot"),
        ("data.path=d: no STS.input.TRACK.X-Y.txt files",),
        {"d/notes.txt": "x"},
    ),
    Case(
        "sts2017: no such language",
        ("run", "data=sts2017", "data.path=d", "algo=zero-shot", "data.languages=[fr]"),
        ("data.languages", "has no language 'fr'; it has en"),
        {_INPUT: _TWO, _GOLD: "1\n2\n"},
    ),
    _rows("empty", "", "stsb-en-train.csv: holds no pairs", process=True),
    _rows("two fields", _ROWS + "a,b\n", "stsb-en-train.csv:3: expected sentence, sentence, score; found 2 fields"),
    _rows("four fields", "a,b,1,2\n", "stsb-en-train.csv:1: expected sentence, sentence, score; found 4 fields"),
    _rows("a score that is text", "a,b,c\n", "stsb-en-train.csv:1: expected a score from 0 to 5, found 'c'"),
    _rows("a score that is NaN", "a,b,NaN\n", "stsb-en-train.csv:1: expected a score from 0 to 5, found 'NaN'"),
    _rows("a score above 5", "a,b,6\n", "stsb-en-train.csv:1: expected a score from 0 to 5, found '6'"),
    Case(
        "stsb: a header",
        ("run", "data=stsb", "data.path=d", "algo=zero-shot"),
        ("stsb-en-train.csv:1: expected a score from 0 to 5, found 'score'",),
        {f"d/stsb-en-{part}.csv": "sentence1,sentence2,score\n" + _ROWS for part in ("train", "dev", "test")},
    ),
    _rows("a quote left open", 'a,"b,1\nc,d,2\n', "stsb-en-train.csv:1: not valid CSV"),
    _rows("a quote in the middle", 'a,"b"c,1\n', "stsb-en-train.csv:1: not valid CSV"),
    _rows("a NUL", "a\0b,c,1\n", "stsb-en-train.csv:1", "NUL"),
    _rows("not UTF-8", b"a\xff,b,1\n", "stsb-en-train.csv: not UTF-8 text (byte 1)"),
    _rows("a field of ten megabytes", "x" * 10_000_000 + ",b,7\n", "stsb-en-train.csv:1", part="train"),
    _rows(
        "an empty sentence is left out",
        _ROWS + ",b,1\n",
        "stsb-en-dev.csv:3: row 3: empty sentence (left out)",
        code=0,
        part="dev",
    ),
    Case(
        "stsb: a part is missing",
        _DESCRIBE,
        ("stsb-en-dev.csv is missing",),
        {"d/stsb-en-train.csv": _ROWS, "d/stsb-en-test.csv": _ROWS},
    ),
    Case(
        "stsb: other scores in another language",
        _DESCRIBE,
        ("stsb-en-train.csv:2: score 1.5, but", "stsb-de-train.csv:2 has 2"),
        {
            **{f"d/stsb-{x}-{p}.csv": _ROWS for x in ("de", "en") for p in ("train", "dev", "test")},
            "d/stsb-de-train.csv": _ROWS.replace("1.5", "2"),
        },
    ),
    Case(
        "stsb: other rows in another language",
        _DESCRIBE,
        ("stsb-en-train.csv: 2 rows, but", "stsb-de-train.csv has 3"),
        {
            **{f"d/stsb-{x}-{p}.csv": _ROWS for x in ("de", "en") for p in ("train", "dev", "test")},
            "d/stsb-de-train.csv": _ROWS + "x,y,1\n",
        },
    ),
]
