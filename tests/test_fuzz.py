"""Every parser on made-up and on damaged input, for a bounded time: it reads it, or raises our own error with the place.

FUZZ_SECONDS is the time for each parser (2), FUZZ_SEED where the seeds begin (0); the summary says how many inputs that were.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from metasearch.errors import MetasearchError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
_EXAMPLES = 50  # of one seed; the time is looked at between seeds

Fuzz = Callable[[st.SearchStrategy[Any], Callable[[Any], object], str], None]


@pytest.fixture
def fuzz(record_property: Callable[[str, object], None]) -> Fuzz:
    """Run a parser on inputs of a strategy until the time is up; an error of ours has to name ``place``."""

    def run(inputs: st.SearchStrategy[Any], parse: Callable[[Any], object], place: str) -> None:
        count, seed, begin = 0, SEED, time.monotonic()

        def one(content: Any) -> None:
            nonlocal count
            count += 1
            try:
                parse(content)
            except MetasearchError as error:
                assert place in str(error), str(error)

        while (spent := time.monotonic() - begin) < SECONDS:
            quiet = settings(
                max_examples=_EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
            )
            hypothesis.seed(seed)(quiet(hypothesis.given(inputs)(one)))()
            seed += 1
        record_property("fuzzed", [count, spent])

    return run


# -- inputs ------------------------------------------------------------------------------------------------------------------

_ODD_CHARACTERS = "\0\x1b\x85\u2028\u202e\u200f\ufeff\ud800\udfff\"'\\\t\r\n,;:{}[]_->=~+#*&!%@`|٣ｅ"
text = st.text(st.characters(codec=None) | st.sampled_from(_ODD_CHARACTERS), max_size=30)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | text
    | st.sampled_from([10**30, -1, 1e300, "\0", "\ud800", "\u202e", " ", "x" * 2000, "../../x", "1e999", "9" * 5000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, good: Any) -> Any:
    """A good structure of lists and dictionaries, with up to three parts replaced, removed or doubled."""
    content = {"": copy.deepcopy(good)}
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = content
        key: Any = ""
        while isinstance(holder[key], (dict, list)) and holder[key] and draw(st.integers(0, 5)):
            holder = holder[key]
            key = draw(st.sampled_from(sorted(holder)) if isinstance(holder, dict) else st.integers(0, len(holder) - 1))
        what = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
        if what == "replace" or holder is content:
            holder[key] = draw(values)
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[draw(text)] = copy.deepcopy(holder[key])
    return content[""]


@st.composite
def damaged(draw: st.DrawFn, good: str) -> bytes:
    """A good file with up to three pieces replaced by a few bytes, or cut off; or any bytes or text at all."""
    if not draw(st.integers(0, 4)):
        return draw(st.binary(max_size=60) | text.map(lambda t: t.encode("utf-8", "surrogatepass")))
    raw = good.encode()
    for _ in range(draw(st.integers(1, 3))):
        start, length = draw(st.integers(0, len(raw))), draw(st.integers(0, 8))
        piece = draw(st.binary(max_size=4) | text.map(lambda t: t.encode("utf-8", "surrogatepass")))
        raw = raw[:start] + piece + raw[start + length :]
    return raw[: draw(st.integers(0, len(raw)))] if not draw(st.integers(0, 4)) else raw


def files(good: Mapping[str, str]) -> st.SearchStrategy[tuple[str, bytes]]:
    """One of the files, and what is in it instead."""
    return st.sampled_from(sorted(good)).flatmap(lambda name: st.tuples(st.just(name), damaged(good[name])))


def json_text(content: Any) -> str:
    return json.dumps(content)


def json_files(good: Mapping[str, Any]) -> st.SearchStrategy[tuple[str, bytes]]:
    """One of the JSON files, changed in its structure or damaged in its bytes."""

    def of(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        whole = json_text(good[name])
        return st.tuples(st.just(name), changed(good[name]).map(lambda c: json_text(c).encode()) | damaged(whole))

    return st.sampled_from(sorted(good)).flatmap(of)


def write(folder: Path, good: Mapping[str, str | bytes]) -> None:
    for name, content in good.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def with_one(folder: Path, good: Mapping[str, str], parse: Callable[[], object]) -> Callable[[tuple[str, bytes]], None]:
    """Parse the folder with one of its files replaced."""
    write(folder, good)

    def one(change: tuple[str, bytes]) -> None:
        write(folder, dict([change]))
        try:
            parse()
        finally:
            write(folder, {change[0]: good[change[0]]})

    return one


# -- configuration -----------------------------------------------------------------------------------------------------------


def test_overrides(fuzz: Fuzz) -> None:
    from metasearch.config import parse_overrides
    from metasearch.config.overrides import expand_sweep

    keys = st.sampled_from(["", "seed", "algo", "algo.inner_lr", "~seed", "+seed", "++seed", "eval.variants", "data.translated"])
    words = st.tuples(keys, st.sampled_from(["=", "", "=="]), text | values.map(str)).map("".join) | text
    fuzz(words, lambda word: (parse_overrides([word]), expand_sweep([word])), "")


def test_compose(fuzz: Fuzz) -> None:
    from metasearch.config import compose
    from metasearch.config.schema import fixed_defaults

    keys = st.sampled_from(
        [*fixed_defaults(), "algo", "data", "encoder.model", "algo.inner_steps", "data.translated", "data.fold"]
    )
    words = st.tuples(keys, text | values.map(str)).map("=".join)

    def parse(given: Sequence[str]) -> None:
        config = compose(*given)
        assert compose(*given).to_yaml() == config.to_yaml()

    fuzz(st.lists(words, min_size=1, max_size=2), parse, "")


def test_config_files(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch.config import compose
    from metasearch.config.files import parse_yaml, read_yaml

    good = {"c.yaml": compose().to_yaml()}

    def parse() -> None:
        read_yaml(tmp_path / "c.yaml")
        config = compose(file=tmp_path / "c.yaml")
        assert parse_yaml(config.to_yaml(), "again") == dict(config.values)

    fuzz(files(good), with_one(tmp_path, good, parse), "")


def test_arrangements(fuzz: Fuzz) -> None:
    from metasearch.episodes.arrangement import parse_mode

    pieces = st.sampled_from(["el", "ar", "_", "->", " -> ", ";", "{", "}", ",", " ", "el_el", "el_{ar,el}", "mono-bi"])
    fuzz(st.lists(pieces | text, max_size=12).map("".join), parse_mode, "mode=")


# -- data --------------------------------------------------------------------------------------------------------------------

_XQUAD = {
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
    ]
}
_ROWS = 'a cat,a dog,3.0\n"a ""tea""","a\ncup",1.5\n'


def _describe(corpus: Any) -> None:
    """What is read can be looked at: every finding and every problem can be told."""
    from metasearch.dataset.describe import description, findings

    found = findings(corpus)
    json.dumps(description(corpus, found), ensure_ascii=False).encode("utf-8")


def test_xquad_r(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch_plugins.datasets.xquad_r import XQuADR

    good = {"aa.json": _XQUAD, "bb.json": _XQUAD}
    reader = XQuADR(str(tmp_path))
    texts = {name: json_text(content) for name, content in good.items()}
    fuzz(json_files(good), with_one(tmp_path, texts, lambda: _describe(reader.load())), str(tmp_path))


def test_translated_squad(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch_plugins.datasets.xquad_r import XQuADR

    paragraph = {key: value for key, value in _XQUAD["data"][0]["paragraphs"][0].items() if not key.startswith("sentence")}
    good = {"t.json": {"data": [{"paragraphs": [paragraph]}]}}
    file = str(tmp_path / "t.json")
    texts = {"t.json": json_text(good["t.json"])}
    parse = with_one(tmp_path, texts, lambda: _describe(XQuADR().load_translated({"ar": file})))
    fuzz(json_files(good), parse, file)


def test_sts2017(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch_plugins.datasets.sts2017 import STS2017

    good = {"STS.input.track5.en-en.txt": "a cat\ta dog\r\na tea\ta cup\n", "STS.gs.track5.en-en.txt": "3.0\r\n1.5\n"}
    fuzz(files(good), with_one(tmp_path, good, lambda: _describe(STS2017(str(tmp_path)).load())), str(tmp_path))


def test_stsb(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch_plugins.datasets.stsb import STSb

    good = {f"stsb-{language}-{part}.csv": _ROWS for language in ("de", "en") for part in ("train", "dev", "test")}
    fuzz(files(good), with_one(tmp_path, good, lambda: _describe(STSb(str(tmp_path)).load())), str(tmp_path))


def test_beir(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch_plugins.datasets.beir import BEIR

    good = {
        "corpus.jsonl": '{"_id": "c1", "title": "", "text": "tea is old", "group": "g"}\n{"_id": "c2", "text": "x"}\n',
        "queries.jsonl": '{"_id": "q1", "text": "what is old"}\n{"_id": "q2", "text": "what is not", "question": "q"}\n',
        "qrels/train.tsv": "query-id\tcorpus-id\tscore\nq1\tc1\t1\nq2\tc2\t1\n",
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq2\tc1\t1\nq2\tc2\t0\n",
    }
    fuzz(files(good), with_one(tmp_path, good, lambda: _describe(BEIR(str(tmp_path)).load())), str(tmp_path))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_pairs(fuzz: Fuzz, tmp_path: Path, kind: str) -> None:
    from metasearch_plugins.datasets.pairs import Pairs, ScoredPairs

    rows = [
        ["id", "anchor", "positive", "negative", "language"],
        ["1", "a tea", "a cup", "", "en"],
        ["2", 'a "cat"', "a\ndog", "x", "de"],
    ]
    scored = [["sentence1", "sentence2", "score", "group"], ["a", "b", "0.5", "g"], ["c", "d", "1", "h"]]
    good = {f"pairs.{kind}": _table(rows, kind), f"scored.{kind}": _table(scored, kind)}

    def parse(change: tuple[str, bytes]) -> None:
        reader = Pairs if change[0].startswith("pairs") else ScoredPairs
        write(tmp_path, dict([change]))
        _describe(reader(str(tmp_path / change[0])).load())

    fuzz(files(good), parse, str(tmp_path))


def _table(rows: Sequence[Sequence[str]], kind: str) -> str:
    if kind == "jsonl":
        return "".join(json.dumps(dict(zip(rows[0], row, strict=True))) + "\n" for row in rows[1:])
    separator = {"csv": ",", "tsv": "\t"}[kind]
    return "".join(separator.join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)


def test_parquet(fuzz: Fuzz, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    from metasearch_plugins.datasets.pairs import Pairs

    file = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"anchor": ["a", "b"], "positive": ["c", "d"]}), file)
    whole = file.read_bytes()

    def parse(change: tuple[int, bytes]) -> None:
        start, piece = change
        file.write_bytes(whole[:start] + piece + whole[start + len(piece) :])
        _describe(Pairs(str(file)).load())

    fuzz(st.tuples(st.integers(0, len(whole)), st.binary(min_size=1, max_size=8)), parse, str(file))


def test_text_corpora(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch.search.documents import RunningHash, corpus_reader

    good = {"t.txt": "tea is old\ncoffee\n", "t.jsonl": '{"id": 1, "text": "tea", "title": "x"}\n', "t.csv": "id,text\n1,tea\n"}
    write(tmp_path, good)

    def parse(change: tuple[str, bytes]) -> None:
        write(tmp_path, dict([change]))
        running = RunningHash()
        for document in corpus_reader(str(tmp_path / change[0]), print)():
            running.add(document)

    fuzz(files(good), parse, str(tmp_path))


# -- what we wrote ourselves -------------------------------------------------------------------------------------------------

_ROW = {
    "metric": "map@20",
    "variant": "multi",
    "query_language": "ar",
    "candidate_languages": ["ar", "de"],
    "supervision": "few-shot",
    "split": "test",
    "fold": 0,
    "value": 0.5,
    "n": 2,
}
_POINT = {"language": "ar", "side": "query", "text": "x", "pair": "q1", "before": [0, 1], "after": [1, 0]}
_RUN: dict[str, Any] = {
    "results.json": {
        "schema": 1,
        "main_score": {"metric": "map@20", "value": 0.5},
        "scores": [_ROW, {**_ROW, "variant": "mono", "candidate_languages": ["ar"]}],
        "baseline_scores": [_ROW],
        "timings": {"train": 1.5},
        "data": {},
    },
    "manifest.json": {
        "schema": 1,
        "command": "metasearch run",
        "components": {kind: {"name": "map"} for kind in ("algo", "metric")},
        "data": {"name": "mini", "fingerprint": "x", "languages": {"ar": {"questions": 2}}},
        "languages_seen": ["ar"],
        "hardware": {"gpu": {"name": "x", "memory_gib": 1}, "cores": 2},
        "packages": {"torch": "2"},
        "git": {"commit": "x", "changed": True},
    },
    "map.json": {"schema": 1, "points": [_POINT, {**_POINT, "side": "candidate", "before": None}]},
}
_RUN_TEXTS = {
    "config.yaml": "seed: 0\nmode: trans\n",
    "log.jsonl": '{"step": 1, "phase": "train", "loss": 0.5}\n{"step": 2, "phase": "valid", "loss": 0.4, "dev": 0.3}\n',
    "per-query.tsv": "variant\tquery_language\tcandidate_languages\tquery\tvalue\nmulti\tar\tar,de\tq1\t0.5\nmono\tar\tar\tq1\t1",
}


def test_run_folders_compared(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch.report.compare import compare

    good = {**{name: json_text(content) for name, content in _RUN.items()}, **_RUN_TEXTS}
    run, other = tmp_path / "run", tmp_path / "other"
    write(other, good)

    def parse() -> None:
        found = compare([str(run), str(other)])
        assert found.tables()
        json.dumps([found.to_json(), found.footnotes()], allow_nan=False)

    fuzz(json_files(_RUN) | files(_RUN_TEXTS), with_one(run, good, parse), str(run))


def test_run_folders_reported(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch.report.page.render import render
    from metasearch.report.run_files import read_runs

    good = {**{name: json_text(content) for name, content in _RUN.items()}, **_RUN_TEXTS}
    parse = with_one(tmp_path, good, lambda: render(read_runs([tmp_path])).encode("utf-8"))
    fuzz(json_files(_RUN) | files(_RUN_TEXTS), parse, str(tmp_path))


def test_index_folders(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch.search.info import read_info

    described = {
        "name": "flat",
        "distribution": "metasearch",
        "version": "1",
        "options": {},
        "exact": True,
        "precision": "float32",
    }
    good = {
        "index.json": {
            "schema": 1,
            "model": "x",
            "encoder": described,
            "probe": {"texts": ["x"], "dimension": 2, "float32": "AAAA"},
            "index": described,
            "corpus": {"path": "x", "sha256": "x"},
            "count": 2,
            "dimension": 2,
            "languages": {"ar": 2},
            "recall": None,
            "query_ms": 0.5,
            "seconds": {"encode": 1.0},
            "versions": {"torch": "2"},
            "files": {"index.faiss": {"bytes": 1, "sha256_of_ends": "x"}},
        }
    }
    texts = {name: json_text(content) for name, content in good.items()}
    fuzz(json_files(good), with_one(tmp_path, texts, lambda: read_info(tmp_path)), str(tmp_path))


def test_checkpoints(fuzz: Fuzz, tmp_path: Path) -> None:
    import torch

    from metasearch.report.checkpoint import load_state, save_state

    file = tmp_path / "state.safetensors"
    save_state(file, {"step": 3, "rates": [0.5, None], "weights": {"w": torch.arange(4.0)}})
    whole = file.read_bytes()

    def parse(change: tuple[int, bytes, int]) -> None:
        start, piece, end = change
        file.write_bytes((whole[:start] + piece + whole[start + len(piece) :])[: len(whole) - end])
        load_state(file)

    changes = st.tuples(st.integers(0, len(whole)), st.binary(min_size=1, max_size=8), st.sampled_from([0, 0, 0, 1, 20]))
    fuzz(changes, parse, str(file))


# -- models and plugins ------------------------------------------------------------------------------------------------------


def test_modules_of_models(fuzz: Fuzz, tmp_path: Path) -> None:
    from metasearch_plugins.encoders.sentence_encoder import _check_modules

    ours = "sentence_transformers.sentence_transformer.modules"
    good = {"modules.json": [{"idx": i, "name": str(i), "path": f"{i}_Pooling", "type": f"{ours}.Pooling"} for i in range(2)]}
    file = tmp_path / "modules.json"
    fuzz(json_files(good), with_one(tmp_path, {file.name: json_text(good[file.name])}, lambda: _check_modules(file)), str(file))


def test_plugin_records(fuzz: Fuzz) -> None:
    from types import SimpleNamespace

    from metasearch.registry import Component, Provider, hookimpl
    from metasearch.registry.loading import Broken, Source, load

    good = {"name": "bad", "target": "a:B", "summary": "x", "aliases": ["b"], "options": {"o": {"type": "integer", "default": 1}}}

    def parse(given: Any) -> None:
        @hookimpl
        def metasearch_register_loss() -> Any:
            return [Component(**given)] if isinstance(given, dict) else given

        found = load(
            Source(Provider("bad", "1", "bad"), lambda: SimpleNamespace(metasearch_register_loss=metasearch_register_loss))
        )
        if isinstance(found, Broken):
            assert "bad" in str(found)
        else:
            assert all(component.defaults() is not None for _, component in found.components)

    fuzz(changed(good), parse, "")
