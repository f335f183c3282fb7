"""Comparison of runs: the tests as mathematics, the tables, and folders that are broken."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.cli import compare_command
from metasearch.errors import ConfigError, DataError
from metasearch.report.compare import compare
from metasearch.report.significance import RESAMPLES, paired_pearson_test, paired_test, rank_column, ranks_within

# -- ranks -------------------------------------------------------------------------------------------------------------


def test_ties_share_the_best_rank() -> None:
    assert rank_column([0.5, 0.7, 0.7, 0.1]) == [3, 1, 1, 4]
    assert rank_column([0.5, 0.7, 0.7, 0.1], higher_is_better=False) == [2, 3, 3, 1]
    assert rank_column([math.nan, 0.1, math.nan]) == [2, 1, 2]
    assert rank_column([0.1 + 0.2, 0.3]) == [1, 1]
    assert rank_column([]) == []


# -- means -------------------------------------------------------------------------------------------------------------


def enumerated(means: Sequence[float]) -> float:
    """Exact two-sided p-value by going through all sign flips."""
    observed = abs(sum(means))
    flips = itertools.product([1, -1], repeat=len(means))
    return sum(abs(math.fsum(s * m for s, m in zip(f, means, strict=True))) >= observed - 1e-9 for f in flips) / 2 ** len(means)


def ids(count: int) -> list[str]:
    return [f"q{i}" for i in range(count)]


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.3], 1.0),
        ([0.3, 0.2], 0.5),
        ([0.1, 0.1, 0.1], 0.25),
        ([0.1, 0.2, -0.3], 1.0),  # a difference of nothing
        ([0.3, 0.2, -0.1], 0.5),  # +++, ++-, and their mirror images
        ([0.5] * 8, 2 / 256),
        ([0.0] * 5, 1.0),
    ],
)
def test_exact_p_values_by_hand(differences: list[float], p: float) -> None:
    found = paired_test(differences, [0.0] * len(differences), ids(len(differences)))
    assert found.p == pytest.approx(p, abs=1e-12)
    assert (found.units, found.resamples, found.exact) == (len(differences), 2 ** len(differences), True)
    assert found.difference == pytest.approx(sum(differences) / len(differences))


@pytest.mark.parametrize("units", [2, 7, 13, 300])
def test_scipy_finds_the_same(units: int) -> None:
    from scipy.stats import permutation_test  # type: ignore[import-untyped]

    differences = np.random.default_rng(units).normal(0.1, 1, size=units)

    def size_of_mean(sample: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(sample.mean(axis))  # type: ignore[no-any-return]

    scipys = permutation_test(
        (differences,), size_of_mean, permutation_type="samples", n_resamples=RESAMPLES, batch=1000, alternative="greater", rng=0
    )
    ours = paired_test(differences, np.zeros(units), ids(units))
    assert ours.p == pytest.approx(scipys.pvalue, abs=1e-12 if ours.exact else 0.02)
    assert ours.exact == (units < 300)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_small_cases_are_enumerated(tenths: list[int]) -> None:
    """With many ties, which rounding must not break."""
    differences = [t / 30 for t in tenths]
    assert paired_test(differences, [0.0] * len(tenths), ids(len(tenths))).p == pytest.approx(enumerated(differences), abs=1e-12)


def test_a_question_counts_once_however_many_languages_it_has() -> None:
    """Ten languages of each of three questions are three units: p cannot be below 2 / 2^3."""
    units = [q for q in ids(3) for _ in range(10)]
    found = paired_test([0.9] * 30, [0.1] * 30, units)
    assert (found.units, found.p) == (3, 0.25)
    # One question in nine languages, the other in one: their means count the same.
    uneven = paired_test([0.1] * 9 + [0.5], [0.0] * 10, ["a"] * 9 + ["b"])
    assert uneven.difference == pytest.approx(0.3)


def test_from_14_units_on_swaps_are_drawn() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(0.3, 1, size=14)
    found = paired_test(differences, np.zeros(14), ids(14), seed=1)
    assert (found.exact, found.resamples) == (False, RESAMPLES)
    assert found.p == pytest.approx(enumerated(list(differences)), abs=0.02)
    assert found == paired_test(differences, np.zeros(14), ids(14), seed=1)
    assert found.p != paired_test(differences, np.zeros(14), ids(14), seed=2).p
    clear = paired_test(np.ones(100), np.zeros(100), ids(100))
    assert clear.p == 1 / (1 + RESAMPLES)  # never 0: the data as it is counts too


def test_sign_order_and_scale_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    run, baseline = rng.random((2, 600))
    units = [f"q{i % 200}" for i in range(600)]
    found = paired_test(run, baseline, units)
    mirrored = paired_test(baseline, run, units)
    assert (mirrored.p, mirrored.difference) == (found.p, -found.difference)
    order = rng.permutation(600)
    shuffled = paired_test(run[order], baseline[order], [units[i] for i in order])
    assert shuffled.p == found.p
    assert shuffled.difference == pytest.approx(found.difference, abs=1e-15)
    assert paired_test(run / 4 + 0.3, baseline / 4 + 0.3, units).p == found.p


def test_p_is_uniform_when_there_is_no_difference() -> None:
    """Kolmogorov-Smirnov over 300 simulated comparisons; and a real difference is found nearly always."""
    from scipy.stats import kstest

    rng = np.random.default_rng(7)
    draws = [paired_test(*rng.random((2, 10)), ids(10)).p for _ in range(300)]
    assert kstest(draws, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(draws) <= 0.05) < 0.085
    found = [paired_test(rng.normal(0.5, 0.3, 13), rng.normal(0, 0.3, 13), ids(13)).p for _ in range(30)]
    assert np.mean(np.array(found) < 0.05) > 0.9


def test_nothing_to_test_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to test"):
        paired_test([], [], [])


# -- correlations ------------------------------------------------------------------------------------------------------


def swapped_r(a: np.ndarray, b: np.ndarray, gold: np.ndarray, tracks: np.ndarray, swap: np.ndarray) -> float:
    """Mean over tracks of the difference in r, after swapping standardised predictions: as defined, without algebra."""
    found = []
    for track in np.unique(tracks):
        rows = tracks == track
        za, zb = ((x[rows] - x[rows].mean()) / x[rows].std() for x in (a, b))
        ours, theirs = np.where(swap[rows], zb, za), np.where(swap[rows], za, zb)
        found.append(np.corrcoef(ours, gold[rows])[0, 1] - np.corrcoef(theirs, gold[rows])[0, 1])
    return float(np.mean(found))


def pairs(seed: int, per_track: Sequence[int], noise: tuple[float, float]) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    tracks = np.repeat(np.arange(len(per_track)), per_track)
    gold = rng.random(len(tracks))
    ours, theirs = (gold + rng.normal(0, s, len(tracks)) for s in noise)
    return ours, theirs, gold, tracks


@pytest.mark.parametrize("shared", [False, True])
def test_correlations_agree_with_the_definition(shared: bool) -> None:
    """All 2^n swaps, each computed by np.corrcoef; with ``shared``, a pair occurs in two tracks and is swapped in both."""
    ours, theirs, gold, tracks = pairs(1, [5, 5], (0.3, 0.8))
    units = [f"p{i % 5 if shared else i}" for i in range(10)]
    number = 5 if shared else 10
    observed = swapped_r(ours, theirs, gold, tracks, np.zeros(10, dtype=bool))
    extreme = 0
    for swap in itertools.product([False, True], repeat=number):
        of_pair = np.array([swap[i % number] for i in range(10)])
        extreme += abs(swapped_r(ours, theirs, gold, tracks, of_pair)) >= abs(observed) - 1e-9
    found = paired_pearson_test(ours, theirs, gold, tracks, units)
    assert found.difference == pytest.approx(observed, abs=1e-12)
    assert found.p == pytest.approx(extreme / 2**number)
    assert (found.units, found.exact) == (number, True)


def test_correlations_do_not_depend_on_scale_order_or_sides() -> None:
    ours, theirs, gold, tracks = pairs(2, [40, 60, 25], (0.3, 0.35))
    units = ids(len(gold))
    found = paired_pearson_test(ours, theirs, gold, tracks, units)
    stretched = np.where(tracks == 1, 0.2 * ours + 0.7, 3 * ours - 1)  # each track in its own way
    assert paired_pearson_test(stretched, theirs * 9 + 4, gold * 5, tracks, units).p == found.p
    mirrored = paired_pearson_test(theirs, ours, gold, tracks, units)
    assert (mirrored.p, mirrored.difference) == (found.p, pytest.approx(-found.difference, abs=1e-15))
    order = np.random.default_rng(0).permutation(len(gold))
    shuffled = paired_pearson_test(*(x[order] for x in (ours, theirs, gold, tracks)), [units[i] for i in order])  # type: ignore[arg-type]
    assert shuffled.p == found.p
    assert paired_pearson_test(ours, ours * 2 + 1, gold, tracks, units).p == 1


def test_correlations_p_is_uniform_when_there_is_no_difference() -> None:
    from scipy.stats import kstest

    draws = []
    for seed in range(200):
        ours, theirs, gold, tracks = pairs(seed + 100, [10], (0.5, 0.5))
        draws.append(paired_pearson_test(ours, theirs, gold, tracks, ids(10)).p)
    assert kstest(draws, "uniform").pvalue > 0.01
    ours, theirs, gold, tracks = pairs(3, [250, 250], (0.2, 0.6))
    assert paired_pearson_test(ours, theirs, gold, tracks, ids(500)).p == 1 / (1 + RESAMPLES)


def test_tracks_without_a_correlation_are_left_out() -> None:
    ours, theirs, gold, tracks = pairs(5, [8, 4, 1], (0.3, 0.5))
    ours[tracks == 1] = 0.5
    found = paired_pearson_test(ours, theirs, gold, tracks, ids(13))
    alone = paired_pearson_test(ours[:8], theirs[:8], gold[:8], tracks[:8], ids(8))
    assert found == alone
    with pytest.raises(ValueError, match="no track in which"):
        paired_pearson_test(ours[8:], theirs[8:], gold[8:], tracks[8:], ids(5))


def test_it_takes_seconds_at_real_size() -> None:
    """1,200 questions in 11 languages and pools of each."""
    rng = np.random.default_rng(0)
    run, baseline = rng.random((2, 1200 * 121))
    units = [f"q{i % 1200}" for i in range(len(run))]
    begin = time.monotonic()
    paired_test(run, baseline, units)
    paired_pearson_test(run[:12000], baseline[:12000], rng.random(12000), np.arange(12000) % 10, units[:12000])
    assert time.monotonic() - begin < 30


# -- folders -----------------------------------------------------------------------------------------------------------

Values = Mapping[str, Mapping[str, float]]  # question language -> question -> value


def write_run(
    path: Path,
    values: Values,
    *,
    algorithm: str = "maml",
    metric: str = "map@20",
    component: str = "map",
    fingerprint: str | None = "f" * 64,
    seen: Sequence[str] = (),
    folds: Sequence[int | None] = (0,),
    variant: str = "multi",
    per_query: bool = True,
    gold: Mapping[str, float] | None = None,
    split: str = "test",
) -> Path:
    """Write a run folder by hand; with several folds, question n is in fold n modulo their number."""
    rows: list[dict[str, Any]] = []
    everything = sorted(values)
    for k, fold in enumerate(folds):
        header = ["variant", "query_language", "candidate_languages", "query", "value", *(["gold"] if gold else [])]
        lines = ["\t".join(header)]
        for language in everything:
            pool = everything if variant == "multi" else [language]
            of_fold = {q: v for i, (q, v) in enumerate(sorted(values[language].items())) if i % len(folds) == k}
            if gold:
                mean = float(np.corrcoef(list(of_fold.values()), [gold[q] for q in of_fold])[0, 1])
            else:
                mean = sum(of_fold.values()) / len(of_fold)
            rows += [
                {
                    "metric": name,
                    "variant": variant,
                    "query_language": language,
                    "candidate_languages": pool,
                    "supervision": "few-shot" if language in seen else "zero-shot",
                    "split": split,
                    "fold": fold,
                    "value": value,
                    "n": len(of_fold),
                }
                for name, value in ((metric, mean), ("other", 0.0))
            ]
            lines += [
                "\t".join([variant, language, ",".join(pool), q, repr(v), *([repr(gold[q])] if gold else [])])
                for q, v in of_fold.items()
            ]
        place = path if len(folds) == 1 else path / f"fold-{fold}"
        place.mkdir(parents=True, exist_ok=True)
        if per_query:
            (place / ("pairs.tsv" if gold else "per-query.tsv")).write_text("\n".join(lines) + "\n", encoding="utf-8")
    results = {"schema": 1, "main_score": {"metric": metric, "value": 0.5}, "scores": rows, "timings": {}}
    (path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    manifest = {
        "schema": 1,
        "components": {"algo": {"name": algorithm}, "metric": {"name": component}},
        "data": {"name": "mini"} if fingerprint is None else {"name": "mini", "fingerprint": fingerprint},
    }
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return path


def random_values(seed: int, shift: float = 0.0, languages: Sequence[str] = ("ar", "de"), questions: int = 30) -> Values:
    """Around 0.5 + shift; the same seed gives the same noise."""
    rng = np.random.default_rng(seed)
    return {
        language: {f"q{i:02d}": float(0.5 + shift + rng.uniform(-0.2, 0.2)) for i in range(questions)} for language in languages
    }


def changed(path: Path, file: str, old: str, new: str) -> Path:
    text = (path / file).read_text(encoding="utf-8")
    assert old in text
    (path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_means_ranks_and_p_values(tmp_path: Path) -> None:
    base = write_run(tmp_path / "base", random_values(0), algorithm="zero-shot", folds=(0, 1, 2))
    better = write_run(tmp_path / "better", random_values(1, 0.2), folds=(0, 1, 2))
    same = write_run(tmp_path / "same", random_values(0), folds=(0, 1, 2))
    found = compare([str(base), str(better), str(same)])
    assert found.warnings == ()
    assert [run.label for run in found.runs] == ["base (zero-shot)", "better (maml)", "same (maml)"]
    cells = found.columns[None, "multi"]
    assert [cell.rank for cell in cells] == [2, 1, 2]
    assert len(cells[0].summary.folds) == 3
    assert cells[0].test is None
    assert cells[1].test is not None
    assert cells[2].test is not None
    assert cells[1].test.units == 30
    assert cells[1].test.p == pytest.approx(1 / 10_001)
    assert cells[1].test.difference == pytest.approx(0.2, abs=0.05)
    assert cells[2].test.p == 1
    (table,) = found.tables()
    assert table.header == ("run", "multi", "p (multi)")
    assert table.rows[0][1] == f"{cells[0].summary.shown()} (2)"
    assert [row[2] for row in table.rows] == ["baseline", "0.0001 **", "1.0000"]
    notes = "\n".join(found.footnotes())
    assert "better (maml) against base (zero-shot): multi significantly better at p < 0.01 (p = 0.0001, n = 30)" in notes
    assert "same (maml) against base (zero-shot): multi no significant difference (p = 1.0000, n = 30)" in notes
    assert "not corrected" in notes


def test_the_p_value_is_that_of_the_questions(tmp_path: Path) -> None:
    """Ten questions in two languages: means over languages, then all 1024 flips."""
    ours, theirs = random_values(3, 0.05, questions=10), random_values(4, questions=10)
    runs = [write_run(tmp_path / name, values) for name, values in (("a", theirs), ("b", ours))]
    test = compare([str(run) for run in runs]).columns[None, "multi"][1].test
    assert test is not None
    means = [sum(ours[language][q] - theirs[language][q] for language in ours) / 2 for q in ours["ar"]]
    assert test.p == pytest.approx(enumerated(means))
    assert test.difference == pytest.approx(sum(means) / 10)


def test_the_baseline_can_be_chosen(tmp_path: Path) -> None:
    a, b, c = (str(write_run(tmp_path / name, random_values(i, i / 10))) for i, name in enumerate("abc"))
    inside = compare([a, b], baseline=f"{tmp_path}/./b")
    assert [run is inside.baseline for run in inside.runs] == [False, True]
    verdict = inside.footnotes()[1]
    assert verdict.startswith("a (maml) against b (maml): multi significantly worse")
    outside = compare([a, b], baseline=c)
    assert [run.path.name for run in outside.runs] == ["c", "a", "b"]
    assert outside.runs[0] is outside.baseline
    assert [run.path.name for run in compare([a], baseline=c).runs] == ["c", "a"]


def test_few_shot_and_zero_shot_parts_are_those_of_the_trained_runs(tmp_path: Path) -> None:
    """A zero-shot baseline marks everything zero-shot, but its row has to be the mean of the same languages."""
    values = {"ar": {"q1": 0.2, "q2": 0.4}, "de": {"q1": 0.6, "q2": 0.8}}
    base = write_run(tmp_path / "base", values, algorithm="zero-shot")
    trained = write_run(tmp_path / "trained", values, seen=["ar"])
    found = compare([str(base), str(trained)])
    assert found.warnings == ()
    for cells in (found.columns["few-shot", "multi"], found.columns["zero-shot", "multi"]):
        assert cells[0].summary == cells[1].summary
    assert found.columns["few-shot", "multi"][0].summary.mean == pytest.approx(0.3)
    assert found.columns["zero-shot", "multi"][0].summary.mean == pytest.approx(0.7)
    assert found.tables()[1].header == ("run", "multi few-shot", "multi zero-shot")
    assert found.tables()[1].rows[0] == ("base (zero-shot)", "30.0 (1)", "70.0 (1)")


def test_runs_that_saw_different_languages_share_only_a_part(tmp_path: Path) -> None:
    values = random_values(0, languages=("ar", "de", "el"))
    a = write_run(tmp_path / "a", values, seen=["ar", "de"])
    b = write_run(tmp_path / "b", values, seen=["ar"])
    found = compare([str(a), str(b)])
    assert any("trained on different languages" in warning for warning in found.warnings)
    few = found.columns["few-shot", "multi"][1].summary.mean
    assert few == pytest.approx(np.mean(list(values["ar"].values())))


def test_one_degree_only_needs_no_second_table(tmp_path: Path) -> None:
    a, b = (str(write_run(tmp_path / name, random_values(0), seen=["ar", "de"])) for name in "ab")
    assert len(compare([a, b]).tables()) == 1


def test_only_common_questions_are_tested(tmp_path: Path) -> None:
    full = random_values(1, questions=12)
    part = {language: {q: v for q, v in of.items() if q > "q03"} for language, of in random_values(2, 0.1, questions=12).items()}
    found = compare([str(write_run(tmp_path / "a", full)), str(write_run(tmp_path / "b", part))])
    test = found.columns[None, "multi"][1].test
    assert test is not None
    assert test.units == 8
    assert any("on the 8 of 12 questions that both have" in warning for warning in found.warnings)


def test_what_makes_runs_less_comparable_is_told(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", random_values(0))
    b = write_run(tmp_path / "b", random_values(0), fingerprint="e" * 64, folds=(0, 1))
    c = write_run(tmp_path / "c", random_values(0, languages=("ar",)), fingerprint=None, folds=(None,), split="all")
    told = "\n".join(compare([str(a), str(b), str(c)]).warnings)
    assert "fingerprints eeeeeeeeeeee of b (maml) and ffffffffffff of a (maml)" in told
    assert "unknown of c (maml)" in told
    assert "b (maml) has 0, 1, a (maml) has 0" in told
    assert "c (maml) has none, a (maml) has 0" in told
    assert "splits differ" in told
    assert "scored in different languages" in told
    assert "no questions in common" in told  # the pool of c is another


def test_without_single_questions_there_is_a_row_but_no_p(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", random_values(0))
    b = write_run(tmp_path / "b", random_values(1), per_query=False)
    found = compare([str(a), str(b)])
    assert found.tables()[0].rows[1][2] == "-"
    assert found.footnotes() == []
    assert found.warnings == (f"{b}/per-query.tsv: not there, so b (maml) cannot be tested for significance",)
    assert compare([str(b), str(a)]).tables()[0].rows[1][2] == "-"


def test_variants_that_one_run_lacks(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", random_values(0))
    b = write_run(tmp_path / "b", random_values(0), variant="mono")
    found = compare([str(a), str(b)])
    assert found.tables()[0].header == ("run", "multi", "p (multi)", "mono", "p (mono)")
    assert found.tables()[0].rows[1][1:3] == ("-", "-")
    assert found.columns[None, "multi"][1].rank is None
    assert not found.warnings


def test_labels_tell_runs_of_one_name_apart(tmp_path: Path) -> None:
    paths = [str(write_run(tmp_path / name / "run", random_values(0))) for name in "ab"]
    assert [run.label for run in compare(paths).runs] == [f"{path} (maml)" for path in paths]


def pair_runs(tmp_path: Path, **changes: Any) -> list[str]:
    rng = np.random.default_rng(0)
    gold = {f"p{i:02d}": float(g) for i, g in enumerate(rng.random(24))}
    paths = []
    for name, noise in (("a", 0.6), ("b", 0.05)):
        values = {"en": {q: float(g + rng.normal(0, noise)) for q, g in gold.items()}}
        options: dict[str, Any] = {"metric": "pearson", "component": "none", "variant": "mono", "gold": gold, "folds": (0, 1)}
        paths.append(str(write_run(tmp_path / name, values, **{**options, **(changes if name == "b" else {})})))
    return paths


def test_sentence_pairs(tmp_path: Path) -> None:
    found = compare(pair_runs(tmp_path))
    cells = found.columns[None, "mono"]
    assert cells[1].test is not None
    assert cells[1].test.units == 24
    assert cells[1].test.p < 0.01
    # One track per fold, as in results.json.
    assert cells[1].test.difference == pytest.approx(cells[1].summary.mean - cells[0].summary.mean)
    assert "sentence pair" in found.footnotes()[0]
    assert "metric pearson is not installed" in found.warnings[0]


def test_pairs_of_other_gold_scores_are_not_tested(tmp_path: Path) -> None:
    other = {f"p{i:02d}": float(g) for i, g in enumerate(np.random.default_rng(9).random(24))}
    found = compare(pair_runs(tmp_path, gold=other))
    assert found.columns[None, "mono"][1].test is None
    assert any("different gold scores" in warning for warning in found.warnings)


# -- what is wrong with the input --------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "a", random_values(0)), write_run(tmp_path / "b", random_values(1))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("results.json", "{", "[", r"b/results.json: not JSON"),
        ("results.json", '"schema": 1', '"schema": 2', r"b/results.json: schema is 2, expected 1"),
        ("results.json", '"metric": "map@20", "value": 0.5', '"value": 0.5', r"main_score.metric is missing, expected the name"),
        ("results.json", '"scores": [', '"scores": 3, "others": [', r"scores is 3, expected a list"),
        ("results.json", '"scores": [{', '"scores": [1, {', r"scores\[0\]: holds 1, expected an object"),
        (
            "results.json",
            '"variant": "multi"',
            '"variant": "many"',
            r"scores\[0\].variant is 'many', expected multi or bi or mono",
        ),
        ("results.json", '"n": 30', '"n": "30"', r"scores\[0\].n is '30', expected a whole number"),
        ("results.json", '"fold": 0, ', "", r"scores\[0\].fold is missing, expected a whole number or null"),
        (
            "results.json",
            '"fold": 0, "value": 0.',
            '"fold": 0, "value": NaN, "x": 0.',
            r"scores\[0\].value is nan, expected a number",
        ),
        ("results.json", '["ar", "de"]', '"ar"', r"candidate_languages is 'ar', expected a list of languages"),
        ("results.json", "zero-shot", "no-shot", r"supervision is 'no-shot', expected few-shot or zero-shot"),
        ("manifest.json", "{", "", r"b/manifest.json: not JSON"),
        ("manifest.json", '{"schema"', '[{"schema"', r"b/manifest.json: not JSON"),
        ("per-query.tsv", "query\tvalue", "query", r"per-query.tsv, line 1: .*, expected the header variant query_language"),
        ("per-query.tsv", "q00\t", "q00 ", r"per-query.tsv, line 2: 4 fields, expected 5"),
        ("per-query.tsv", "q00\t0", "q00\tx", r"per-query.tsv, line 2: 'x.*', expected a number"),
        ("per-query.tsv", "q00\t0.", "q00\tinf\n", r"per-query.tsv, line 2: 'inf', expected a number"),
        ("per-query.tsv", "q01", "q00", r"per-query.tsv, line 3: 'q00' of ar was there before; expected once"),
        ("per-query.tsv", "multi\tar\tar,de\tq00", "\nmulti\tar\tar,de\tq00", r"line 2: 1 fields, expected 5"),
    ],
)
def test_broken_files_are_named(two: tuple[Path, Path], file: str, old: str, new: str, message: str) -> None:
    changed(two[1], file, old, new)
    with pytest.raises(DataError, match=message):
        compare([str(path) for path in two])


def test_files_that_are_not_utf8_or_not_there(two: tuple[Path, Path]) -> None:
    (two[1] / "per-query.tsv").write_bytes(b"variant\xff")
    with pytest.raises(DataError, match=r"per-query.tsv: not UTF-8: .* at byte 7"):
        compare([str(path) for path in two])
    (two[1] / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"manifest.json: cannot be read: No such file"):
        compare([str(path) for path in two])


def test_ids_may_hold_anything_but_tabs_and_newlines(tmp_path: Path) -> None:
    values = {"ar": {"a\u2028b": 0.1, '"quoted': 0.5, "": 0.3, "c\rd": 0.4, "\ud800": 0.2}}
    runs = []
    for name in "ab":
        path = write_run(tmp_path / name, values, per_query=False)
        lines = [f"multi\tar\tar\t{q}\t{v!r}" for q, v in values["ar"].items()]
        text = "\n".join(["variant\tquery_language\tcandidate_languages\tquery\tvalue", *lines, ""])
        (path / "per-query.tsv").write_bytes(text.encode("utf-8", errors="surrogatepass"))
        runs.append(str(path))
    test = compare(runs).columns[None, "multi"][1].test
    assert test is not None
    assert test.units == 5


def test_usage_errors(two: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = map(str, two)
    other = str(write_run(tmp_path / "other", random_values(0), metric="ndcg@10"))
    (tmp_path / "empty").mkdir()
    for words, message in (
        ((["nowhere", a],), "nowhere: no such folder; expected a run folder"),
        (([a, str(tmp_path / "empty")],), "holds no results.json; expected the folder of a run that has ended"),
        (([a, f"{a}/"],), "given twice"),
        (([a],), "1 run given; expected two or more"),
        (([a], a), "1 run given; expected two or more"),
        (([a, other],), r"main metric is ndcg@10, but .*a has map@20; expected the same"),
        (([a, b], None, -1), "--seed -1: expected 0 or more"),
        (([a, "~no-such-user/x"],), "no such user"),
    ):
        with pytest.raises(ConfigError, match=message):
            compare(*words)


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_draws_tables_and_footnotes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write_run(tmp_path / "run[ar]", random_values(0), seen=["ar"])
    b = write_run(tmp_path / "b", random_values(1, 0.2), seen=["ar"], fingerprint="e" * 64)
    compare_command.compare([str(a), str(b)], None, 0, False)
    shown = capsys.readouterr()
    assert "run[ar] (maml)" in shown.out
    assert "multi few-shot" in shown.out
    assert "significantly better at p < 0.01" in shown.out
    assert shown.err.startswith("warning: ")
    assert "fingerprints" in shown.err


def test_the_command_prints_json(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    compare_command.compare([str(path) for path in two], str(two[1]), 3, True)
    content = json.loads(capsys.readouterr().out)
    assert content["baseline"] == str(two[1])
    assert (content["metric"], content["seed"], content["warnings"]) == ("map@20", 3, [])
    first, second = (run["scores"]["all"]["multi"] for run in content["runs"])
    assert second["test"] is None
    assert set(first["test"]) == {"difference", "p", "units", "resamples", "exact", "significant_at"}
    assert first["test"]["units"] == 30
    assert sorted([first["rank"], second["rank"]]) == [1, 2]


def test_comparing_does_not_import_torch(two: tuple[Path, Path]) -> None:
    code = (
        "import sys\n"
        "from metasearch.cli import compare_command\n"
        f"compare_command.compare({[str(path) for path in two]!r}, None, 0, True)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ranks_within_groups() -> None:
    ranks = ranks_within(np.array([3.0, 1.0, 9.0, 9.0, 5.0]), ["a", "a", "b", "b", "b"])
    assert ranks.tolist() == [2.0, 1.0, 2.5, 2.5, 1.0]
