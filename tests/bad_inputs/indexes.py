"""Index folders, and corpora to index."""

from __future__ import annotations

import hashlib

from tests.bad_inputs import Case, Content, half, put, without

_SEARCH = ("search", "index", "tea")


def _index(name: str, file: str, content: Content, *said: str, process: bool = False) -> Case:
    return Case(f"index: {name}", _SEARCH, (f"index/{file}", *said), {f"index/{file}": content}, ("index",), process=process)


def _corpus(name: str, file: str, content: Content, *said: str) -> Case:
    words = ("index", "./model", file, "--out", "i")
    return Case(f"index corpus: {name}", words, (file, *said), {file: content}, ("model",))


CASES = [
    _index("index.json cut off", "index.json", half, "not JSON"),
    _index("index.json empty", "index.json", b"", "not JSON"),
    _index("index.json of a newer version", "index.json", put("schema", value=9), "schema is 9, expected 1"),
    _index("index.json without a model", "index.json", without("model"), ".model is missing, expected text"),
    _index(
        "index.json with a count of text", "index.json", put("count", value="many"), ".count is 'many', expected a whole number"
    ),
    _index(
        "index.json with an encoder that is text",
        "index.json",
        put("encoder", value="triplet"),
        ".encoder is 'triplet', expected an object",
    ),
    _index("index.json without the encoder's options", "index.json", without("encoder", "options"), "options is missing"),
    _index("index.json without files", "index.json", without("files"), ".files is missing, expected an object"),
    _index("an index cut off", "index.faiss", half, "damaged or from another index"),
    _index("an index of another", "index.faiss", lambda raw: raw[:-1] + bytes([raw[-1] ^ 255]), "with other content"),
    _index("an index that is missing", "index.faiss", None, "not there; build the index again"),
    _index("texts cut off", "documents.sqlite", half, "damaged or from another index"),
    _index("texts that are missing", "documents.sqlite", None, "not there; build the index again"),
    Case(
        "index: an encoder of nobody",
        _SEARCH,
        ("encoder=evil:triplet: no encoder has this name",),
        {"index/index.json": put("encoder", "distribution", value="evil")},
        ("index",),
    ),
    Case(
        "index: an option that is none",
        _SEARCH,
        ("index: built with the encoder options trust_remote_code",),
        {"index/index.json": put("encoder", "options", "trust_remote_code", value=True)},
        ("index",),
    ),
    Case(
        "index: a model that has gone",
        _SEARCH,
        ("index: its model /gone/\\u001b[2J is not there any more",),
        {"index/index.json": put("model", value="/gone/\x1b[2J")},
        ("index",),
    ),
    Case(
        "index: a file outside the folder",
        _SEARCH,
        ("index/index.json", "../outside"),
        {
            "outside": "x",
            "index/index.json": put(
                "files", "../outside", value={"bytes": 1, "sha256_of_ends": hashlib.sha256(b"x").hexdigest()}
            ),
        },
        ("index",),
    ),
    Case("index: no such folder", ("search", "gone", "tea"), ("gone: no such folder",)),
    Case("index: a file", ("search", "file", "tea"), ("file: not a folder",), {"file": "x"}),
    Case(
        "index: an empty folder",
        ("search", "i", "tea"),
        ("i: no index: it has no index.json",),
        prepare=lambda f: (f / "i").mkdir(),
    ),
    Case("index: an unfinished one", ("search", "i", "tea"), ("i: this index is not finished",), {"i/build.json": "{}"}),
    Case("index: an empty query", ("search", "index", " "), ("the query is empty",), base=("index",)),
    Case(
        "index: half a surrogate pair for a query",
        ("search", "index", "a\ud800"),
        ("the query is not valid Unicode text (character 2)",),
        base=("index",),
    ),
    Case(
        "index: a finished one is not overwritten",
        ("index", "./model", "mini", "--out", "index"),
        ("--out index: holds a finished index",),
        base=("model", "index"),
    ),
    Case(
        "index: a folder with other things is not used",
        ("index", "./model", "mini", "--out", "d"),
        ("--out d: already exists and is neither empty nor",),
        {"d/precious.txt": "x"},
        ("model",),
    ),
    Case(
        "index: an unfinished one that is damaged",
        ("index", "./model", "t.txt", "--out", "i"),
        ("i/build.json",),
        {"i/build.json": "{", "t.txt": "tea\n"},
        ("model",),
    ),
    _corpus("empty", "t.txt", "", "holds no texts"),
    _corpus("white space", "t.txt", " \n\u2003\n", "holds no texts"),
    _corpus("a NUL", "t.txt", "tea\na\0b\n", ":2: holds a NUL"),
    _corpus("not UTF-8", "t.txt", b"tea\n\xff\n", ":2: not UTF-8 text (byte 0 of the line)"),
    _corpus("a table without texts", "t.csv", "id,txt\n1,a\n", ":2: has no 'text'; found 'id', 'txt'"),
    _corpus("a table with a field too many", "t.csv", "id,text\n1,a,b\n", ":2: expected 2 fields"),
    _corpus("JSON lines that are none", "t.jsonl", '{"text": "a"}\n{"text": \n', ":2: not valid JSON"),
    _corpus("half a surrogate pair", "t.jsonl", '{"text": "a"}\n{"text": "\\ud800"}\n', ":2: 'text': half a surrogate pair"),
    _corpus("an id that is a list", "t.jsonl", '{"text": "a", "id": []}\n', ":1: 'id': expected text"),
    _corpus(
        "sentence pairs",
        "t.csv",
        "sentence1,sentence2,score\na,b,1\n",
        "scored sentence pairs, which have no candidates to search in",
    ),
]
