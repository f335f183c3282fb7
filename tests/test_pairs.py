"""Symmetric search: STS files, their folds, correlation, and the dual encoder through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from metasearch.core import PairCorpus, SentencePair
from metasearch.dataset import make_splits
from metasearch.errors import ConfigError, DataError
from metasearch.evaluation import encode_pairs, evaluate_pairs, score_corpus
from metasearch.evaluation.pairs import EncodedPairs
from metasearch_plugins.datasets.mini_sts import MiniSTS
from metasearch_plugins.datasets.sts2017 import STS2017
from metasearch_plugins.datasets.stsb import STSb
from metasearch_plugins.encoders.dual import DualEncoder
from metasearch_plugins.metrics.correlation import Correlation
from metasearch_plugins.metrics.map import MeanAveragePrecision
from tests.conftest import Cli
from tests.tiny import tiny_pairs


def write_track(folder: Path, name: str, lines: list[str], scores: list[str]) -> None:
    (folder / f"STS.input.{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / f"STS.gs.{name}.txt").write_text("".join(f"{score}\n" for score in scores), encoding="utf-8")


def write_tracks(folder: Path, rows: int = 40) -> Path:
    """A folder in SemEval's format: en-en, ar-ar, es-es, ar-en, es-en, tr-en; of the last, half has no score."""
    folder.mkdir(exist_ok=True)
    for name in ("track1.ar-ar", "track2.ar-en", "track3.es-es", "track4a.es-en", "track5.en-en", "track6.tr-en"):
        one, other = name.partition(".")[2].split("-")
        if name.startswith(("track2", "track6")):
            one, other = other, one  # English stands first in these files
        lines = [f'{one}{i} said {one}{i % 7}\t{other}{i} "said {other}{i % 5}' for i in range(rows)]
        write_track(folder, name, lines, [f"{(i % 11) / 2:.1f}" for i in range(rows if "track6" not in name else rows // 2)])
    return folder


# -- reading ---------------------------------------------------------------------------------------------------------------


def test_sts2017_reads_every_track_in_the_order_of_its_name(tmp_path: Path) -> None:
    corpus = STS2017(str(write_tracks(tmp_path / "sts"))).load()
    assert list(corpus.tracks) == [("ar", "ar"), ("ar", "en"), ("en", "en"), ("es", "en"), ("es", "es"), ("tr", "en")]
    pair = corpus.tracks["tr", "en"][3]
    assert (pair.id, pair.group) == ("tr-en-0004", "0004")  # another pair than line 4 of other tracks, in the same part
    assert (pair.first, pair.second, pair.score) == ('tr3 "said tr3', "en3 said en3", 0.3)
    assert corpus.pairs_of("en", "tr")[3] == pair.swapped()
    assert len(corpus.tracks["tr", "en"]) == 20
    assert [(p.line, p.what, p.skipped) for p in corpus.problems][:1] == [(21, "has no gold score", True)]
    assert len(corpus.problems) == 20
    only = STS2017(str(tmp_path / "sts"), ["en", "ar"]).load()
    assert list(only.tracks) == [("ar", "ar"), ("ar", "en"), ("en", "en")]


@pytest.mark.parametrize(
    ("lines", "scores", "said"),
    [
        (["one", "a\tb"], ["1", "2"], r"track5.en-en.txt:1: expected two sentences apart by a tab, found 1 fields"),
        (["a\tb\tc"], ["1"], r":1: expected two sentences apart by a tab, found 3 fields"),
        (["a\tb"], ["six"], r"STS.gs.track5.en-en.txt:1: expected a score from 0 to 5, found 'six'"),
        (["a\tb", "c\td"], ["1", "nan"], r":2: expected a score from 0 to 5, found 'nan'"),
        (["a\tb"], ["5.5"], r":1: expected a score from 0 to 5, found '5.5'"),
        (["a\tb"], ["1", "2"], r"2 scores for 1 pairs"),
    ],
)
def test_broken_tracks(tmp_path: Path, lines: list[str], scores: list[str], said: str) -> None:
    write_track(tmp_path, "track5.en-en", lines, scores)
    with pytest.raises(DataError, match=said):
        STS2017(str(tmp_path)).load()


def test_missing_files_and_languages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.path is not set: data=sts2017 needs the folder"):
        STS2017().load()
    with pytest.raises(DataError, match="no STS.input.TRACK.X-Y.txt files in it"):
        STS2017(str(tmp_path)).load()
    write_track(tmp_path, "track5.en-en", ["a\tb"], ["1"])
    with pytest.raises(DataError, match="has no language 'tr'; it has en"):
        STS2017(str(tmp_path), ["tr"]).load()
    write_track(tmp_path, "again.en-en", ["a\tb"], ["1"])
    with pytest.raises(DataError, match=r"en-en is in .* already"):
        STS2017(str(tmp_path)).load()
    (tmp_path / "STS.gs.again.en-en.txt").unlink()
    with pytest.raises(DataError, match=r"its scores are missing: .*STS.gs.again.en-en.txt"):
        STS2017(str(tmp_path)).load()


def write_stsb(folder: Path, parts: dict[str, int], languages: tuple[str, ...] = ("de", "en", "es")) -> Path:
    folder.mkdir(exist_ok=True)
    for language in languages:
        for part, rows in parts.items():
            text = "".join(f'"{language} {part} {i}, ""quoted""",{language} other {i % 9},{i % 6}.0\n' for i in range(rows))
            (folder / f"stsb-{language}-{part}.csv").write_text(text, encoding="utf-8")
    return folder


def test_stsb_is_parallel_and_keeps_its_own_split(tmp_path: Path) -> None:
    corpus = STSb(str(write_stsb(tmp_path, {"train": 30, "dev": 12, "test": 18}))).load()
    assert len(corpus.tracks) == 6
    pair = corpus.pairs_of("de", "es")[0]
    assert (pair.first, pair.second) == ('de dev 0, "quoted"', "es other 0")
    (split,) = make_splits(corpus, 0)
    assert [sum(part.group_sizes.values()) for part in (split.train, split.dev, split.test)] == [30, 12, 18]
    assert {p.id.partition("-")[0] for p in split.test.pairs} == {"test"}  # type: ignore[union-attr]
    assert [s.fold for s in make_splits(corpus, "all")] == [0]
    with pytest.raises(DataError, match=r"data.fold=3: stsb comes with one split of its own"):
        make_splits(corpus, 3)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("stsb-de-dev.csv", "a,b,1.0\n", r"stsb-en-dev.csv: 2 rows, but .*stsb-de-dev.csv has 1|has 2"),
        ("stsb-de-dev.csv", "a,b,0.0\nc,d,2.0\n", r"stsb-en-dev.csv:2: score 1, but .*stsb-de-dev.csv:2 has 2"),
        ("stsb-de-dev.csv", "a,b,0.0\nc,d\n", r"stsb-de-dev.csv:2: expected sentence, sentence, score; found 2 fields"),
        ("stsb-de-dev.csv", 'a,b,0.0\n"c\n\nd,b,1.0\n', r"stsb-de-dev.csv:2: not valid CSV"),
        ("stsb-de-dev.csv", "", r"stsb-de-dev.csv: holds no pairs"),
        ("stsb-de-dev.csv", "a,b,-1\nc,d,1\n", r"stsb-de-dev.csv:1: expected a score from 0 to 5, found '-1'"),
    ],
)
def test_broken_stsb(tmp_path: Path, name: str, text: str, said: str) -> None:
    write_stsb(tmp_path, {"train": 2, "dev": 2, "test": 2}, ("de", "en"))
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        STSb(str(tmp_path)).load()


def test_a_line_separator_of_unicode_ends_no_row(tmp_path: Path) -> None:
    write_stsb(tmp_path, {"train": 2, "dev": 2, "test": 2}, ("de",))
    (tmp_path / "stsb-de-dev.csv").write_text("x\u2028y z,w\x85v,2.0\n", encoding="utf-8")
    assert STSb(str(tmp_path)).load().tracks["de", "de"][0].first == "x\u2028y z"


def test_a_part_is_missing(tmp_path: Path) -> None:
    write_stsb(tmp_path, {"train": 2, "dev": 2}, ("de",))
    with pytest.raises(DataError, match="stsb-de-test.csv is missing"):
        STSb(str(tmp_path)).load()


def test_the_shipped_corpus_is_parallel() -> None:
    corpus = MiniSTS().load()
    assert corpus.languages == ("ar", "en", "es", "tr")
    assert not corpus.problems
    assert {len(pairs) for pairs in corpus.tracks.values()} == {100}
    scores = np.array([pair.score for pair in corpus.tracks["en", "en"]])
    assert np.histogram(scores, bins=5, range=(0, 1))[0].min() >= 10
    sentences = [text for pair in corpus.tracks["tr", "tr"] for text in (pair.first, pair.second)]
    assert len(set(sentences)) == 200


# -- folds -----------------------------------------------------------------------------------------------------------------


def test_five_folds_test_every_pair_once_and_never_straddle_translations() -> None:
    corpus = tiny_pairs(50, ("ar", "de", "es"))
    splits = make_splits(corpus, "all", 3, dev_share=0.2)
    tested: list[SentencePair] = []
    for split in splits:
        parts = [split.train, split.dev, split.test]
        assert [sum(part.group_sizes.values()) for part in parts] == [30, 10, 10]
        assert not set(split.train.groups) & set(split.dev.groups) | set(split.train.groups) & set(split.test.groups)
        tested += split.test.pairs  # type: ignore[union-attr]
    assert sorted(p.id + "".join(p.languages) for p in tested) == sorted(p.id + "".join(p.languages) for p in corpus.pairs)


def test_real_tracks_split_as_in_the_papers_table_3(shared: Path) -> None:
    data = STS2017(str(shared / "data" / "sts2017"))
    for split in make_splits(data.load(), "all", 0, data.dev_share):
        for part, size in ((split.train, 150), (split.dev, 50), (split.test, 50)):
            assert {len(pairs) for pairs in part.tracks.values()} == {size}  # type: ignore[union-attr]


# -- scores ----------------------------------------------------------------------------------------------------------------


def test_correlations_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 6, 80) / 5
    predicted = np.round(gold + rng.normal(size=80), 1)  # with ties
    found = Correlation().of_pairs(predicted, gold)
    assert found["pearson"] == pytest.approx(stats.pearsonr(predicted, gold).statistic, rel=1e-12)
    assert found["spearman"] == pytest.approx(stats.spearmanr(predicted, gold).statistic, rel=1e-12)
    assert np.isnan(Correlation().of_pairs(np.ones(5), gold[:5])["pearson"])


def test_rows_by_track() -> None:
    corpus = tiny_pairs(12)
    rng = np.random.default_rng(1)
    encoded = EncodedPairs(corpus, rng.normal(size=(36, 5)), rng.normal(size=(36, 5)))
    rows = evaluate_pairs(encoded, Correlation(), seen=["ar"], fold=2)
    main = [(r.variant, r.query_language, r.candidate_languages, r.supervision, r.n) for r in rows if r.metric == "pearson"]
    assert main == [
        ("bi", "ar", ("de",), "zero-shot", 12),
        ("mono", "ar", ("ar",), "few-shot", 12),
        ("mono", "de", ("de",), "zero-shot", 12),
    ]
    numbers = [i for i, p in enumerate(corpus.pairs) if p.languages == ("ar", "de")]
    a, b = encoded.first[numbers], encoded.second[numbers]
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    gold = [corpus.pairs[i].score for i in numbers]
    assert rows[0].value == pytest.approx(stats.pearsonr(cosines, gold).statistic)
    assert {r.variant for r in evaluate_pairs(encoded, Correlation(), ("mono",))} == {"mono"}


def test_both_sentences_are_encoded_as_queries(tiny_model: Path) -> None:
    corpus = PairCorpus("one", (SentencePair("0", ("ar", "ar"), "ar1 ar2", "ar1 ar2", 1.0, "0"),))
    encoded = encode_pairs(DualEncoder(str(tiny_model)), corpus)
    np.testing.assert_allclose(encoded.cosines(), [1.0], atol=1e-6)


def test_a_metric_of_the_other_kind_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric map@20 measures on triplets, but the data holds pairs"):
        score_corpus(DualEncoder(str(tiny_model)), tiny_pairs(5), MeanAveragePrecision())


@pytest.mark.slow
def test_zero_shot_pearson_equals_the_reference(shared: Path, cli: Cli) -> None:
    """../shared/README.md, STS 2017: within 0.2 points on every track."""
    path = shared / "data" / "sts2017"
    done = cli("evaluate", "builtin:multilingual-e5-small", "data=sts2017", f"data.path={path}", "--json")
    assert done.returncode == 0, done.stderr
    rows = [r for r in json.loads(done.stdout)["scores"] if r["metric"] == "pearson"]
    found = {f"{r['query_language']}_{r['candidate_languages'][0]}": 100 * r["value"] for r in rows}
    reference = {"ar_ar": 73.7, "ar_en": 59.4, "es_es": 86.7, "es_en": 71.6, "en_en": 85.7, "tr_en": 58.2}
    assert found == pytest.approx(reference, abs=0.2)


# -- the command -----------------------------------------------------------------------------------------------------------


def test_train_on_pairs_through_the_command(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    folder = write_tracks(tmp_path / "sts")
    done = cli("run", "algo=maml", "data=sts2017", f"data.path={folder}", f"encoder.model={tiny_model}", "out=r", "train.tasks=4")
    assert done.returncode == 0, done.stderr
    assert "pairs of" in done.stdout
    assert "tr_en (few-shot)" in done.stdout
    results = json.loads((tmp_path / "r" / "results.json").read_text(encoding="utf-8"))
    assert results["main_score"]["metric"] == "pearson"
    main = [row["value"] for row in results["scores"] if row["metric"] == "pearson"]
    assert results["main_score"]["variant"] is None
    assert results["main_score"]["value"] == pytest.approx(sum(main) / len(main))
    lines = (tmp_path / "r" / "pairs.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + sum(row["n"] for row in results["scores"] if row["metric"] == "pearson")
    assert "encode_query" in (tmp_path / "r" / "model" / "README.md").read_text(encoding="utf-8")
    done = cli("evaluate", "r", "--json")
    assert json.loads(done.stdout)["scores"] == results["scores"]
    # On data of the other kind, the encoder, loss and metric of that kind.
    done = cli("evaluate", "r", "data=mini", "eval.variants=[mono]", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["main_score"]["metric"] == "map@20"


def test_what_does_not_fit_is_refused(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    model = f"encoder.model={tiny_model}"
    for words, said in (
        (["encoder=triplet", "data=mini-sts", "algo=maml"], "encoder=triplet embeds triplets, but data=mini-sts holds pairs"),
        (["data=mini-sts", "mode=trans"], "no such mode for pairs; it is one for triplets"),
        (["data=mini-sts", "algo=maml", "loss=triplet"], "loss=triplet takes triplets, but encoder=dual gives pairs"),
        (["data=mini-sts", "metric=map"], "metric map@20 measures on triplets, but the data holds pairs"),
        (["data=mini-sts", "algo=maml", "mode=en_en -> en_xx"], "has no xx; it has ar, en, es, tr"),
        (
            ["data=mini-sts", "eval.variants=[multi]"],
            "eval.variants=[multi]: data=mini-sts has nothing to score that way; it has bi, mono",
        ),
        (["algo=anil", "algo.inner_layers=99"], "algo.inner_layers=99: the encoder has 2 transformer layers"),
        (["algo=maml", "loss=cached", "sampler.cached_negatives=0"], "loss=cached: needs sampler.cached_negatives"),
        (["data.translated={ar: [a,b]}"], "data.translated.ar=['a', 'b'] (from the command line): expected text, not empty"),
        (["encoder=bm25", "algo=maml"], "encoder=bm25 has nothing to train; use algo=zero-shot"),
    ):
        bm25 = words[0] == "encoder=bm25"
        done = cli("run", *words, *([] if bm25 else [model]), "out=r")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / "r").exists()
