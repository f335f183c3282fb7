"""What is kept of training: the average with the untrained encoder, and whether dev is scored on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

import metasearch

SMALL = (
    "algo=fine-tune",
    "algo.outer_lr=1e-3",
    "mode=ar_ar -> ar_de",
    "data.languages=[ar,de]",
    "eval.variants=[multi]",
    "train.tasks=2",
    "valid.tasks=0",
    "device=cpu",
)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(SentenceTransformer(str(folder), device="cpu").named_parameters())


def trained(tmp_path: Path, model: Path, *words: str) -> tuple[metasearch.RunResult, dict[str, torch.Tensor]]:
    out = tmp_path / "-".join(words).replace(".", "")
    result = metasearch.run(*SMALL, *words, f"encoder.model={model}", f"out={out}")
    return result, weights(out / "model")


def test_base_weight_is_the_share_of_the_untrained_encoder(tiny_model: Path, tmp_path: Path) -> None:
    base = weights(tiny_model)
    _, none = trained(tmp_path, tiny_model, "train.base_weight=0")
    _, quarter = trained(tmp_path, tiny_model, "train.base_weight=0.25")
    untrained, all_of_it = trained(tmp_path, tiny_model, "train.base_weight=1")
    assert any((none[name] - base[name]).abs().max() > 1e-4 for name in base)
    for name, start in base.items():
        torch.testing.assert_close(quarter[name], 0.75 * none[name] + 0.25 * start, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(all_of_it[name], start, rtol=0, atol=0)
    assert [row.value for row in untrained.rows] == [row.value for row in untrained.before]


@pytest.mark.parametrize(
    ("words", "scored"),
    [
        (("train.keep=last", "train.patience=null", "train.eval_every=null"), False),
        (("train.keep=best", "train.patience=null", "train.eval_every=null"), True),
        (("train.keep=last", "train.patience=3", "train.eval_every=null"), True),
        (("train.keep=last", "train.patience=null", "train.eval_every=1"), True),
    ],
)
def test_dev_is_scored_where_something_comes_of_it(
    tiny_model: Path, tmp_path: Path, words: tuple[str, ...], scored: bool
) -> None:
    out = tmp_path / "run"
    metasearch.run(*SMALL, *words, f"encoder.model={tiny_model}", f"out={out}")
    records = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any("dev" in record for record in records) == scored
