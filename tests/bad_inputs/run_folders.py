"""Run folders that were damaged, or written by somebody else: ``compare``, ``report``, ``evaluate``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bad_inputs import Case, Content, half, put, without

_REPORT = ("report", "run")
_COMPARE = ("compare", "run", "other")


def _report(name: str, file: str, content: Content, *said: str, process: bool = False) -> Case:
    return Case(f"run: {name}", _REPORT, (f"run/{file}", *said), {f"run/{file}": content}, ("run",), process=process)


def _compare(name: str, file: str, content: Content, *said: str, code: int = 2) -> Case:
    return Case(f"compare: {name}", _COMPARE, (f"other/{file}", *said), {f"other/{file}": content}, ("run", "other"), code=code)


def _row(key: str, value: Any) -> Callable[[bytes], bytes]:
    return put("scores", 0, key, value=value)


def _lines(change: Callable[[list[bytes]], object]) -> Callable[[bytes], bytes]:
    def edit(raw: bytes) -> bytes:
        lines = raw.split(b"\n")
        change(lines)
        return b"\n".join(lines)

    return edit


def _cell(line: int, column: int, value: bytes) -> Callable[[bytes], bytes]:
    def change(lines: list[bytes]) -> None:
        cells = lines[line - 1].split(b"\t")
        cells[column] = value
        lines[line - 1] = b"\t".join(cells)

    return _lines(change)


def _no_read(folder: Path) -> None:
    (folder / "run/results.json").unlink()
    (folder / "run/results.json").mkdir()


CASES = [
    _report("results cut off", "results.json", half, "not JSON", process=True),
    _report("results empty", "results.json", b"", "not JSON"),
    _report("results are a list", "results.json", b"[]", "holds [], expected an object"),
    _report("results in UTF-16", "results.json", lambda raw: raw.decode().encode("utf-16"), "not UTF-8"),
    _report("results with a byte that is no text", "results.json", lambda raw: raw + b"\xff", "not UTF-8"),
    _report("results nested too deeply", "results.json", b"[" * 200_000, "not JSON"),
    _report("results of a newer version", "results.json", put("schema", value=2), "schema is 2, expected 1"),
    _report("results without a schema", "results.json", without("schema"), "schema is None, expected 1"),
    _report("results without a main score", "results.json", without("main_score"), "main_score"),
    _report(
        "a main score that is a number", "results.json", put("main_score", value=0.5), "main_score: holds 0.5, expected an object"
    ),
    _report(
        "a main metric that is null",
        "results.json",
        put("main_score", "metric", value=None),
        "main_score.metric is None, expected the name",
    ),
    _report(
        "a main metric without scores",
        "results.json",
        put("main_score", "metric", value="\x1b[2J"),
        "no row of scores is of the main metric \\u001b[2J",
    ),
    _report("scores are an object", "results.json", put("scores", value={}), "scores is {}, expected a list"),
    _report("a score that is text", "results.json", _row("value", "0.5"), "scores[0].value is '0.5', expected a number"),
    _report("a score that is NaN", "results.json", _row("value", float("nan")), "scores[0].value is nan, expected a number"),
    _report(
        "a score that is infinite", "results.json", _row("value", float("-inf")), "scores[0].value is -inf, expected a number"
    ),
    _report("a score beyond all measure", "results.json", _row("value", 1e300), "scores[0].value is 1e+300, expected a number"),
    _report(
        "a score that is missing", "results.json", without("scores", 0, "value"), "scores[0].value is missing, expected a number"
    ),
    _report(
        "a variant that is none",
        "results.json",
        _row("variant", "poly"),
        "scores[0].variant is 'poly', expected multi or bi or mono",
    ),
    _report("a variant that is a list", "results.json", _row("variant", []), "scores[0].variant is [], expected multi"),
    _report(
        "a fold that is a path",
        "results.json",
        _row("fold", "../../x"),
        "scores[0].fold is '../../x', expected a whole number or null",
    ),
    _report("a fold that is true", "results.json", _row("fold", True), "scores[0].fold is True, expected a whole number or null"),
    _report(
        "languages that are text", "results.json", _row("candidate_languages", "ar"), "scores[0].candidate_languages is 'ar'"
    ),
    _report("no languages", "results.json", _row("candidate_languages", []), "scores[0].candidate_languages is []"),
    _report("a count that is a fraction", "results.json", _row("n", 1.5), "scores[0].n is 1.5, expected a whole number"),
    _report("a degree that is none", "results.json", _row("supervision", "\u202efew"), "scores[0].supervision is '\\u202efew'"),
    _report(
        "a time that is text",
        "results.json",
        put("timings", value={"train": "long"}),
        "timings.train is 'long', expected seconds",
    ),
    _report("manifest missing", "manifest.json", None, "manifest.json: cannot be read: No such file"),
    _report("manifest cut off", "manifest.json", half, "not JSON"),
    _report("manifest of a newer version", "manifest.json", put("schema", value="1"), "schema is '1', expected 1"),
    _report("config missing", "config.yaml", None, "cannot be read"),
    _report("config that is no YAML", "config.yaml", "a: [\n", "not valid YAML"),
    _report(
        "config with a Python object", "config.yaml", "a: !!python/object/apply:os.system [ls]\n", "config.yaml:1: not valid YAML"
    ),
    _report("log that is no JSON", "log.jsonl", lambda raw: raw + b"{x\n", "log.jsonl, line ", "not JSON"),
    _report("log cut off", "log.jsonl", lambda raw: raw[:-20], "log.jsonl, line ", "not JSON"),
    _report("log of numbers", "log.jsonl", b"3\n", "log.jsonl, line 1: holds 3, expected an object"),
    _report("log without steps", "log.jsonl", b'{"loss": 1}\n', "line 1.step is missing, expected a whole number"),
    _report("log with a loss of text", "log.jsonl", b'{"step": 1, "phase": "train", "loss": "x"}\n', "line 1.loss is 'x'"),
    _report("log with a step of 400 digits", "log.jsonl", b'{"step": ' + b"9" * 400 + b"}\n", "line 1.step is 999"),
    _report("log with a line of ten megabytes", "log.jsonl", b'{"step": "' + b"x" * 10_000_000 + b'"}\n', "line 1.step is 'xxx"),
    _report("log that is not UTF-8", "log.jsonl", b"\xff\n", "log.jsonl: not UTF-8"),
    _report("map cut off", "map.json", half, "not JSON"),
    _report("map of points that are text", "map.json", put("points", value="x"), "points is 'x', expected a list"),
    _report(
        "map with a point at NaN",
        "map.json",
        put("points", 0, "after", value=[0, float("nan")]),
        "points[0].after is [0, nan], expected two numbers",
    ),
    _report(
        "map with a point of three numbers",
        "map.json",
        put("points", 0, "before", value=[1, 2, 3]),
        "points[0].before is [1, 2, 3]",
    ),
    _report(
        "map with a side that is none",
        "map.json",
        put("points", 0, "side", value="x"),
        "points[0].side is 'x', expected query or candidate",
    ),
    _report("map without texts", "map.json", without("points", 0, "text"), "points[0].text is missing, expected text"),
    Case("run: no results", _REPORT, ("run: holds no results.json",), {"run/results.json": None}, ("run",)),
    Case(
        "run: results are a folder",
        _REPORT,
        ("run/results.json: cannot be read: Is a directory",),
        base=("run",),
        prepare=_no_read,
    ),
    Case("run: no such folder", _REPORT, ("run: no such folder",)),
    Case("run: a file", _REPORT, ("run: no such folder; expected a run folder",), {"run": "x"}),
    Case("run: given twice", ("report", "run", "./run/"), ("./run/: given twice",), base=("run",)),
    Case(
        "run: a page over a run's file",
        ("report", "run", "--out", "run/results.json"),
        ("--out run/results.json: expected a file name that ends in .html",),
        base=("run",),
    ),
    Case(
        "run: a page over a folder",
        ("report", "run", "--out", "x.html"),
        ("--out x.html: is a folder",),
        base=("run",),
        prepare=lambda f: (f / "x.html").mkdir(),
    ),
    Case(
        "run: a page where a file is",
        ("report", "run", "--out", "run/results.json/x.html"),
        ("--out run/results.json/x.html: cannot be written",),
        base=("run",),
    ),
    _compare("results cut off", "results.json", half, "not JSON"),
    Case(
        "compare: another metric",
        _COMPARE,
        ("other: its main metric is mrr, but run has map@20",),
        {"other/results.json": lambda raw: raw.replace(b'"map@20"', b'"mrr"')},
        ("run", "other"),
    ),
    _compare("no header", "per-query.tsv", _lines(lambda lines: lines.pop(0)), "line 1", "expected the header"),
    _compare("an empty table", "per-query.tsv", b"", "line 1: '', expected the header"),
    _compare("a value that is text", "per-query.tsv", _cell(2, 4, b"x"), "line 2: 'x', expected a number"),
    _compare("a value that is NaN", "per-query.tsv", _cell(3, 4, b"nan"), "line 3: 'nan', expected a number"),
    _compare(
        "a field too few",
        "per-query.tsv",
        _lines(lambda lines: lines.__setitem__(2, b"multi\tar")),
        "line 3: 2 fields, expected 5",
    ),
    _compare(
        "a line twice",
        "per-query.tsv",
        _lines(lambda lines: lines.insert(1, lines[1])),
        "line 3",
        "was there before; expected once",
    ),
    _compare("a table that is not UTF-8", "per-query.tsv", _cell(2, 3, b"\xff"), "not UTF-8"),
    _compare("a line cut off", "per-query.tsv", lambda raw: raw.rstrip().rpartition(b"\t")[0], "line ", "fields, expected 5"),
    Case("compare: one run", ("compare", "run"), ("compare: 1 run given; expected two or more",), base=("run",)),
    Case("compare: a seed below 0", (*_COMPARE, "--seed", "-1"), ("--seed -1: expected 0 or more",), base=("run", "other")),
    Case(
        "compare: a baseline that is not there",
        (*_COMPARE, "--baseline", "gone"),
        ("gone: no such folder",),
        base=("run", "other"),
    ),
    Case(
        "compare: pairs with a gold score of text",
        ("compare", "pairs_run", "pairs_other"),
        ("pairs_other/pairs.tsv, line 2: 'x', expected a number",),
        {"pairs_other/pairs.tsv": _cell(2, 5, b"x")},
        ("pairs_run", "pairs_other"),
    ),
    Case(
        "compare: pairs without the gold column",
        ("compare", "pairs_run", "pairs_other"),
        ("pairs_other/pairs.tsv, line 1",),
        {"pairs_other/pairs.tsv": lambda raw: raw.replace(b"\tgold", b"")},
        ("pairs_run", "pairs_other"),
    ),
    Case(
        "compare: a name with an escape sequence is told plainly",
        _COMPARE,
        ("\\u001b[2J",),
        {"other/manifest.json": put("components", "algo", "name", value="\x1b[2J")},
        ("run", "other"),
        code=0,
    ),
    Case(
        "evaluate: config that is no YAML",
        ("evaluate", "run"),
        ("run/config.yaml:2: not valid YAML",),
        {"run/config.yaml": "a: [\n"},
        ("run",),
    ),
    Case(
        "evaluate: config with an unknown key",
        ("evaluate", "run"),
        ("remote: no such key (from run/config.yaml)",),
        {"run/config.yaml": lambda raw: raw + b"remote: true\n"},
        ("run",),
    ),
    Case(
        "evaluate: config with an unknown plugin",
        ("evaluate", "run"),
        ("data=evil:mini: no data has this name",),
        {"run/config.yaml": lambda raw: raw.replace(b"name: mini\n", b"name: evil:mini\n")},
        ("run",),
    ),
    Case(
        "evaluate: data that has gone",
        ("evaluate", "run", "data=xquad-r", "data.path=gone"),
        ("data.path=gone: no such folder",),
        base=("run",),
    ),
    Case(
        "evaluate: a run without a model",
        ("evaluate", "bare"),
        ("bare: this run has no model/ folder",),
        {"bare/config.yaml": "seed: 1\n"},
    ),
    Case(
        "evaluate: a run's config and another",
        ("evaluate", "run", "--config", "c.yaml"),
        ("--config c.yaml: run is a run, which brings its own",),
        {"c.yaml": "seed: 1\n"},
        ("run",),
    ),
    Case(
        "evaluate: manifest cut off",
        ("evaluate", "run"),
        ("run/manifest.json: not JSON",),
        {"run/manifest.json": half},
        ("run",),
    ),
    Case(
        "evaluate: languages that are a number",
        ("evaluate", "run"),
        ("run/manifest.json", "languages_seen"),
        {"run/manifest.json": put("languages_seen", value=3)},
        ("run",),
    ),
    Case(
        "evaluate: a run's config that says where to write",
        ("evaluate", "run", "data.languages=[ar]", "eval.variants=[mono]"),
        ("map@20",),
        {"run/config.yaml": lambda raw: raw.replace(b"out: null", b"out: elsewhere")},
        ("run",),
        code=0,
    ),
    Case(
        "evaluate: into a folder that holds a run",
        ("evaluate", "run", "out=run"),
        ("out=run: already exists and is not empty",),
        base=("run",),
    ),
]
