"""Centring: its modules against closed forms, and the runs that make them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

import metasearch
from metasearch.config import compose
from metasearch.core import CANDIDATE, QUERY, AnyCorpus
from metasearch.dataset.splits import make_splits
from metasearch.errors import ConfigError, DataError
from metasearch.estimate import estimate
from metasearch.runner import resume
from metasearch.testing.tiny import tiny_learner
from metasearch_plugins.algorithms.centre import Centre, centring, fit_gates, means_of, projection, recognised
from metasearch_plugins.algorithms.fine_tune import FineTune
from metasearch_plugins.datasets.mini import Mini
from metasearch_plugins.encoders.triplet import TripletEncoder
from tests.conftest import Cli

LANGUAGES = "data.languages=[ar,de,el]"
SMALL = (LANGUAGES, "eval.variants=[multi]", "device=cpu")


def bunches(scale: float = 1.0, size: int = 40, dimension: int = 16) -> list[np.ndarray]:
    """Embeddings of three groups that lie apart."""
    rng = np.random.default_rng(0)
    centres = scale * rng.normal(size=(3, dimension))
    return [centre + 0.2 * scale * rng.normal(size=(size + 10 * i, dimension)) for i, centre in enumerate(centres)]


def through(modules: list[Any], rows: np.ndarray) -> np.ndarray:
    """What the modules make of embeddings, in float32 as a model does."""
    features = {"sentence_embedding": torch.tensor(rows, dtype=torch.float32)}
    with torch.no_grad():
        for module in modules:
            features = module.float()(features)
    found: np.ndarray = features["sentence_embedding"].numpy()
    return found


# -- the modules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_each_group_loses_its_own_mean(scale: float) -> None:
    groups = bunches(scale)
    modules = centring(groups)
    assert recognised(groups) == 1.0
    for rows, mean in zip(groups, means_of(groups), strict=True):
        np.testing.assert_allclose(through(modules, rows), rows - mean, atol=1e-4 * scale)
    assert [type(module.activation_function).__name__ for module in modules] == ["Tanh", "Identity"]
    assert modules[0].out_features == modules[1].in_features == 16 + 3


def test_where_no_gate_opens_the_mean_of_all_is_subtracted() -> None:
    groups = bunches()
    weight, bias = fit_gates(groups)
    middle = means_of(groups).mean(0)
    lost = middle - np.linalg.pinv(weight) @ (weight @ middle + bias + 1.0)  # every decision value is -1
    np.testing.assert_allclose(weight @ lost + bias, -1.0)
    np.testing.assert_allclose(through(centring(groups), lost[None]), [lost - middle], atol=1e-4)


def test_gates_find_the_minimum_that_scikit_learn_finds() -> None:
    from sklearn.linear_model import LogisticRegression

    groups = bunches()
    rows = np.concatenate(groups)
    spread = (rows - rows.mean(0)).std()
    inputs = np.c_[(rows - rows.mean(0)) / spread, np.ones(len(rows))]
    weight, bias = fit_gates(groups)
    for number, own in enumerate(np.repeat(np.eye(3, dtype=bool), [len(g) for g in groups], axis=0).T):
        reference = LogisticRegression(C=10.0, fit_intercept=False, tol=1e-10, max_iter=1000).fit(inputs, own)
        np.testing.assert_allclose(rows @ weight[number] + bias[number], inputs @ reference.coef_[0], atol=0.02)


def test_recognition_is_measured_on_texts_that_the_gates_did_not_see() -> None:
    rng = np.random.default_rng(1)
    noise = [rng.normal(size=(50, 64)) for _ in range(4)]  # nothing to recognise: 1 gate right in 2^4 by chance
    assert recognised(noise) < 0.35
    assert 0 <= recognised([rows[:1] for rows in noise]) <= 1  # a language with one text


def test_components_are_directions_between_means() -> None:
    groups = bunches()
    means = means_of(groups)
    middle = means.mean(0)
    for module, left in ((projection(means, 2), 0), (projection(means, 1), 1)):
        assert np.linalg.matrix_rank(through([module], means), tol=1e-4) == left
    first = np.linalg.eigh(np.cov(means.T))[1][:, -1]
    expected = (groups[0] - middle) - np.outer((groups[0] - middle) @ first, first)
    np.testing.assert_allclose(through([projection(means, 1)], groups[0]), expected, atol=1e-4)


def test_one_group_alone_is_centred_either_way() -> None:
    rows = bunches()[0]
    for modules in (centring([rows]), [projection(means_of([rows]), 0)]):
        np.testing.assert_allclose(through(modules, rows), rows - rows.mean(0), atol=1e-4)


# -- an encoder ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"remove": "components"}, {"remove": "components", "components": 2}])
def test_undo_leaves_no_trace(tiny_model: Path, options: dict[str, Any]) -> None:
    encoder = TripletEncoder(str(tiny_model))
    corpus = make_splits(Mini(["ar", "de"]).load(), 0)[0].train
    texts = corpus.texts[CANDIDATE][:20]
    before, parameters, modules = encoder.encode(texts, CANDIDATE), list(encoder.parameters()), len(encoder.model)
    algorithm = Centre(**options)
    algorithm.check(encoder, tiny_learner().loss)
    algorithm.undo()  # nothing has been done yet
    algorithm.start(metasearch.algorithm.Learner(encoder, tiny_learner().loss))
    found = algorithm.finish(corpus)
    assert found.get("components", 2.0 if options else 0.0) == (options.get("components", 3) if options else 0)
    after = encoder.encode(texts, CANDIDATE)
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    assert list(encoder.parameters()) == parameters  # what was appended is fixed
    algorithm.undo()
    assert len(encoder.model) == modules
    np.testing.assert_array_equal(encoder.encode(texts, CANDIDATE), before)


def test_other_encoders_are_refused() -> None:
    learner = tiny_learner()
    with pytest.raises(ConfigError, match="algo=centre: .* TinyEncoder"):
        Centre().check(learner.encoder, learner.loss)


# -- runs ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_folds(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> metasearch.RunResult:
    out = tmp_path_factory.mktemp("centre") / "r"
    return metasearch.run("algo=centre", "data.fold=all", f"encoder.model={tiny_model}", *SMALL, f"out={out}")


def test_the_command_makes_a_plain_model(cli: Cli, tiny_model: Path, tmp_path: Path, all_folds: metasearch.RunResult) -> None:
    """It embeds as the closed form says, and fold 3 alone is fold 3 of all: each starts from the encoder as it was."""
    done = cli("run", "algo=centre", "data=mini", "data.fold=3", f"encoder.model={tiny_model}", *SMALL, "out=alone")
    assert done.returncode == 0, done.stderr
    assert "recognised 0." in done.stderr
    assert "multi before" in done.stdout
    found = json.loads((tmp_path / "alone" / "results.json").read_text(encoding="utf-8"))
    of_fold = [[row.to_json() for row in rows if row.fold == 3] for rows in (all_folds.rows, all_folds.before)]
    assert [found["scores"], found["baseline_scores"]] == of_fold

    base, model = TripletEncoder(str(tiny_model)), SentenceTransformer(str(tmp_path / "alone" / "model"), device="cpu")
    split = make_splits(Mini(["ar", "de", "el"]).load(), 3)[0]
    texts = {
        (language, side): list(dict.fromkeys(item.text for item in items if item.language == language))
        for language in split.train.languages
        for side, items in ((CANDIDATE, split.train.candidates), (QUERY, split.train.questions))
    }
    groups = {place: base.encode(of_place, place[1]).astype(np.float64) for place, of_place in sorted(texts.items())}
    weight, bias = fit_gates(list(groups.values()))
    checked = 0
    for number, ((_, side), rows) in enumerate(groups.items()):
        encode = model.encode_query if side == QUERY else model.encode_document
        values = rows @ weight.T + bias
        clear = np.abs(values).min(1) > 0.02
        own = clear & ((values > 0) == np.eye(len(groups), dtype=bool)[number]).all(1)
        centred = (rows - rows.mean(0))[own]
        expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        np.testing.assert_allclose(encode(list(texts[sorted(texts)[number]]))[own], expected, atol=1e-4)
        checked += int(own.sum())
    assert checked > 100


def test_all_folds(all_folds: metasearch.RunResult) -> None:
    assert all_folds.path is not None
    assert {row.supervision for row in (*all_folds.rows, *all_folds.before)} == {"zero-shot"}
    assert len(list(all_folds.path.glob("fold-*/model/4_Dense"))) == 5
    assert not list(all_folds.path.glob("fold-*/model/6_*"))
    assert json.loads((all_folds.path / "manifest.json").read_text(encoding="utf-8"))["languages_seen"] == []
    progress = json.loads((all_folds.path / "fold-0" / "checkpoints" / "progress.json").read_text(encoding="utf-8"))
    assert progress["step"] == 0
    assert 0 < progress["finish"]["recognised"] <= 1
    card = (all_folds.path / "fold-0" / "model" / "README.md").read_text(encoding="utf-8")
    assert "Libovický" in card
    # Evaluated, every fold's model gives the scores that the run found.
    again = metasearch.evaluate(str(all_folds.path))
    for a, b in zip(again.rows, all_folds.rows, strict=True):
        assert (a.fold, a.query_language, a.supervision) == (b.fold, b.query_language, b.supervision)
        assert a.value == pytest.approx(b.value, abs=1e-3)


def test_a_killed_run_ends_as_if_it_had_not_been(all_folds: metasearch.RunResult, tmp_path: Path) -> None:
    assert all_folds.path is not None
    folder = shutil.copytree(all_folds.path, tmp_path / "r")
    (folder / "results.json").unlink()
    for fold in (1, 4):
        shutil.rmtree(folder / f"fold-{fold}")
    assert resume(folder).rows == all_folds.rows


def test_on_top_of_a_trained_model(tiny_model: Path, tmp_path: Path) -> None:
    """And what finish is promised: the training split, once a fold, of a run that takes steps."""
    told: list[AnyCorpus] = []

    class Finished(FineTune):
        def finish(self, corpus: AnyCorpus) -> dict[str, float]:
            told.append(corpus)
            return {"answer": 42.0}

    steps = ("train.epochs=1", "train.tasks=4", "valid.tasks=0", "eval.baseline=false", "mode=ar_ar -> ar_de", *SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTune, "finish", Finished.finish)
        metasearch.run("algo=fine-tune", "algo.outer_lr=1e-3", f"encoder.model={tiny_model}", *steps, f"out={tmp_path / 'a'}")
    assert told == [make_splits(Mini(["ar", "de", "el"]).load(), 0)[0].train]
    assert json.loads((tmp_path / "a" / "checkpoints" / "progress.json").read_text())["finish"] == {"answer": 42.0}
    words = ("algo=centre", "algo.remove=components", f"encoder.model={tmp_path / 'a' / 'model'}", *SMALL)
    result = metasearch.run(*words, f"out={tmp_path / 'b'}")
    trained = json.loads((tmp_path / "a" / "results.json").read_text(encoding="utf-8"))
    assert [row.value for row in result.before] == pytest.approx([row["value"] for row in trained["scores"]], abs=1e-6)
    assert result.path is not None
    assert (result.path / "model" / "3_Dense").is_dir()


def test_sentence_pairs(tiny_model: Path, tmp_path: Path) -> None:
    words = ("algo=centre", "data=mini-sts", "data.languages=[ar,en]", f"encoder.model={tiny_model}", "device=cpu")
    result = metasearch.run(*words, f"out={tmp_path / 'r'}")
    assert result.by_track
    assert [r.value for r in result.rows] != [r.value for r in result.before]
    model = SentenceTransformer(str(tmp_path / "r" / "model"), device="cpu")
    assert model[3].out_features == 32 + 2  # a gate per language: both sentences are queries


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data.fold=none",), "algo=centre: data.fold=none leaves nothing to train on"),
        (("encoder=bm25",), "encoder=bm25 has nothing to train"),
        (("algo.remove=mean",), "did you mean means|means"),
        (("algo.components=0",), "algo.components"),
        (("precision=bfloat16",), "precision=bfloat16: algo=centre subtracts"),
    ],
)
def test_what_does_not_fit_is_refused(tiny_model: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    model = () if "encoder=bm25" in words else (f"encoder.model={tiny_model}",)
    with pytest.raises(ConfigError, match=said):
        metasearch.run("algo=centre", *words, *model, *SMALL, f"out={tmp_path / 'r'}")
    assert not (tmp_path / "r").exists()


def test_data_without_a_training_part_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for part in ("train", "test"):  # what is in both is tested, not trained on
        (folder / f"{part}.csv").write_text("anchor,positive\nwhich one,this one\nwhich two,that two\n", encoding="utf-8")
    words = ("algo=centre", "data=pairs", f"data.path={folder}", f"encoder.model={tiny_model}", "device=cpu")
    with pytest.raises(DataError, match="training part is empty"):
        metasearch.run(*words, f"out={tmp_path / 'r'}")
    assert not (tmp_path / "r").exists()


def test_the_estimate_counts_no_steps(tiny_model: Path) -> None:
    found = estimate(compose("algo=centre", f"encoder.model={tiny_model}", *SMALL))
    assert found is not None
    assert found.meta_batches == 0
    assert found.training > 0
