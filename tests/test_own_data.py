"""Data of one's own: BEIR folders, tables of pairs, what ``data describe`` says of them, and runs on them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from metasearch.core import AnyCorpus, Corpus
from metasearch.dataset import make_splits
from metasearch.dataset.describe import Finding, findings
from metasearch.errors import DataError
from metasearch_plugins.datasets.beir import BEIR
from metasearch_plugins.datasets.mini_sts import MiniSTS
from metasearch_plugins.datasets.pairs import Pairs, ScoredPairs
from tests.conftest import ROOT, Cli
from tests.tiny import tiny_corpus

SMALL = ["sampler.support_size=2", "sampler.query_size=1", "train.tasks=2", "valid.tasks=2", "--quiet"]
HEADER = "query-id\tcorpus-id\tscore\n"


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process (it loads torch once), in a fresh folder; gives exit code, output and errors."""
    from metasearch.cli import main

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return run


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_beir(folder: Path, **files: str) -> Path:
    """A small folder in BEIR's format: q1..q6 are answered by d1..d6, d7 and d8 answer nothing; ``files`` replace its own."""
    content = {
        "corpus": json_lines([{"_id": f"d{i}", "title": f"T{i}", "text": f"text {i}"} for i in range(1, 9)]),
        "queries": json_lines([{"_id": f"q{i}", "text": f"query {i}"} for i in range(1, 7)]),
        **files,
    }
    if not any(name.startswith("qrels_") for name in content):
        content["qrels_all"] = judged(*((i, i) for i in range(1, 7)))
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        kind, _, split = name.partition("_")
        file = folder / "qrels" / f"{split}.tsv" if split else folder / f"{kind}.jsonl"
        file.write_text(text, encoding="utf-8")
    return folder


def judged(*pairs: tuple[int, int]) -> str:
    return HEADER + "".join(f"q{q}\td{d}\t1\n" for q, d in pairs)


def write_csv(file: Path, header: str, *rows: Sequence[object]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([header.split(), *rows])
    return file


def problems(corpus: AnyCorpus) -> list[str]:
    return [str(p) for p in corpus.problems]


def texts(corpus: Corpus) -> dict[str, set[str]]:
    """Question text -> the texts that answer it."""
    text_of = {c.id: c.text for c in corpus.candidates}
    return {q.text: {text_of[i] for i in corpus.relevant[q.id]} for q in corpus.questions}


def assert_nothing_leaks(corpus: Corpus) -> None:
    """No group in two parts, and every question keeps its answers wherever it goes."""
    for split in make_splits(corpus, "all" if not corpus.parts else 0):
        parts = [part for part in (split.train, split.dev, split.test) if isinstance(part, Corpus)]
        assert sum(len(part.candidates) for part in parts) == len(corpus.candidates)
        assert sum(len(part.questions) for part in parts) == len(corpus.questions)
        for part in parts:
            assert all(part.relevant[q.id] == corpus.relevant[q.id] for q in part.questions)


# -- BEIR ----------------------------------------------------------------------------------------------------------------


def test_beir_reads_what_is_there(tmp_path: Path) -> None:
    folder = write_beir(tmp_path, qrels_a=judged((1, 1), (1, 2), (2, 2), (3, 3)), qrels_b=HEADER + "q3\td4\t0\nq4\td4\t2\n")
    corpus = BEIR(str(folder)).load()
    assert corpus.languages == ("und",)
    assert texts(corpus) == {
        "query 1": {"T1 text 1", "T2 text 2"},
        "query 2": {"T2 text 2"},
        "query 3": {"T3 text 3"},
        "query 4": {"T4 text 4"},
    }
    assert [p.rpartition("/")[2] for p in problems(corpus)] == [
        "queries.jsonl:5: query q5: nothing answers it (left out)",
        "queries.jsonl:6: query q6: nothing answers it (left out)",
    ]
    assert len(corpus.candidates) == 8
    assert BEIR(str(folder), title=False, language="en").load().candidates[0].text == "text 1"
    assert BEIR(str(folder), language="en").load().languages == ("en",)
    assert corpus.places[corpus.candidates[2]] == (str(folder / "corpus.jsonl"), 3)
    assert corpus.places[corpus.questions[1]] == (str(folder / "queries.jsonl"), 2)


def test_beir_split_reads_one_file_of_qrels_and_all_of_the_corpus(tmp_path: Path) -> None:
    folder = write_beir(tmp_path, qrels_train=judged((1, 1)), qrels_test=judged((2, 2)))
    corpus = BEIR(str(folder), split="test").load()
    assert (list(texts(corpus)), len(corpus.candidates), problems(corpus), corpus.parts) == (["query 2"], 8, [], {})
    with pytest.raises(DataError, match=r"data.split=tset: did you mean test\? .*qrels has test, train"):
        BEIR(str(folder), split="tset").load()


def test_beir_in_several_languages(tmp_path: Path) -> None:
    corpus = [{"_id": f"{lang}{i}", "text": f"{lang} {i}", "language": lang} for lang in ("en", "de") for i in range(1, 9)]
    asked = [
        {"_id": f"q-{lang}{i}", "question": i, "text": f"{lang} {i}?", "language": lang} for lang in ("en", "de") for i in (1, 2)
    ]
    # What answers a question in English answers its translation.
    qrels = HEADER + "".join(f"q-{lang}{i}\t{lang}{i}\t1\n" for lang in ("en", "de") for i in (1, 2))
    folder = write_beir(tmp_path, corpus=json_lines(corpus), queries=json_lines(asked), qrels_all=qrels)
    read = BEIR(str(folder)).load()
    assert read.relevant == {"1": {"en1", "de1"}, "2": {"en2", "de2"}}
    assert {q.group for q in read.questions if q.id == "1"} == {next(c.group for c in read.candidates if c.id == "de1")}
    german = BEIR(str(folder), languages=["de"]).load()
    assert (german.languages, german.relevant["1"]) == (("de",), {"de1"})
    # A subset of the languages is grouped the same way.
    assert {c.id: c.group for c in german.candidates} == {c.id: c.group for c in read.candidates if c.language == "de"}
    with pytest.raises(DataError, match="has no language 'fr'; it has de, en"):
        BEIR(str(folder), languages=["fr"]).load()


def test_beir_groups_hold_what_hangs_together(tmp_path: Path) -> None:
    folder = write_beir(tmp_path, qrels_all=judged((1, 1), (2, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)))
    corpus = BEIR(str(folder)).load()
    group = {x.id: x.group for x in (*corpus.questions, *corpus.candidates)}
    assert len({group[i] for i in ("q1", "q2", "d1", "d2")}) == 1
    assert len(corpus.groups) == 5
    assert_nothing_leaks(corpus)
    # Whatever the order of the lines, the folds are the same.
    (folder / "qrels" / "all.tsv").write_text(judged((6, 6), (5, 5), (4, 4), (2, 2), (2, 1), (3, 3), (1, 1)), encoding="utf-8")
    assert {x.id: x.group for x in BEIR(str(folder)).load().candidates}.items() <= group.items()


def test_beir_groups_of_the_data(tmp_path: Path) -> None:
    queries = [{"_id": f"q{i}", "text": f"query {i}", "group": f"g{i}"} for i in range(1, 7)]
    documents = [{"_id": f"d{i}", "text": f"text {i}", **({"group": "g1"} if i == 8 else {})} for i in range(1, 9)]
    folder = write_beir(tmp_path, queries=json_lines(queries), corpus=json_lines(documents))
    corpus = BEIR(str(folder)).load()
    assert corpus.groups == tuple(f"g{i}" for i in range(1, 7))
    assert {c.id: c.group for c in corpus.candidates if c.id in ("d1", "d8")} == {"d1": "g1", "d8": "g1"}
    crossing = judged((2, 8), *((i, i) for i in range(1, 7)))
    write_beir(tmp_path, queries=json_lines(queries), corpus=json_lines(documents), qrels_all=crossing)
    assert problems(BEIR(str(folder)).load()) == [
        f"{folder}/qrels/all.tsv:2: candidate d8: its group is 'g1', but that of question 'q2' is 'g2': folds may part them"
    ]


def test_texts_that_answer_nothing_are_spread_over_the_folds(tmp_path: Path) -> None:
    documents = json_lines([{"_id": f"d{i}", "text": f"text {i}"} for i in range(1, 1007)])
    corpus = BEIR(str(write_beir(tmp_path, corpus=documents))).load()
    sizes = [sum(c.group == group for c in corpus.candidates) for group in corpus.groups]
    assert len(sizes) == 6
    assert min(sizes) > 100


def test_beir_keeps_its_own_split(tmp_path: Path) -> None:
    qrels = {"train": judged(*((i, i) for i in (1, 2, 3))), "dev": judged((4, 4)), "test": judged((5, 5), (6, 6))}
    folder = write_beir(tmp_path, **{f"qrels_{part}": text for part, text in qrels.items()})
    corpus = BEIR(str(folder)).load()
    [split] = make_splits(corpus, 0)
    ids = [sorted(c.id for c in part.candidates) for part in (split.train, split.dev, split.test) if isinstance(part, Corpus)]
    assert ids == [["d1", "d2", "d3"], ["d4"], ["d5", "d6", "d7", "d8"]]  # what answers nothing is tested against
    assert problems(corpus) == []
    assert_nothing_leaks(corpus)
    assert_nothing_leaks(BEIR(str(folder), languages=["und"]).load())
    # A negative judgement keeps a text with its question.
    (folder / "qrels" / "train.tsv").write_text(qrels["train"] + "q1\td7\t0\n", encoding="utf-8")
    [split] = make_splits(BEIR(str(folder)).load(), 0)
    assert isinstance(split.train, Corpus)
    assert "d7" in {c.id for c in split.train.candidates}


def test_beir_without_dev_takes_a_share_of_train(tmp_path: Path) -> None:
    queries = json_lines([{"_id": f"q{i}", "text": f"query {i}"} for i in range(60)])
    documents = json_lines([{"_id": f"d{i}", "text": f"text {i}"} for i in range(60)])
    train, test = judged(*((i, i) for i in range(50))), judged(*((i, i) for i in range(50, 60)))
    folder = write_beir(tmp_path, queries=queries, corpus=documents, qrels_train=train, qrels_test=test)
    [split] = make_splits(BEIR(str(folder)).load(), 0)
    assert [sum(part.group_sizes.values()) for part in (split.train, split.dev, split.test)] == [41, 9, 10]
    # With a file of another name, nobody knows what is for what: five folds over all.
    (folder / "qrels" / "extra.tsv").write_text(judged((1, 2)), encoding="utf-8")
    assert BEIR(str(folder)).load().parts == {}


def test_what_is_in_two_parts_stays_in_test_and_is_told(tmp_path: Path) -> None:
    folder = write_beir(tmp_path, qrels_train=judged((1, 1), (2, 2), (3, 3), (3, 4)), qrels_test=judged((1, 1), (4, 4)))
    corpus = BEIR(str(folder)).load()
    [split] = make_splits(corpus, 0)
    test = split.test
    assert isinstance(test, Corpus)
    assert {q.id for q in test.questions} == {"q1", "q4"}
    assert test.relevant == {"q1": {"d1"}, "q4": {"d4"}}
    assert [p.rpartition("/")[2] for p in problems(corpus) if "leak" in p] == [
        "train.tsv:2: question q1: a leak: is in train and test; kept in test alone",
        "test.tsv:3: candidate d4: a leak: is in train and test; kept in test alone",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"qrels_all": judged((1, 1), (9, 1))}, "all.tsv:3: query q9: judged, but not in queries.jsonl (left out)"),
        ({"qrels_all": judged((1, 1), (1, 9))}, "all.tsv:3: text d9: judged, but not in corpus.jsonl (left out)"),
        ({"qrels_all": HEADER + "q1\td1\t1\nq1\td2\t-1\n"}, "all.tsv:3: score: a score below 0 (-1) counts as 0: not relevant"),
        (
            {"corpus": json_lines([{"_id": "d1", "text": "x"}, {"_id": "d2", "text": "\u200f "}])},
            "corpus.jsonl:2: text d2: empty",
        ),
        ({"queries": json_lines([{"_id": "q1", "text": "x"}, {"_id": "q2", "text": ""}])}, "queries.jsonl:2: query q2: empty"),
    ],
)
def test_beir_records_that_are_odd_are_listed(tmp_path: Path, files: dict[str, str], said: str) -> None:
    corpus = BEIR(str(write_beir(tmp_path, **files))).load()
    assert any(said in p for p in problems(corpus)), problems(corpus)
    assert "q1" in corpus.relevant


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"qrels_all": HEADER + "q1\td1\t0.5\n"}, "all.tsv:2: 'score': expected a whole number, found '0.5'"),
        ({"qrels_all": HEADER + "q1\td1\tnan\n"}, "all.tsv:2: 'score': expected a whole number"),
        ({"qrels_all": HEADER + "q1\td1\n"}, "all.tsv:2: expected 3 fields"),
        ({"qrels_all": "q1\t0\td1\t1\n"}, "all.tsv:1: expected the columns query-id, corpus-id, score; found q1, 0, d1, 1"),
        ({"qrels_all": HEADER + "q9\td1\t1\n"}, "nothing in all.tsv says that a text that is there answers"),
        ({"queries": ""}, "queries.jsonl: is empty"),
        ({"corpus": json_lines([{"_id": "d1", "text": "x"}] * 2)}, "corpus.jsonl:2: the _id 'd1' is at line 1 already"),
        ({"queries": json_lines([{"_id": "q1", "text": "x"}] * 2)}, "queries.jsonl:2: the _id 'q1' is at line 1 already"),
        ({"corpus": json_lines([{"text": "x"}])}, "corpus.jsonl:1: has no '_id'; found 'text'"),
        ({"corpus": json_lines([{"_id": "", "text": "x"}])}, "corpus.jsonl:1: '_id' is empty"),
        ({"corpus": json_lines([{"_id": "d", "text": None}])}, "corpus.jsonl:1: 'text': expected text, found nothing"),
        ({"corpus": json_lines([{"_id": "d", "text": "x", "title": 3}])}, "'title': expected text, found a number"),
        ({"corpus": '{"_id": "d", "text": "\\ud800"}'}, "corpus.jsonl:1: 'text': half a surrogate pair at character 0"),
        ({"corpus": '{"_id": "d", "text": "\\u0000"}'}, "corpus.jsonl:1: 'text': a NUL at character 0"),
        ({"corpus": json_lines([{"_id": "d", "text": "x", "language": "e n"}])}, "'language': expected a language code such as"),
        (
            {"queries": json_lines([{"_id": f"q{i}", "text": f"{i}", "question": "same"} for i in (1, 2)])},
            "queries.jsonl:2: question 'same' has another text in und at line 1",
        ),
        (
            {
                "queries": json_lines(
                    [
                        {"_id": f"q{i}", "text": f"{i}", "question": "s", "language": lang, "group": lang}
                        for i, lang in ((1, "de"), (2, "en"))
                    ]
                )
            },
            "queries.jsonl:2: question 's' is in group 'en' here, but in group 'de' at",
        ),
    ],
)
def test_beir_files_that_are_wrong(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        BEIR(str(write_beir(tmp_path, **files))).load()


def test_beir_folders_that_lack_a_file(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    (folder / "qrels" / "all.tsv").rename(folder / "qrels" / "all.txt")
    with pytest.raises(DataError, match=r"no qrels/\*.tsv; in qrels there is all.txt"):
        BEIR(str(folder)).load()
    (folder / "queries.jsonl").unlink()
    with pytest.raises(DataError, match=r"queries.jsonl is missing; there is corpus.jsonl, qrels"):
        BEIR(str(folder)).load()
    with pytest.raises(DataError, match=r"data.path is not set: data=beir needs the folder that holds corpus.jsonl"):
        BEIR().load()


def test_documents_are_streamed_for_an_index(tmp_path: Path) -> None:
    lines = json_lines(
        [{"_id": "a", "title": "T", "text": "x", "language": "de"}, {"_id": "b", "text": " "}, {"_id": 3, "text": "y"}]
    )
    (tmp_path / "corpus.jsonl").write_text(lines + "{broken", encoding="utf-8")
    documents = BEIR.documents(tmp_path)  # no queries, no qrels
    assert [(c.id, c.language, c.text) for c in (next(documents), next(documents))] == [("a", "de", "T x"), ("3", "und", "y")]
    with pytest.raises(DataError, match=r"corpus.jsonl:4: not valid JSON"):
        next(documents)
    write_csv(tmp_path / "p.csv", "anchor positive", ["a", "b"])
    assert [c.text for c in Pairs.documents(tmp_path / "p.csv")] == ["b"]
    write_csv(tmp_path / "s.csv", "sentence1 sentence2 score", ["a", "b", 1])
    with pytest.raises(DataError, match=r"s.csv: holds scored sentence pairs \(scored-pairs\), which have no candidates"):
        ScoredPairs.documents(tmp_path / "s.csv")


# -- pairs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_pairs_are_the_same_in_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    rows = [
        {"anchor": "a", "positive": "p", "negative": "n", "negative_2": "m"},
        {"anchor": "a", "positive": "q", "negative": "p", "negative_2": ""},
        {"anchor": "b", "positive": "p", "negative": "n", "negative_2": "n"},
    ]
    file = tmp_path / f"t.{kind}"
    if kind == "jsonl":
        file.write_text(json_lines([{k: v for k, v in row.items() if v} for row in rows]), encoding="utf-8")
    elif kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]), delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    corpus = Pairs(str(file), language="en").load()
    assert texts(corpus) == {"a": {"p", "q"}, "b": {"p"}}
    assert [(c.id, c.text) for c in corpus.candidates] == [
        ("row-000001-positive", "p"),
        ("row-000001-negative", "n"),
        ("row-000001-negative_2", "m"),
        ("row-000002-positive", "q"),
    ]
    assert len(corpus.groups) == 1
    line = 2 if kind in ("jsonl", "parquet") else 3
    assert problems(corpus) == [
        f"{file}:{line}: negative of question row-000001: is a positive of the same anchor elsewhere, which counts"
    ]
    assert corpus.places[corpus.candidates[3]] == (str(file), line)


def test_pairs_in_several_languages(tmp_path: Path) -> None:
    header = "query answer anchor_language positive_language id"
    file = write_csv(
        tmp_path / "t.csv", header, ["a", "p", "en", "de", "1"], ["ä", "p", "de", "de", "1"], ["a", "x", "en", "en", 2]
    )
    corpus = Pairs(str(file)).load()
    assert corpus.languages == ("de", "en")
    assert [(q.language, q.id, q.text) for q in corpus.questions] == [("en", "1", "a"), ("de", "1", "ä"), ("en", "2", "a")]
    assert {c.text for c in corpus.answers["de", "1"]} == {"p"}
    assert Pairs(str(file), languages=["en"]).load().languages == ("en",)
    write_csv(file, "anchor positive language id", ["a", "p", "en", "1"], ["b", "q", "en", "1"])
    with pytest.raises(DataError, match=r"t.csv:3: 'id': '1' is another question in en at .*t.csv:2"):
        Pairs(str(file)).load()


def test_rows_that_share_something_stay_together(tmp_path: Path) -> None:
    rows = [[f"a{i}", f"p{i}"] for i in range(10)]
    corpus = Pairs(str(write_csv(tmp_path / "t.csv", "anchor positive", *rows, ["a1", "p2"], ["a2", "p3"]))).load()
    group = {q.text: q.group for q in corpus.questions}
    assert group["a1"] == group["a2"] == group["a3"] != group["a4"]
    assert len(corpus.groups) == 8
    assert_nothing_leaks(corpus)
    file = write_csv(tmp_path / "g.csv", "anchor positive group", *([*row, i % 5] for i, row in enumerate(rows)))
    assert Pairs(str(file)).load().groups == ("0", "1", "2", "3", "4")


def test_a_folder_of_train_dev_and_test_is_a_split(tmp_path: Path) -> None:
    write_csv(tmp_path / "train-00000-of-00001.csv", "anchor positive", ["a", "p"], ["b", "q"], ["c", "r"])
    write_csv(tmp_path / "validation.csv", "anchor positive", ["d", "s"])
    write_csv(tmp_path / "test.csv", "anchor positive", ["e", "t"], ["f", "r"])
    corpus = Pairs(str(tmp_path)).load()
    [split] = make_splits(corpus, 0)
    assert [sum(part.group_sizes.values()) for part in (split.train, split.dev, split.test)] == [3, 1, 2]
    assert [p.rpartition("/")[2] for p in problems(corpus)] == [
        "test.csv:3: candidate row-000002-positive: a leak: is in train and test; kept in test alone"
    ]
    write_csv(tmp_path / "more.csv", "anchor positive", ["g", "u"])
    assert Pairs(str(tmp_path)).load().parts == {}


@pytest.mark.parametrize(
    ("cls", "header", "row", "said"),
    [
        (Pairs, "text label", "x 1", "data=pairs needs the columns anchor (or query, question) and positive (or answer)"),
        (Pairs, "text label", "x 1", "found 'text', 'label'"),
        (Pairs, "sentence1 sentence2 score", "x y 1", "these are for data=scored-pairs"),
        (ScoredPairs, "anchor positive", "x y", "needs the columns sentence1, sentence2 and score (or label); found 'anchor'"),
        (ScoredPairs, "anchor positive", "x y", "these are for data=pairs"),
        (Pairs, "anchor query positive", "x y z", "'anchor' and 'query' both stand for anchor"),
        (
            Pairs,
            "query answer label",
            "x y 0",
            "'label' beside 'query' and 'answer': data=pairs takes every row for a right answer",
        ),
        (
            Pairs,
            "anchor positive language",
            "x y e*",
            "t.csv:2: 'language': expected a language code such as en or pt-BR, found 'e*'",
        ),
        (ScoredPairs, "sentence1 sentence2 score", "x y nan", "t.csv:2: 'score': expected a number from 0 to 1 (data.score_max)"),
        (ScoredPairs, "sentence1 sentence2 score", "x y 4.5", "found '4.5'"),
        (ScoredPairs, "sentence1 sentence2 label", "x y -0.1", "t.csv:2: 'label': expected a number from 0 to 1"),
        (ScoredPairs, "sentence1 sentence2 score", "x y inf", "found 'inf'"),
        (ScoredPairs, "sentence1 sentence2 score", "x y high", "found 'high'"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, cls: Callable[[str], Any], header: str, row: str, said: str) -> None:
    file = write_csv(tmp_path / "t.csv", header, row.split())
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        cls(str(file)).load()
    assert "t.csv" in str(caught.value)


def test_paths_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.path is not set: data=pairs needs a .csv, .tsv, .jsonl or .parquet file"):
        Pairs().load()
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        Pairs(str(tmp_path / "nowhere")).load()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match=r"no .csv, .tsv, .jsonl or .parquet files in it; there is notes.txt"):
        ScoredPairs(str(tmp_path)).load()
    for cls, header in ((Pairs, "anchor positive"), (ScoredPairs, "sentence1 sentence2 score")):
        with pytest.raises(DataError, match="holds no"):
            cls(str(write_csv(tmp_path / "t.csv", header))).load()


def test_empty_texts_are_left_out(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "t.csv", "anchor positive", ["a", "\u200f"], [" ", "p"], ["a", "p"])
    assert [p.partition("t.csv:")[2] for p in problems(Pairs(str(file)).load())] == [
        "2: row 1: empty positive (left out)",
        "3: row 2: empty anchor (left out)",
    ]
    write_csv(file, "sentence1 sentence2 score", ["a", "", 1], ["a", "b", 0])
    assert [p.partition("t.csv:")[2] for p in problems(ScoredPairs(str(file)).load())] == ["2: row: empty sentence2 (left out)"]


def test_scored_pairs(tmp_path: Path) -> None:
    header = "sentence1 sentence2 score sentence1_language sentence2_language id"
    rows = [["a", "b", 5, "en", "en", "1"], ["a", "ß", 5, "en", "de", "1"], ["c", "d", 2.5, "en", "en", "2"]]
    file = write_csv(tmp_path / "t.csv", header, *rows)
    corpus = ScoredPairs(str(file), score_max=5).load()
    assert [(p.id, p.languages, p.first, p.second, p.score) for p in corpus.pairs] == [
        ("1", ("en", "en"), "a", "b", 1.0),
        ("1", ("en", "de"), "a", "ß", 1.0),
        ("2", ("en", "en"), "c", "d", 0.5),
    ]
    assert corpus.groups == ("1", "2")
    assert corpus.places[corpus.pairs[2]] == (str(file), 4)
    assert len(ScoredPairs(str(file), languages=["en"], score_max=5).load().pairs) == 2
    with pytest.raises(DataError, match="has no pairs of these languages alone"):
        ScoredPairs(str(file), languages=["de"], score_max=5).load()
    for column, other in (("group", "g2"), ("part", "g1")):
        write_csv(tmp_path / "train.csv", "sentence1 sentence2 score language id group", ["a", "b", 1, "en", 1, "g1"])
        write_csv(tmp_path / "test.csv", "sentence1 sentence2 score language id group", ["c", "d", 1, "de", 1, other])
        file.unlink(missing_ok=True)
        with pytest.raises(DataError, match=rf"train.csv:2: 'id': '1' is of another {column} at .*test.csv:2"):
            ScoredPairs(str(tmp_path)).load()
    write_csv(file, "sentence1 sentence2 score id", ["a", "b", 1, 1], ["c", "d", 1, 1])
    with pytest.raises(DataError, match=r"t.csv:3: 'id': '1' is another pair of und_und at .*t.csv:2"):
        ScoredPairs(str(file)).load()


def test_scored_pairs_keep_their_own_split_and_together_what_shares_a_sentence(tmp_path: Path) -> None:
    header = "sentence1 sentence2 score"
    write_csv(tmp_path / "train.csv", header, *([f"a{i}", f"b{i}", 0.5] for i in range(20)), ["a0", "b1", 0])
    write_csv(tmp_path / "test.csv", header, ["x", "y", 1])
    corpus = ScoredPairs(str(tmp_path)).load()
    [split] = make_splits(corpus, 0)
    assert [len(getattr(part, "pairs", ())) for part in (split.train, split.dev, split.test)] == [17, 4, 1]
    group = {(p.first, p.second): p.group for p in corpus.pairs}
    assert group["a0", "b0"] == group["a0", "b1"] == group["a1", "b1"] != group["a2", "b2"]


# -- describe ------------------------------------------------------------------------------------------------------------


def checks(corpus: AnyCorpus) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings(corpus):
        found.setdefault(finding.check, []).append(finding)
    return found


def test_findings_know_their_places(tmp_path: Path) -> None:
    rows = [["a", "p"], ["b", "P\u200f "], ["ａ", "q" * 1025], ["c", "r"], ["d", "p"]]
    file = write_csv(tmp_path / "t.csv", "anchor positive group", *([*row, f"g{min(i, 1)}"] for i, row in enumerate(rows)))
    found = checks(Pairs(str(file)).load())
    assert {check: [[line for _, line in f.places] for f in of_check] for check, of_check in found.items()} == {
        "leak": [[2, 4], [2, 3]],
        "duplicate": [[2, 4], [2, 3]],
        "long": [[4]],
    }
    assert "und question in group g0 and group g1: a" in str(found["leak"][0])
    write_csv(file, "anchor positive negative id", ["a", "p", "n", 1], ["a", "q", "", 2], ["c", "r", "n", 3])
    found = checks(Pairs(str(file)).load())
    assert [f.ids for f in found["duplicate"]] == [("1", "2")]
    assert [f.ids for f in found["distractor"]] == [("row-000001-negative",)]


def test_leaks_between_the_parts_of_an_own_split(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", "sentence1 sentence2 score", *([f"a{i}", f"b{i}", 1] for i in range(9)))
    write_csv(tmp_path / "dev.csv", "sentence1 sentence2 score", ["x", "y", 0])
    write_csv(tmp_path / "test.csv", "sentence1 sentence2 score", ["A1 ", "b1", 1])
    [leak] = checks(ScoredPairs(str(tmp_path)).load())["leak"]
    assert "test.csv:2" in str(leak)
    assert "train.csv:3" in str(leak)
    assert leak.what in ("und_und pair in test and train", "und_und pair in train and test")


def test_findings_of_other_data() -> None:
    assert set(checks(MiniSTS().load())) <= {"duplicate", "leak"}
    corpus = tiny_corpus()
    assert {check: len(found) for check, found in checks(corpus).items()} == {"distractor": 40}
    one = corpus.questions[0].id
    unanswered = Corpus("x", corpus.questions, corpus.candidates, {i: ids for i, ids in corpus.relevant.items() if i != one})
    assert len(checks(unanswered)["unanswered"]) == 4


def test_describe_by_the_command(cli: Cli, command: Command, tmp_path: Path) -> None:
    rows = [[f"a{i}", f"p{i}"] for i in range(30)]
    write_csv(tmp_path / "pairs.csv", "anchor positive id", *([*row, i] for i, row in enumerate(rows + rows)), ["x", "y", "z"])
    done = cli("data", "describe", "pairs.csv")
    assert done.returncode == 0, done.stderr
    assert "no problems" in done.stdout
    assert "30 texts that are there more than once" in done.stdout
    assert "duplicate: pairs.csv:2, pairs.csv:32: 2 und questions with one text: a0" in done.stdout
    assert "and 10 more (--json lists all)" in done.stdout
    code, out, _ = command("data", "describe", "pairs.csv", "--json")
    content = json.loads(out)
    assert content["checks"]["duplicate"] == len(content["findings"]) == 30
    assert content["findings"][0]["places"] == [{"file": "pairs.csv", "line": 2}, {"file": "pairs.csv", "line": 32}]
    assert (code, content["parts"], content["groups"]) == (0, {}, 31)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "t.csv",
            b"anchor,text\na,b\n",
            "needs the columns anchor (or query, question) and positive (or answer); found 'anchor', 'text'",
        ),
        ("t.csv", b"anchor,positive\na,\xff\n", "t.csv:2: not UTF-8 text (byte 2 of the line)"),
        ("t.tsv", "anchor\tpositive\n".encode("utf-16"), "t.tsv:1: UTF-16 text; save it as UTF-8"),
        ("t.jsonl", b'{"anchor": "a", "positive": "\\ud83d"}', "t.jsonl:1: 'positive': half a surrogate pair"),
        ("t.csv", b"this,that\n", "no data set of a known format"),
    ],
)
def test_describe_explains_hostile_files(command: Command, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    code, out, told = command("data", "describe", name)
    assert (code, said in told, out) == (2, True, ""), told


def test_texts_cannot_write_to_the_terminal(command: Command, tmp_path: Path) -> None:
    write_csv(
        tmp_path / "t.csv", "anchor positive id", ["\x1b[2J[red]\u202eevil", "p", 1], ["\x1b[2J[red]\u202eevil", "q", "\x1b2"]
    )
    code, out, _ = command("data", "describe", "t.csv")
    assert code == 0
    assert r"\u001b[2J[red]\u202eevil" in out
    assert "\x1b" not in out


# -- runs ----------------------------------------------------------------------------------------------------------------


def write_tiny_beir(folder: Path) -> Path:
    corpus = tiny_corpus(languages=("en", "de"))
    language = {c.id: c.language for c in corpus.candidates}
    documents = json_lines([{"_id": c.id, "text": c.text, "language": c.language} for c in corpus.candidates])
    asked = [{"_id": f"{q.language}-{q.id}", "text": q.text, "language": q.language, "question": q.id} for q in corpus.questions]
    rows = [f"{language[i]}-{q}\t{i}\t1\n" for q, ids in corpus.relevant.items() for i in sorted(ids)]
    return write_beir(folder, corpus=documents, queries=json_lines(asked), qrels_all=HEADER + "".join(rows))


def test_training_on_beir_in_two_languages(cli: Cli, tmp_path: Path, tiny_model: Path) -> None:
    write_tiny_beir(tmp_path / "mine")
    words = ["data=beir", "data.path=mine", f"encoder.model={tiny_model}", "sampler.num_negatives=1", *SMALL]
    done = cli("run", *words, "mode=en_en -> en_de -> en_{de,en}", "data.languages=[en,de]", "out=two", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "two" / "results.json").read_text(encoding="utf-8"))
    assert {row["query_language"] for row in results["scores"]} == {"de", "en"}
    assert (tmp_path / "two" / "model").is_dir()


def test_training_on_one_language(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    write_tiny_beir(tmp_path / "mine")
    words = ["algo=maml", "mode=en_en->en_en", "sampler.num_negatives=1", f"encoder.model={tiny_model}", *SMALL]
    code, _, told = command("run", "data=beir", "data.path=mine", *words, "data.languages=[en]", "out=one")
    assert code == 0, told


def test_training_on_pairs_of_either_kind(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    model = f"encoder.model={tiny_model}"
    write_csv(tmp_path / "p.csv", "anchor positive negative", *([f"q {i}", f"en{i} word", f"en{i} other"] for i in range(30)))
    words = ["algo=maml", "mode=und_und->und_und", model, "sampler.num_negatives=1", *SMALL]
    code, _, told = command("run", "data=pairs", "data.path=p.csv", *words, "out=p")
    assert code == 0, told
    write_csv(tmp_path / "s.csv", "sentence1 sentence2 score", *([f"en{i}", f"en{i} de{i}", i % 5] for i in range(30)))
    words = ["algo=maml", "mode=en_en->en_en", "data.language=en", "data.score_max=4", model, *SMALL]
    code, _, told = command("run", "data=scored-pairs", "data.path=s.csv", *words, "out=s")
    assert code == 0, told
    assert json.loads((tmp_path / "s" / "results.json").read_text(encoding="utf-8"))["scores"][0]["metric"] == "pearson"
    code, _, told = command("run", "data=pairs", "data.path=s.csv", "out=wrong")
    assert (code, "these are for data=scored-pairs" in told) == (2, True)
    assert not (tmp_path / "wrong").exists()


def documented_files() -> dict[str, str]:
    """Path -> content of the files of docs/data.md."""
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    return dict(re.findall(r"`(my-\S+)`:\n\n```\w*\n(.*?)```", text, re.DOTALL))


def test_the_examples_of_the_documents_work(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    files = documented_files()
    assert list(files) == [
        "my-beir/corpus.jsonl",
        "my-beir/queries.jsonl",
        "my-beir/qrels/test.tsv",
        "my-pairs.csv",
        "my-scores.csv",
    ]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for name, path in (("beir", "my-beir"), ("pairs", "my-pairs.csv"), ("scored-pairs", "my-scores.csv")):
        code, out, told = command("data", "describe", path)
        assert (code, "no problems" in out) == (0, True), told
        line = f"metasearch run algo=zero-shot data.fold=none data={name} data.path={path}"
        assert line in text
        code, _, told = command(*line.split()[1:], f"encoder.model={tiny_model}", f"out=run-{name}", "--quiet")
        assert code == 0, told
