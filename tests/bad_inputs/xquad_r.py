"""XQuAD-R folders, and SQuAD files that were machine-translated."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests.bad_inputs import Case, Content

_DESCRIBE = ("data", "describe", "d")
_RUN = ("run", "data=xquad-r", "data.path=d", "algo=zero-shot", "data.fold=none")
_GOOD: dict[str, Any] = {
    "version": "1.1",
    "data": [
        {
            "paragraphs": [
                {
                    "context": "Tea is old. Coffee is not.",
                    "sentences": ["Tea is old.", "Coffee is not."],
                    "sentence_breaks": [[0, 11], [12, 26]],
                    "qas": [
                        {"id": "q1", "question": "What is old?", "answers": [{"answer_start": 0, "text": "Tea"}]},
                        {"id": "q2", "question": "What is not?", "answers": [{"answer_start": 12, "text": "Coffee"}]},
                    ],
                }
            ]
        }
    ],
}
_PLACE = "data[0].paragraphs[0]"


def _with(change: Callable[[dict[str, Any]], object]) -> str:
    content = copy.deepcopy(_GOOD)
    change(content["data"][0]["paragraphs"][0])
    return json.dumps(content, indent=1)


def _raw(name: str, content: Content, *said: str, process: bool = False) -> Case:
    return Case(f"xquad-r: {name}", _DESCRIBE, ("xx.json", *said), {"d/xx.json": content}, process=process)


def _wrong(name: str, change: Callable[[dict[str, Any]], object], *said: str) -> Case:
    return _raw(name, _with(change), *said)


def _odd(name: str, change: Callable[[dict[str, Any]], object], *said: str) -> Case:
    """Not refused, but listed, with file and line."""
    return Case(f"xquad-r: {name}", _DESCRIBE, ("xx.json:", *said), {"d/xx.json": _with(change)}, code=0)


def _answer(start: Any, text: Any = "Tea") -> Callable[[dict[str, Any]], object]:
    return lambda p: p["qas"][0].update(answers=[{"answer_start": start, "text": text}])


_TEXT = json.dumps(_GOOD)

CASES = [
    _raw("empty", b"", ":1: not valid JSON", process=True),
    _raw("white space", b" \n \n", ":3: not valid JSON"),
    _raw("cut off", _TEXT[:100], "not valid JSON"),
    _raw("text behind it", _TEXT + "\nx", ":2: not valid JSON: Extra data"),
    _raw("a comma too many", '{"data": [\n1,\n]}', ":3: not valid JSON"),
    _raw("UTF-16", _TEXT.encode("utf-16"), "not UTF-8 text (byte 0)"),
    _raw("Latin-1", _TEXT.replace("Tea", "Té").encode("latin-1"), "not UTF-8 text"),
    _raw("a NUL between", _TEXT.encode().replace(b'"data"', b'\0"data"'), ":1: a NUL, which no text holds"),
    _raw("nested too deeply", b"[" * 200_000, "not valid JSON: nested too deeply"),
    _raw("a number of ten thousand digits", '{"data": ' + "9" * 10_000 + "}", "not valid JSON"),
    _raw("a list", "[]", "top level: expected an object, found a list"),
    _raw("null", "null", "top level: expected an object, found nothing"),
    _raw("no data", "{}", "top level: has no 'data'"),
    _raw("data is text", '{"data": "x"}', "data: expected a list, found text"),
    _raw("an article that is a number", '{"data": [3]}', "data[0]: expected an object, found a number"),
    _raw("no questions", '{"data": []}', "holds no questions"),
    _wrong("no context", lambda p: p.pop("context"), f"{_PLACE}: has no 'context'"),
    _wrong("a context that is null", lambda p: p.update(context=None), f"{_PLACE}.context: expected text, found nothing"),
    _wrong("sentences are text", lambda p: p.update(sentences="x"), f"{_PLACE}.sentences: expected a list, found text"),
    _wrong("a sentence that is a list", lambda p: p["sentences"].__setitem__(0, []), f"{_PLACE}.sentences[0]: expected text"),
    _wrong("a sentence too many", lambda p: p["sentences"].append("x"), "3 sentences but 2 sentence_breaks"),
    _wrong("a break of three", lambda p: p["sentence_breaks"].__setitem__(1, [1, 2, 3]), "sentence_breaks[1]", "[1, 2, 3]"),
    _wrong("a break the wrong way", lambda p: p["sentence_breaks"].__setitem__(1, [9, 3]), "sentence_breaks[1]", "[9, 3]"),
    _wrong("a break below 0", lambda p: p["sentence_breaks"].__setitem__(0, [-1, 11]), "sentence_breaks[0]", "[-1, 11]"),
    _wrong("a break of fractions", lambda p: p["sentence_breaks"].__setitem__(0, [0.0, 11.0]), "sentence_breaks[0]"),
    _wrong("a question without id", lambda p: p["qas"][1].pop("id"), f"{_PLACE}.qas[1]: has no 'id'"),
    _wrong("an id that is a number", lambda p: p["qas"][1].update(id=3), f"{_PLACE}.qas[1].id: expected text, found a number"),
    _wrong("an id twice", lambda p: p["qas"][1].update(id="q1"), f"{_PLACE}.qas[1]: the id 'q1' stands twice"),
    _wrong("an id with an escape sequence, twice", lambda p: [q.update(id="\x1b[2J") for q in p["qas"]], "stands twice"),
    _wrong("an id with half a surrogate pair", lambda p: p["qas"][0].update(id="\ud800"), "qas[0].id: half a surrogate pair"),
    _wrong("a sentence with half a surrogate pair", lambda p: p["sentences"].__setitem__(0, "a\udfff"), "at character 1"),
    _wrong("a context with half a surrogate pair", lambda p: p.update(context="\ud800"), f"{_PLACE}.context: half a surrogate"),
    _wrong("a question with a NUL", lambda p: p["qas"][0].update(question="a\0b"), f"{_PLACE}.qas[0].question", "NUL"),
    _wrong("a sentence with a NUL", lambda p: p["sentences"].__setitem__(0, "a\0b"), f"{_PLACE}.sentences[0]", "NUL"),
    _wrong("an id with a NUL", lambda p: p["qas"][0].update(id="\0"), f"{_PLACE}.qas[0].id", "NUL"),
    _wrong("no answers", lambda p: p["qas"][0].update(answers=[]), f"{_PLACE}.qas[0].answers: expected an answer, found none"),
    _wrong("an answer that is null", lambda p: p["qas"][0].update(answers=[None]), "answers[0].answer_start"),
    _wrong("an answer_start that is text", _answer("0"), "answers[0].answer_start: expected a whole number, found text"),
    _wrong("an answer_start that is a fraction", _answer(0.5), "answers[0].answer_start: expected a whole number"),
    _wrong("an answer_start that is NaN", _answer(float("nan")), "answers[0].answer_start: expected a whole number"),
    _odd("an answer below 0", _answer(-5), "answer_start -5 lies in no sentence (left out)"),
    _odd("an answer outside its paragraph", _answer(10**30), "lies in no sentence (left out)"),
    _odd("an answer that is not there", _answer(0, "Milk"), "the answer's text is not what the context has at answer_start"),
    _odd("an answer past its sentence", _answer(0, "Tea is old. Coffee"), "the answer runs past the end of its sentence"),
    _wrong(
        "a break past the end", lambda p: p["sentence_breaks"].__setitem__(1, [12, 27]), "sentence_breaks[1]: ends at 27, but"
    ),
    _odd("an empty question", lambda p: p["qas"][0].update(question=" "), "empty question (left out)"),
    _odd("a question that shows nothing", lambda p: p["qas"][0].update(question="\u200f\u202e"), "empty question (left out)"),
    _odd("a sentence that shows nothing", lambda p: p["sentences"].__setitem__(0, "\u200f"), "empty sentence (left out)"),
    Case(
        "xquad-r: a byte order mark is none",
        _DESCRIBE,
        ("2 of 2 questions",),
        {"d/xx.json": b"\xef\xbb\xbf" + _TEXT.encode()},
        code=0,
    ),
    Case(
        "xquad-r: a sentence of ten megabytes is listed",
        _DESCRIBE,
        ("texts of more than", "10000000"),
        {"d/xx.json": _with(lambda p: p["sentences"].__setitem__(0, "x" * 10_000_000))},
        code=0,
    ),
    Case(
        "xquad-r: an id for two questions",
        _DESCRIBE,
        ("yy.json", "question 'q1' is in article 1 here but in article 0"),
        {"d/xx.json": _TEXT, "d/yy.json": json.dumps({"data": [{"paragraphs": []}, *_GOOD["data"]]})},
    ),
    Case(
        "xquad-r: no questions left",
        _RUN,
        ("d/xx.json:", "empty question (left out); no question is left"),
        {"d/xx.json": _with(lambda p: [q.update(question="") for q in p["qas"]])},
    ),
    Case("xquad-r: no such folder", _RUN, ("data.path=d: no such folder",)),
    Case("xquad-r: an empty folder", _RUN, ("data.path=d: no LANGUAGE.json files",), prepare=lambda f: (f / "d").mkdir()),
    Case(
        "xquad-r: a language.json that is a folder",
        _RUN,
        ("xx.json: cannot be read",),
        prepare=lambda f: (f / "d/xx.json").mkdir(parents=True),
    ),
    Case(
        "xquad-r: a link to nowhere",
        _RUN,
        ("xx.json: cannot be read",),
        prepare=lambda f: ((f / "d").mkdir(), (f / "d/xx.json").symlink_to("gone")),
    ),
    Case(
        "xquad-r: too few articles",
        ("run", "data=xquad-r", "data.path=d"),
        ("five folds need at least 5 articles",),
        {"d/xx.json": _TEXT},
    ),
    Case(
        "xquad-r: no such language",
        (*_RUN, "data.languages=[xy]"),
        ("data.languages", "has no language 'xy'"),
        {"d/xx.json": _TEXT},
    ),
    Case(
        "translated: not JSON",
        ("run", "data.translated={ar: t.json}"),
        ("t.json:1: not valid JSON",),
        {"t.json": "squad"},
    ),
    Case("translated: no such file", ("run", "data.translated={ar: t.json}"), ("t.json: cannot be read",)),
    Case(
        "translated: a question without an id",
        ("run", "data.translated={ar: t.json}"),
        ("t.json", "data[0].paragraphs[0].qas[0]: has no 'id'"),
        {"t.json": json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [{}]}]}]})},
    ),
]
