"""Corpora and splits: the shipped mini corpus, real XQuAD-R, and files that are wrong."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.core import Corpus
from metasearch.dataset import make_splits
from metasearch.errors import DataError, MetasearchError
from metasearch_plugins.datasets.mini import Mini
from metasearch_plugins.datasets.xquad_r import XQuADR
from tests.tiny import tiny_corpus

LANGUAGES = ["ar", "de", "el", "en", "hi", "ru", "th", "tr"]
SCRIPTS = {
    "ar": r"[\u0600-\u06ff]",
    "el": r"[\u0370-\u03ff]",
    "hi": r"[\u0900-\u097f]",
    "ru": r"[\u0400-\u04ff]",
    "th": r"[\u0e00-\u0e7f]",
}


@pytest.fixture(scope="module")
def mini() -> Corpus:
    return Mini().load()


def test_mini_is_what_it_says(mini: Corpus) -> None:
    assert list(mini.languages) == LANGUAGES
    assert mini.problems == ()
    assert len(mini.groups) >= 24
    for language in LANGUAGES:
        questions = [q for q in mini.questions if q.language == language]
        candidates = mini.candidates_of[language]
        assert len(questions) >= 96
        assert {q.id for q in questions} == {q.id for q in mini.questions}
        assert len({q.text for q in questions}) == len(questions)
        assert len({c.text for c in candidates}) == len(candidates)
        # Distractors: more sentences that answer nothing than sentences that answer.
        answering = {c.id for q in questions for c in mini.answers[language, q.id]}
        assert len(candidates) >= 2 * len(answering)
        if language in SCRIPTS:
            assert all(
                len(re.findall(SCRIPTS[language], t)) >= 5 for t in [*(q.text for q in questions), *(c.text for c in candidates)]
            )


def test_mini_is_parallel_sentence_by_sentence(mini: Corpus) -> None:
    shape = {language: [c.id[3:] for c in mini.candidates_of[language]] for language in LANGUAGES}
    assert all(s == shape["en"] for s in shape.values())
    for question_id, ids in mini.relevant.items():
        assert len(ids) == 8, question_id
        assert len({i[3:] for i in ids}) == 1


def test_mini_paragraphs_have_three_to_five_sentences() -> None:
    content = json.loads((Mini().folder() / "de.json").read_text(encoding="utf-8"))
    for article in content["data"]:
        assert len(article["paragraphs"]) == 2
        assert all(3 <= len(p["sentences"]) <= 5 and len(p["qas"]) == 2 for p in article["paragraphs"])


def test_context_is_added_behind_the_sentence() -> None:
    plain, context = Mini(["de"]).load(), Mini(["de"], context=True).load()
    for a, b in zip(plain.candidates, context.candidates, strict=True):
        assert b.text.startswith(a.text + " ")
        assert a.text in b.text[len(a.text) + 1 :]
    assert plain.fingerprint != context.fingerprint


def test_xquad_r_has_the_published_counts(shared: Path) -> None:
    corpus = XQuADR(str(shared / "data" / "xquad-r")).load()
    counts = {language: len(corpus.candidates_of[language]) for language in corpus.languages}
    assert counts == {"ar": 1222, "de": 1276, "el": 1234, "hi": 1244, "ru": 1219, "th": 852, "tr": 1167}
    for language in corpus.languages:
        assert sum(q.language == language for q in corpus.questions) == 1190
    assert not any(p.skipped for p in corpus.problems)
    assert all(len(ids) == 7 for ids in corpus.relevant.values())
    runs_past = [p for p in corpus.problems if "runs past" in p.what]
    assert len(runs_past) == 10 + 8 + 13 + 11 + 2 + 9 + 20
    assert len([p for p in corpus.problems if "differs from the context" in p.what]) == 2
    # One answering sentence per question and language, and as many different ones as published.
    answering = {
        language: len({c.id for q in corpus.questions if q.language == language for c in corpus.answers[language, q.id]})
        for language in corpus.languages
    }
    assert answering == {"ar": 790, "de": 818, "el": 798, "hi": 798, "ru": 787, "th": 603, "tr": 764}


@pytest.mark.parametrize("source", ["mini", "tiny", "xquad-r"])
def test_folds_partition_the_questions_by_article(source: str, request: pytest.FixtureRequest) -> None:
    if source == "xquad-r":
        corpus = XQuADR(str(request.getfixturevalue("shared") / "data" / "xquad-r")).load()
    else:
        corpus = Mini().load() if source == "mini" else tiny_corpus()
    splits = make_splits(corpus, "all", seed=0)
    tested = [g for split in splits for g in split.test.groups]
    assert sorted(tested) == list(corpus.groups)
    for split in splits:
        parts = [set(part.groups) for part in (split.train, split.dev, split.test)]
        assert not parts[0] & parts[1]
        assert not parts[1] & parts[2]
        assert not parts[0] & parts[2]
        assert set().union(*parts) == set(corpus.groups)
        total = len({q.id for q in corpus.questions})
        sizes = [len({q.id for q in part.questions}) / total for part in (split.train, split.dev, split.test)]
        assert 0.53 < sizes[0] < 0.68, sizes
        assert 0.15 < sizes[1] < 0.23, sizes
        assert 0.17 < sizes[2] < 0.23, sizes


def test_folds_are_a_pure_function_of_data_and_seed() -> None:
    corpus = Mini().load()
    groups = [split.test.groups for split in make_splits(corpus, "all", seed=0)]
    assert [make_splits(corpus, fold, seed=0)[0].test.groups for fold in range(5)] == groups
    assert [split.test.groups for split in make_splits(corpus, "all", seed=1)] != groups
    # A subset of the languages is split the same way.
    assert [s.test.groups for s in make_splits(corpus.of_languages(["de", "th"]), "all", seed=0)] == groups
    [everything] = make_splits(corpus, "none")
    assert everything.test is corpus
    assert (everything.test_name, everything.fold) == ("all", None)


def test_too_few_articles_for_folds() -> None:
    with pytest.raises(DataError, match="at least 5 articles"):
        make_splits(tiny_corpus(articles=4), 0)


# -- files that are wrong ----------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "version": "1.1",
    "data": [
        {
            "paragraphs": [
                {
                    "context": "Tea is old. Coffee is not.",
                    "sentences": ["Tea is old.", "Coffee is not."],
                    "sentence_breaks": [[0, 11], [12, 26]],
                    "qas": [{"id": "q1", "question": "What is old?", "answers": [{"answer_start": 0, "text": "Tea"}]}],
                }
            ]
        }
    ],
}


def write(folder: Path, change: Callable[[dict[str, Any]], object], name: str = "xx.json") -> Path:
    content = copy.deepcopy(GOOD)
    change(content["data"][0]["paragraphs"][0])
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_good_file_reads(tmp_path: Path) -> None:
    corpus = XQuADR(str(write(tmp_path, lambda p: None))).load()
    assert corpus.relevant == {"q1": frozenset({"xx-000-000-000"})}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.pop("context"), r"data\[0\].paragraphs\[0\]: has no 'context'; found 'sentences'"),
        (lambda p: p.update(context=3), r"paragraphs\[0\].context: expected text, found a number"),
        (lambda p: p.update(sentences="x"), "sentences: expected a list, found text"),
        (lambda p: p["sentences"].append("x"), "3 sentences but 2 sentence_breaks"),
        (lambda p: p["sentences"].__setitem__(0, None), r"sentences\[0\]: expected text, found nothing"),
        (lambda p: p["sentence_breaks"].__setitem__(1, [12]), r"sentence_breaks\[1\]: expected \[start, end\], found \[12\]"),
        (lambda p: p["sentence_breaks"].__setitem__(1, [9, 3]), "expected .start, end., found .9, 3."),
        (lambda p: p["sentence_breaks"].__setitem__(1, ["a", "b"]), "expected .start, end."),
        (lambda p: p["qas"].__setitem__(0, []), r"qas\[0\]: expected an object, found a list"),
        (lambda p: p["qas"][0].pop("id"), r"qas\[0\]: has no 'id'"),
        (lambda p: p["qas"][0].update(question=None), r"question: expected text"),
        (lambda p: p["qas"][0].update(answers=[]), r"answers: expected an answer, found none"),
        (lambda p: p["qas"][0]["answers"][0].pop("answer_start"), r"answer_start: expected a whole number, found nothing"),
        (lambda p: p["qas"][0]["answers"][0].update(answer_start="3"), "expected a whole number, found text"),
        (lambda p: p["qas"][0]["answers"][0].update(answer_start=True), "expected a whole number, found true or false"),
        (lambda p: p["qas"].append(p["qas"][0]), r"qas\[1\]: the id 'q1' stands twice"),
        (lambda p: p["qas"].clear(), "holds no questions"),
        (lambda p: p["sentences"].__setitem__(0, "a\ud800"), r"sentences\[0\]: half a surrogate pair at character 1"),
        (lambda p: p["qas"][0].update(question="\udfff"), "question: half a surrogate pair at character 0"),
    ],
)
def test_a_wrong_file_names_file_and_place(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        XQuADR(str(write(tmp_path, change))).load()
    assert "xx.json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda p: p["qas"].append({"id": "q2", "question": "?", "answers": [{"answer_start": 11}]}), "lies in no sentence"),
        (lambda p: p["qas"].append({"id": "q2", "question": "?", "answers": [{"answer_start": 999}]}), "lies in no sentence"),
        (lambda p: p["qas"].append({"id": "q2", "question": " ", "answers": [{"answer_start": 1}]}), "empty question"),
        (lambda p: p["sentences"].__setitem__(1, " "), "empty sentence"),
    ],
)
def test_records_that_cannot_be_used_are_left_out_and_counted(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], what: str
) -> None:
    corpus = XQuADR(str(write(tmp_path, change))).load()
    assert [q.id for q in corpus.questions] == ["q1"]
    [problem] = [p for p in corpus.problems if p.skipped and what in p.what]
    assert problem.line == 1
    assert str(problem).startswith(f"{tmp_path / 'xx.json'}:1: data[0].paragraphs[0]")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "xx.json:1: not valid JSON"),
        (b'{"data": [\n1,\n}', "xx.json:3: not valid JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[]", "top level: expected an object, found a list"),
        (b"{}", "top level: has no 'data'"),
        (b'{"data": []}', "holds no questions"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_files_that_are_not_json(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "xx.json").write_bytes(content)
    with pytest.raises(DataError, match=said):
        XQuADR(str(tmp_path)).load()


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    folder = write(tmp_path, lambda p: None)
    (folder / "xx.json").write_bytes(b"\xef\xbb\xbf" + (folder / "xx.json").read_bytes())
    assert len(XQuADR(str(folder)).load().questions) == 1


def test_folders_and_languages_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data.path is not set"):
        XQuADR().load()
    with pytest.raises(DataError, match="no such folder"):
        XQuADR(str(tmp_path / "none")).load()
    with pytest.raises(DataError, match=r"no LANGUAGE.json files"):
        XQuADR(str(tmp_path)).load()
    write(tmp_path, lambda p: None)
    with pytest.raises(DataError, match=r"not a folder"):
        XQuADR(str(tmp_path / "xx.json")).load()
    with pytest.raises(DataError, match=r"has no language 'xy'; it has xx"):
        XQuADR(str(tmp_path), languages=["xy"]).load()
    with pytest.raises(DataError, match="it has ar, de, el"):
        Mini(["fr"]).load()


def test_other_json_files_are_nobodys_language(tmp_path: Path) -> None:
    folder = write(tmp_path, lambda p: None)
    (folder / "dataset_info.json").write_text("{}", encoding="utf-8")
    assert XQuADR(str(folder)).load().languages == ("xx",)


def test_one_id_for_two_questions_is_refused(tmp_path: Path) -> None:
    write(tmp_path, lambda p: None, "aa.json")
    content = copy.deepcopy(GOOD)
    content["data"].insert(0, {"paragraphs": []})
    (tmp_path / "bb.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"bb.json: .*question 'q1' is in article 1 here but in article 0 of .*aa.json"):
        XQuADR(str(tmp_path)).load()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "paragraphs",
                    "context",
                    "sentences",
                    "sentence_breaks",
                    "qas",
                    "id",
                    "question",
                    "answers",
                    "answer_start",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
@settings(max_examples=200, deadline=None)
def test_any_json_reads_or_gives_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "xx.json").write_text(json.dumps(content), encoding="utf-8")
    try:
        XQuADR(str(folder)).load()
    except MetasearchError as error:
        assert "xx.json" in str(error)
