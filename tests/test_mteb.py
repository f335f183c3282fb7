"""mteb scores our models: by its own code, to the same values as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metasearch
from metasearch.registry import registry

pytestmark = pytest.mark.filterwarnings("ignore")  # mteb's own


@pytest.fixture(scope="module")
def mteb() -> Any:
    return pytest.importorskip("mteb", reason="needs mteb: pip install 'metasearch[mteb]'")


def mini_task(mteb: Any) -> Any:
    """The mini corpus in two languages as a retrieval task: one pool, one query set per language."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    corpus = registry.create("data", "mini", languages=["ar", "de"]).load()

    class Mini(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="MiniMultilingual",
            description="The mini corpus.",
            reference=None,
            dataset={"path": "none", "revision": "1"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs={"ar": ["ara-Arab"], "de": ["deu-Latn"]},
            main_score="map_at_20",
            date=("2026-01-01", "2026-11-01"),
            domains=[],
            task_subtypes=[],
            license="cc-by-4.0",
            annotations_creators="derived",
            dialect=[],
            sample_creation="created",
            bibtex_citation="",
            modalities=["text"],
        )

        def load_data(self, **kwargs: Any) -> None:
            if self.data_loaded:
                return
            pool = Dataset.from_list([{"id": c.id, "title": "", "text": c.text} for c in corpus.candidates])
            self.dataset = {}
            for language in ("ar", "de"):
                asked = [q for q in corpus.questions if q.language == language]
                self.dataset[language] = {
                    "test": {
                        "corpus": pool,
                        "queries": Dataset.from_list([{"id": q.id, "text": q.text} for q in asked]),
                        "relevant_docs": {q.id: dict.fromkeys(sorted(corpus.relevant[q.id]), 1) for q in asked},
                        "top_ranked": None,
                    }
                }
            self.data_loaded = True

    return Mini()


def test_mteb_gives_the_same_map(mteb: Any, tiny_model: Path) -> None:
    from metasearch.mteb import MtebEncoder

    model = MtebEncoder(str(tiny_model), words=["encoder.max_query_length=32"])
    found = mteb.evaluate(model, mini_task(mteb), cache=None, show_progress_bar=False, co2_tracker=False)
    theirs = {score["hf_subset"]: score["map_at_20"] for score in found.task_results[0].scores["test"]}
    ours = metasearch.evaluate(
        str(tiny_model), "data=mini", "data.languages=[ar,de]", "eval.variants=[multi]", "encoder.max_query_length=32"
    )
    expected = {row.query_language: row.value for row in ours.rows if row.metric == "map@20"}
    assert set(theirs) == {"ar", "de"}
    assert theirs == pytest.approx(expected, abs=2e-5)  # mteb rounds to five digits
    assert found.model_name == f"metasearch/{tiny_model.parent.name}"


def test_a_run_brings_its_settings_and_a_revision_of_its_own(mteb: Any, tiny_model: Path, tmp_path: Path) -> None:
    from metasearch.mteb import MtebEncoder

    quick = ("train.tasks=4", "valid.tasks=0", "eval.variants=[multi]", "eval.baseline=false", "algo.outer_lr=0.01")
    words = (f"encoder.model={tiny_model}", "encoder.query_prompt='ask: '", "data.languages=[ar,de]", "mode=ar_ar->ar_de")
    metasearch.run("algo=fine-tune", *words, *quick, f"out={tmp_path / 'first'}")
    run, base = MtebEncoder(str(tmp_path / "first")), MtebEncoder(str(tiny_model))
    assert run.mteb_model_meta.name == "metasearch/first"
    assert run.mteb_model_meta.revision != base.mteb_model_meta.revision
    assert run.mteb_model_meta.use_instructions
    batches = [{"text": ["wer", "wo"]}, {"text": ["was"]}]
    query, document = run.encode(batches, prompt_type="query"), run.encode(batches, prompt_type=mteb.types.PromptType.document)
    assert query.shape == (3, run.mteb_model_meta.embed_dim)
    assert not np.allclose(query, document)  # the prompt
    assert run.similarity(query, document).shape == (3, 3)
    assert run.similarity_pairwise(query, document) == pytest.approx(np.diag(run.similarity(query, document)))


def test_without_mteb_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    import sys

    from metasearch.mteb import MtebEncoder

    monkeypatch.setitem(sys.modules, "mteb.models", None)
    with pytest.raises(metasearch.MetasearchError, match=r"pip install 'metasearch\[mteb\]'"):
        MtebEncoder(str(tiny_model))
