"""``metasearch index`` and ``metasearch search``: what they find, survive, refuse and print."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metasearch
from metasearch.cli import main
from metasearch.config import compose
from metasearch.core import CANDIDATE, QUERY, Candidate, Corpus
from metasearch.core.printable import printable
from metasearch.errors import ConfigError, DataError, ModelError
from metasearch.search import build, build_index, open_index
from metasearch.search.info import read_info
from metasearch.search.recall import recall
from metasearch_plugins.datasets.mini import Mini
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.indexes.flat import Flat
from tests.conftest import ROOT, Cli
from tests.tiny import make_tiny_model, tiny_corpus

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "red \x1b[31malert\x9b2J \u202egnirts\u2069 end\u2028next\x07"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this interpreter: exit code, standard output, standard error."""

    def called(*words: object) -> tuple[int, str, str]:
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            done = capsys.readouterr()
            return int(ended.code or 0), done.out, done.err
        raise AssertionError("main() returned")

    return called


def write_table(file: Path, rows: int = 300) -> Path:
    """A table of distinct texts in four languages, with titles."""
    texts = tiny_corpus(articles=20).candidates[:rows]
    lines = [json.dumps({"_id": c.id, "title": f"Title {c.group}", "text": c.text, "language": c.language}) for c in texts]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("corpus") / "corpus.jsonl")


@pytest.fixture(scope="module")
def indexed(tiny_model: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished index over the table; tests copy it before they damage it."""
    folder = tmp_path_factory.mktemp("indexed") / "index"
    build_index(str(tiny_model), str(table), str(folder), "index=hnsw")
    return folder


# -- what it finds -----------------------------------------------------------------------------------------------------------


def test_index_and_search_from_the_command_line(cli: Cli, run: Run, tiny_model: Path, tmp_path: Path) -> None:
    done = cli("index", str(tiny_model), "mini", "--out", "indexes/mini")
    assert done.returncode == 0, done.stderr
    assert "encoding texts (2000 of 2000)" in done.stderr
    for words in ("index      flat", "2000 of dimension 32", "ar 250, de 250", "recall     exact"):
        assert words in done.stdout
    code, out, error = run("search", tmp_path / "indexes" / "mini", "Who?", "-k", "3", "--json")
    assert (code, error) == (0, "")
    content = json.loads(out)
    assert content["query"] == "Who?"
    assert [(r["rank"], set(r)) for r in content["results"]] == [
        (n, {"rank", "score", "id", "language", "text"}) for n in (1, 2, 3)
    ]


def test_finds_what_the_encoder_says(tiny_model: Path, tmp_path: Path) -> None:
    build_index(str(tiny_model), "mini", str(tmp_path / "index"))
    corpus = compose("data=mini").create("data").load()
    encoder = TripletEncoder(str(tiny_model))
    queries = [q.text for q in corpus.questions[:5]]
    scores = encoder.encode(queries, QUERY) @ encoder.encode([c.text for c in corpus.candidates], CANDIDATE).T
    for found, row in zip(metasearch.open_index(tmp_path / "index").search(queries, k=7), scores, strict=True):
        best = np.argsort(-row, kind="stable")[:7]
        np.testing.assert_allclose([hit.score for hit in found], row[best], atol=1e-5)
        assert {(h.id, h.language, h.text) for h in found[:3]} <= {
            (c.id, c.language, c.text) for c in (corpus.candidates[i] for i in best)
        }


def test_titles_ids_and_languages_of_a_table(indexed: Path, table: Path) -> None:
    row = json.loads(table.read_text(encoding="utf-8").splitlines()[17])
    index = open_index(indexed)
    title_and_text = f"{row['title']} {row['text']}"
    assert (row["_id"], row["language"], title_and_text) in [
        (hit.id, hit.language, hit.text) for hit in index.search([title_and_text], k=20)[0]
    ]
    assert index.info.languages == {"ar": 100, "de": 100, "el": 100}
    assert index.search([]) == []


def test_recall_is_measured_and_written(indexed: Path, tiny_model: Path, table: Path, tmp_path: Path) -> None:
    info = read_info(indexed)
    assert info.recall is not None
    assert (info.recall["at"], info.recall["queries"]) == (20, 200)
    assert info.recall["value"] > 0.95
    coarse = build_index(
        str(tiny_model), str(table), str(tmp_path / "index"), "index=ivf-pq", "index.segments=1", "index.probes=1"
    )
    assert coarse.recall is not None
    assert 0 < coarse.recall["value"] < 0.8
    assert coarse.index["options"]["segments"] == 1


def test_kept_vectors_are_the_embeddings(tiny_model: Path, table: Path, tmp_path: Path, indexed: Path) -> None:
    build_index(str(tiny_model), str(table), str(tmp_path / "index"), keep_vectors=True)
    vectors = np.fromfile(tmp_path / "index" / "vectors.f32", dtype=np.float32).reshape(300, 32)
    with closing(sqlite3.connect(tmp_path / "index" / "documents.sqlite")) as database:
        texts = [text for (text,) in database.execute("SELECT text FROM documents ORDER BY position")]
    np.testing.assert_allclose(vectors, TripletEncoder(str(tiny_model)).encode(texts, CANDIDATE), atol=1e-5)
    assert sorted(p.name for p in indexed.iterdir()) == ["documents.sqlite", "index.faiss", "index.json"]


def test_a_runs_encoder_settings_hold(tiny_model: Path, tmp_path: Path, run: Run) -> None:
    shutil.copytree(tiny_model, tmp_path / "run" / "fold-0" / "model")
    shutil.copytree(tiny_model, tmp_path / "run" / "fold-1" / "model")
    config = compose("encoder.max_candidate_length=9", "encoder.query_prompt='ask: '", "data.fold=all")
    (tmp_path / "run" / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    code, _, error = run("index", tmp_path / "run", "mini", "--out", tmp_path / "index")
    assert (code, "a run with a model per fold; name one of them" in error) == (2, True)
    info = build_index(str(tmp_path / "run" / "fold-1" / "model"), "mini", str(tmp_path / "index"))
    assert info.model == str((tmp_path / "run" / "fold-1" / "model").resolve())
    assert info.encoder["options"]["max_candidate_length"] == 9
    assert info.encoder["options"]["query_prompt"] == "ask: "


def test_an_encoder_of_pairs_sees_documents_as_queries(
    tiny_model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = []
    plain = TripletEncoder.encode

    def watched(self: Any, texts: Sequence[str], side: Any, *more: Any) -> Any:
        sides.append((len(texts), side))
        return plain(self, texts, side, *more)

    from metasearch_plugins.encoders.dual import DualEncoder

    monkeypatch.setattr(DualEncoder, "encode", watched)
    build_index(str(tiny_model), str(table), str(tmp_path / "index"), "encoder=dual")
    assert (300, QUERY) in sides
    assert (300, CANDIDATE) not in sides


# -- corpora -----------------------------------------------------------------------------------------------------------------


def test_text_files_have_a_text_a_line(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_bytes("\ufeffeins\r\n\n  \nzwei \n三".encode())
    info = build_index(str(tiny_model), str(tmp_path / "corpus.txt"), str(tmp_path / "index"))
    assert (info.count, info.languages) == (3, {"": 3})
    hits = open_index(tmp_path / "index").search(["eins"], k=99)[0]
    assert sorted((hit.id, hit.text) for hit in hits) == [("1", "eins"), ("4", "zwei"), ("5", "三")]


def test_tables_may_lack_everything_but_text(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.csv").write_text("text,id\none,7\n,8\n", encoding="utf-8")
    build_index(str(tiny_model), str(tmp_path / "corpus.csv"), str(tmp_path / "index"))
    assert [(h.id, h.language, h.text) for h in open_index(tmp_path / "index").search(["one"])[0]] == [("7", "", "one")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.txt", b"fine\n\xff\xfe\n", r"corpus.txt:2: not UTF-8 text \(byte 0 of the line\)"),
        ("corpus.txt", b"fine\na\0b\n", r"corpus.txt:2: holds a NUL"),
        ("corpus.txt", b"\n \n", "corpus.txt: holds no texts"),
        ("corpus.jsonl", b'{"text": "fine"}\n{"text": 3}\n', r"corpus.jsonl:2: 'text': expected text, found a number"),
        ("corpus.jsonl", b'{"text": "fine"}\n{"txt": "a"}\n', r"corpus.jsonl:2: has no 'text'"),
        ("corpus.jsonl", b'{"text": "fine", "id": ["a"]}\n', r"corpus.jsonl:1: 'id': expected text, found a list"),
        ("corpus.tsv", b"text\nfine\na\tb\n", r"corpus.tsv:3: expected 1 fields"),
        ("corpus.pdf", b"%PDF", "corpus.pdf: no data set of a known format"),
        (None, b"", "corpus: no such file or folder"),
    ],
)
def test_bad_corpora_are_named_and_leave_nothing(
    run: Run, tmp_path: Path, name: str | None, content: bytes, message: str, tiny_model: Path
) -> None:
    file = tmp_path / (name or "corpus")
    if name:
        file.write_bytes(content)
    code, out, error = run("index", tiny_model, file, "--out", tmp_path / "deep" / "index")
    assert (code, out) == (2, "")
    assert re.search(message, error), error
    assert "Traceback" not in error
    assert not (tmp_path / "deep").exists()


def test_a_data_sets_folder_is_recognised(tiny_model: Path, tmp_path: Path) -> None:
    folder = Mini().folder()
    info = build_index(str(tiny_model), str(folder), str(tmp_path / "index"))
    assert (info.count, info.languages["th"]) == (2000, 250)
    assert info.corpus["path"] == str(folder)


def test_candidates_that_are_no_text_are_refused(
    run: Run, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = Candidate("c1", "de", "half \ud800", "g")
    monkeypatch.setattr(Mini, "load", lambda self: Corpus("mini", (), (candidate,), {}))
    code, _, error = run("index", tiny_model, "mini", "--out", tmp_path / "index")
    assert (code, "mini: candidate 'c1': half a surrogate pair" in error) == (2, True)


def test_sentence_pairs_are_no_corpus(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    code, _, error = run("index", tiny_model, "mini-sts", "--out", tmp_path / "index")
    assert (code, "mini-sts: scored sentence pairs" in error) == (2, True)


# -- settings ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.tasks=4"], "train.tasks: no setting of an index; allowed: encoder, encoder.*, index, index.*, eval.batch_size"),
        (["index.m=4"], "index.m=4: an option needs an index that has it: give index=NAME too"),
        (["index=hnsw", "index.m=1"], "index.m=1 (from the command line): expected a whole number, at least 2, at most 512"),
        (["index=hnsw", "index.efsearch=1"], "did you mean index.ef_search"),
        (["index=annoy"], "index=annoy: no index has this name; known: flat, hnsw, ivf-pq"),
        (["encoder.model=x"], "encoder.model: is what MODEL says"),
        (["encoder=bm25"], "encoder=bm25: takes no MODEL"),
        (["eval.batch_size=0"], "eval.batch_size=0"),
    ],
)
def test_bad_settings(words: list[str], message: str, run: Run, tmp_path: Path) -> None:
    code, _, error = run("index", "nowhere/model", "mini", "--out", tmp_path / "index", *words)
    assert code == 2
    assert message in error
    assert not (tmp_path / "index").exists()


def test_settings_are_checked_before_torch_is_imported() -> None:
    code = (
        "import sys\nfrom metasearch.cli import main\n"
        "try:\n    main(['index', 'm', 'mini', '--out', 'x', 'index=hnsw', 'index.m=1'])\n"
        "except SystemExit as e:\n    assert e.code == 2\n"
        "assert 'torch' not in sys.modules and 'faiss' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_not_there(run: Run, tmp_path: Path) -> None:
    code, _, error = run("index", "./nowhere", "mini", "--out", tmp_path / "index")
    assert (code, "encoder.model=./nowhere: no such folder" in error) == (2, True)
    assert not (tmp_path / "index").exists()


# -- killed, changed, twice ----------------------------------------------------------------------------------------------------


KILLED = """
import os, signal, sys
from metasearch.search import build, store
build.BLOCK = 128
class Killed(store.Store):
    def append(self, vectors, documents, done):
        if done.count == 256:  # after the vectors, before the transaction: the worst moment
            with self.vectors.open("ab") as file:
                file.write(vectors.tobytes())
            os.kill(os.getpid(), signal.SIGKILL)
        super().append(vectors, documents, done)
build.Store = Killed
build.build_index(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def killed(tiny_model: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build leaves that was killed with 128 of 300 texts on disk, and the vectors of 128 more."""
    folder = tmp_path_factory.mktemp("killed") / "index"
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tiny_model), str(table), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / "vectors.f32").stat().st_size == 4 * 32 * 256
    return folder


@pytest.fixture
def begun(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build, "BLOCK", 128)
    return shutil.copytree(killed, tmp_path / "begun")


def test_a_killed_build_goes_on_and_ends_the_same(
    begun: Path, tiny_model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="this index is not finished; give the same metasearch index command again"):
        open_index(begun)
    build_index(str(tiny_model), str(table), str(tmp_path / "whole"), keep_vectors=True)
    encoded: list[int] = []
    plain = TripletEncoder.encode
    monkeypatch.setattr(
        TripletEncoder, "encode", lambda self, texts, *more: encoded.append(len(texts)) or plain(self, texts, *more)
    )
    info = build_index(str(tiny_model), str(table), str(begun), keep_vectors=True)
    assert [n for n in encoded if n > 4] == [128, 44, 200]  # the rest of the texts, and the queries for recall
    assert info.count == 300
    for name in ("vectors.f32", "index.faiss"):
        assert (begun / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = []
    for folder in (begun, tmp_path / "whole"):
        with closing(sqlite3.connect(folder / "documents.sqlite")) as database:
            rows.append(database.execute("SELECT * FROM documents ORDER BY position").fetchall())
    assert rows[0] == rows[1]
    assert len(rows[0]) == 300


def test_going_on_with_another_index_is_fine(begun: Path, tiny_model: Path, table: Path) -> None:
    assert build_index(str(tiny_model), str(table), str(begun), "index=hnsw", "eval.batch_size=8").index["name"] == "hnsw"


def test_what_fails_after_encoding_need_not_be_encoded_again(
    tiny_model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, file: Path) -> None:
        raise DataError(f"{file}: no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Flat, "save", full)
        with pytest.raises(DataError, match="no space left"):
            build_index(str(tiny_model), str(table), str(tmp_path / "index"))
    encoded: list[int] = []
    plain = TripletEncoder.encode
    monkeypatch.setattr(
        TripletEncoder, "encode", lambda self, texts, *more: encoded.append(len(texts)) or plain(self, texts, *more)
    )
    assert build_index(str(tiny_model), str(table), str(tmp_path / "index")).count == 300
    assert [n for n in encoded if n > 4] == [200]  # the queries for recall


def test_going_on_with_another_corpus_is_refused(begun: Path, tiny_model: Path, table: Path, tmp_path: Path) -> None:
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[40] = lines[40].replace("Title", "title")
    for changed in (lines, lines[:100]):
        (tmp_path / "changed.jsonl").write_text("\n".join(changed), encoding="utf-8")
        with pytest.raises(
            DataError, match=r"changed.jsonl: not the corpus of which 128 texts are encoded in .*remove the folder"
        ):
            build_index(str(tiny_model), str(tmp_path / "changed.jsonl"), str(begun))
    assert build_index(str(tiny_model), str(table), str(begun)).count == 300  # nothing was lost


def test_going_on_with_another_encoder_is_refused(begun: Path, tiny_model: Path, table: Path, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path / "other" / "model", seed=1)
    with pytest.raises(ConfigError, match="was begun with model .*, now .*other/model; give the same command"):
        build_index(str(other), str(table), str(begun))
    with pytest.raises(ConfigError, match="was begun with encoder .*max_candidate_length': 256.*, now .*: 12"):
        build_index(str(tiny_model), str(table), str(begun), "encoder.max_candidate_length=12")
    note = json.loads((begun / "build.json").read_text(encoding="utf-8"))
    (begun / "build.json").write_text(json.dumps({**note, "model": str(other)}), encoding="utf-8")
    with pytest.raises(ConfigError, match="was begun with another model than .* is now"):  # trained on in its folder, say
        build_index(str(other), str(table), str(begun))


def test_going_on_with_damaged_files_is_refused(begun: Path, tiny_model: Path, table: Path) -> None:
    os.truncate(begun / "vectors.f32", 1000)
    with pytest.raises(DataError, match=r"vectors.f32: 1000 bytes, expected 16384; remove the folder"):
        build_index(str(tiny_model), str(table), str(begun))
    (begun / "documents.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DataError, match="documents.sqlite: damaged"):
        build_index(str(tiny_model), str(table), str(begun))


def test_ctrl_c_says_how_to_go_on(
    tiny_model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(build, "BLOCK", 128)
    plain = TripletEncoder.encode

    def interrupted(self: Any, texts: Sequence[str], *more: Any) -> Any:
        if len(texts) == 44:
            raise KeyboardInterrupt
        return plain(self, texts, *more)

    with monkeypatch.context() as patch:
        patch.setattr(TripletEncoder, "encode", interrupted)
        code, _, error = run("index", tiny_model, table, "--out", tmp_path / "index")
    assert code == 130
    assert "interrupted: 256 of 300 texts are encoded; the same command goes on from there" in error
    code, out, error = run("index", tiny_model, table, "--out", tmp_path / "index", "--json")
    assert code == 0
    assert json.loads(out)["count"] == 300


def test_nothing_is_overwritten(run: Run, indexed: Path, tiny_model: Path, table: Path, tmp_path: Path) -> None:
    before = (indexed / "index.json").read_bytes()
    code, _, error = run("index", tiny_model, table, "--out", indexed)
    assert (code, "holds a finished index, which is never overwritten" in error) == (2, True)
    assert (indexed / "index.json").read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, error = run("index", tiny_model, table, "--out", tmp_path)
    assert (code, "neither empty nor an unfinished index" in error) == (2, True)
    code, _, error = run("index", tiny_model, table, "--out", tmp_path / "notes.txt")
    assert (code, "choose another folder" in error) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_second_process_in_the_folder_is_refused(run: Run, begun: Path, tiny_model: Path, table: Path) -> None:
    handle = os.open(begun, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        code, _, error = run("index", tiny_model, table, "--out", begun)
    finally:
        os.close(handle)
    assert (code, "another process is building an index there" in error) == (2, True)


# -- opening -----------------------------------------------------------------------------------------------------------------


def damaged(how: str, folder: Path) -> None:
    if how == "no index.json":
        (folder / "index.json").unlink()
    elif how == "index.json":
        (folder / "index.json").write_text("{", encoding="utf-8")
    elif how == "no count":
        content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        (folder / "index.json").write_text(json.dumps({**content, "count": "many"}), encoding="utf-8")
    elif how == "cut":
        os.truncate(folder / "index.faiss", 1000)
    elif how == "a byte":
        content = bytearray((folder / "index.faiss").read_bytes())
        content[5000] ^= 1
        (folder / "index.faiss").write_bytes(content)
    elif how == "no texts":
        (folder / "documents.sqlite").unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no index.json", "no index: it has no index.json"),
        ("index.json", "index.json: not JSON"),
        ("no count", "index.json.count is 'many', expected a whole number"),
        ("cut", "index.faiss: damaged or from another index: 1000 bytes, expected"),
        ("a byte", "with other content; build the index again"),
        ("no texts", "documents.sqlite: not there"),
    ],
)
def test_damaged_folders_are_refused(how: str, message: str, indexed: Path, tmp_path: Path, run: Run) -> None:
    folder = shutil.copytree(indexed, tmp_path / "index")
    damaged(how, folder)
    code, out, error = run("search", folder, "what")
    assert (code, out) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_a_missing_folder_and_an_empty_query(indexed: Path, tmp_path: Path, run: Run) -> None:
    code, _, error = run("search", tmp_path / "nothing", "what")
    assert (code, "no such folder; metasearch index makes one" in error) == (2, True)
    code, _, error = run("search", indexed, "  ")
    assert (code, "the query is empty" in error) == (2, True)
    assert run("search", indexed, "what", "-k", "0")[0] == 2


def test_another_model_is_refused(tiny_model: Path, table: Path, tmp_path: Path, run: Run) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    build_index(str(model), str(table), str(tmp_path / "index"))
    other = make_tiny_model(tmp_path / "other" / "model", seed=1)
    with pytest.raises(ModelError, match="other/model is not the model that built this index"):
        open_index(tmp_path / "index", model=str(other))
    model.rename(tmp_path / "moved")
    code, _, error = run("search", tmp_path / "index", "what")
    assert code == 2
    assert f"its model {model} is not there any more; say where it is with --model" in error
    code, out, _ = run("search", tmp_path / "index", "what", "--model", tmp_path / "moved", "--json", "-k", "400")
    assert code == 0
    assert len(json.loads(out)["results"]) == 300


# -- what it prints ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    row = json.dumps({"text": HOSTILE, "id": "\x1b]0;title\x07", "language": "\x9b[bold]"})
    (folder / "corpus.jsonl").write_text(row + "\n", encoding="utf-8")
    build_index(str(tiny_model), str(folder / "corpus.jsonl"), str(folder / "index"))
    return folder / "index"


def acting(text: str) -> list[str]:
    """Characters that a terminal would act on, or a reader of lines would split at."""
    return [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c in "\u2028\u2029\u202e\u2069"]


def test_data_never_reaches_the_terminal_raw(hostile: Path, run: Run) -> None:
    code, out, _ = run("search", hostile, "what \x1b[2J")
    assert code == 0
    assert acting(out) == []
    assert "\\u001b[31malert\\u009b2J \\u202egnirts" in out
    assert "[bold]" in out  # no markup of ours either
    code, out, _ = run("search", hostile, "what", "--json")
    assert acting(out) == []
    (result,) = json.loads(out)["results"]
    assert result["text"] == HOSTILE
    assert set(result) == {"rank", "score", "id", "language", "text"}


def test_printable_keeps_all_that_is_text() -> None:
    kept = "Ünï — हिन्दी ไทย العربية 中文 😀\u200d\u200f"
    assert printable(kept) == kept
    assert printable("\x00\x7f\x85\ud800") == "\\u0000\\u007f\\u0085\\ud800"


def test_a_snippet_fits_on_its_line(tiny_model: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpus.csv").write_text('text\n"' + "กขค งจ\n " * 200 + '"\n', encoding="utf-8")
    build_index(str(tiny_model), str(tmp_path / "corpus.csv"), str(tmp_path / "index"))
    _, out, _ = run("search", tmp_path / "index", "กขค")
    (line,) = [line for line in out.splitlines() if "กขค งจ กขค" in line]
    assert "…" in line
    assert len(line) <= 200


class Lines(io.TextIOWrapper):
    """Standard input with these lines."""

    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode("utf-8", "surrogateescape")))


def test_queries_from_a_pipe(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ([], ["-"]):
        monkeypatch.setattr(sys, "stdin", Lines("ar1 ar2\n\nπού;\n"))
        code, out, _ = run("search", indexed, *words, "--json", "-k", "2")
        assert code == 0
        found = [json.loads(line) for line in out.splitlines()]
        assert [(f["query"], len(f["results"])) for f in found] == [("ar1 ar2", 2), ("πού;", 2)]


def test_a_query_that_is_no_text_is_refused(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Lines("ar1\nwer \udcff\n"))
    code, out, error = run("search", indexed, "--json")
    assert (code, "not valid Unicode text (character 5)" in error) == (2, True)
    assert json.loads(out)["query"] == "ar1"


@pytest.mark.parametrize("ending", ["", ":q", EOFError(), KeyboardInterrupt()])
def test_the_prompt_asks_until_it_is_told_to_end(
    ending: str | BaseException, indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["first question", "zweite Frage", ending, "never asked"])

    def ask(*_: Any, **__: Any) -> str:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr("rich.prompt.Prompt.ask", ask)
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    code, out, _ = run("search", indexed, "-k", "1")
    assert code == 0
    assert "first question" in out
    assert "zweite Frage" in out
    assert next(answers) == "never asked"


# -- measuring ---------------------------------------------------------------------------------------------------------------


def test_written_recall_is_what_searching_finds(tiny_model: Path, table: Path, tmp_path: Path) -> None:
    """The figure in index.json, worked out again from the kept vectors through the public interface."""
    words = ("index=ivf-pq", "index.segments=2", "index.probes=2")
    info = build_index(str(tiny_model), str(table), str(tmp_path / "index"), *words, keep_vectors=True)
    vectors = np.fromfile(tmp_path / "index" / "vectors.f32", dtype=np.float32).reshape(300, 32)
    with closing(sqlite3.connect(tmp_path / "index" / "documents.sqlite")) as database:
        rows = database.execute("SELECT id, text FROM documents ORDER BY position").fetchall()
    place = {name: i for i, (name, _) in enumerate(rows)}
    drawn = np.sort(np.random.default_rng(0).choice(300, 200, replace=False))
    queries = [rows[i][1] for i in drawn]
    scores = TripletEncoder(str(tiny_model)).encode(queries, QUERY) @ vectors.T
    found = np.full((200, 20), -np.inf)
    for row, hits in enumerate(open_index(tmp_path / "index").search(queries, k=20)):
        found[row, : len(hits)] = [scores[row, place[hit.id]] for hit in hits]
    assert info.recall is not None
    assert info.recall["value"] == pytest.approx(recall(found, -np.sort(-scores, axis=1)[:, :20]), abs=1e-3)
