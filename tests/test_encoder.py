"""The triplet encoder: the same embeddings as SentenceTransformer, texts once, rows of the token table."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from metasearch.core import CANDIDATE, QUERY
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch.errors import ModelError
from metasearch_plugins.encoders.sentence_encoder import length_groups
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import tiny_corpus

TEXTS = ["el1 el2", "a much longer text " * 6, "el3", "el1 el2", "ar5 ar6 ar7 of 3 2"]


@pytest.fixture
def encoder(tiny_model: Path) -> TripletEncoder:
    return TripletEncoder(str(tiny_model))


def test_encode_is_what_sentence_transformer_gives(encoder: TripletEncoder, tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(tiny_model), device="cpu")
    np.testing.assert_allclose(encoder.encode(TEXTS, QUERY), plain.encode(TEXTS, prompt="query: "), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS, CANDIDATE), plain.encode(TEXTS, prompt="passage: "), atol=1e-6)


def test_the_function_equals_the_model(encoder: TripletEncoder) -> None:
    batch = encoder.tokenize(TEXTS, CANDIDATE)
    (moved,), rows = encoder.active_rows([batch])
    assert rows is not None
    params = encoder.gather_rows(encoder.parameters(), rows)
    np.testing.assert_allclose(encoder.forward(params, moved).detach().numpy(), encoder.encode(TEXTS, CANDIDATE), atol=1e-6)


def test_identical_texts_are_encoded_once(encoder: TripletEncoder) -> None:
    stream = EpisodeStream(tiny_corpus(), parse_mode("el_el -> el_ar").train, RandomSampler(4, 2, 3), 0, "train")
    task = stream.task(0)
    prepared = encoder.prepare(task.sets)
    texts = {c.text for e in task.support.examples for c in (e.positive, *e.negatives)}
    assert len(prepared.sets[0].candidates.order) == len(texts)
    found = encoder.embed(encoder.restrict(encoder.parameters(), prepared), prepared, 0)
    assert found.question.shape == (4, 32)
    assert found.positive.shape == (4, 32)
    assert found.negatives.shape == (4, 3, 32)
    for i, example in enumerate(task.support.examples):
        expected = encoder.encode([n.text for n in example.negatives], CANDIDATE)
        np.testing.assert_allclose(found.negatives[i].detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1, 4])
def test_the_padding_row_keeps_its_number(encoder: TripletEncoder, padding: int) -> None:
    """Also where fewer rows than that are active."""
    name, _, size = encoder.table or ("", None, 0)
    encoder.table = (name, padding, size)
    batch = encoder.tokenize(["el1"], QUERY)
    (moved,), rows = encoder.active_rows([batch])
    assert rows is not None
    assert rows[padding] == padding
    assert len(set(rows.tolist())) == len(rows)
    torch.testing.assert_close(rows[moved.groups[0]["input_ids"]], batch.groups[0]["input_ids"])


def test_gradient_of_the_token_table_is_sparse_and_exact(encoder: TripletEncoder) -> None:
    batch = encoder.tokenize(["el1 el2", "el3"], QUERY)
    (moved,), rows = encoder.active_rows([batch])
    theta = encoder.parameters()
    name = encoder.table[0] if encoder.table else ""
    encoder.forward(encoder.gather_rows(theta, rows), moved).pow(3).sum().backward()
    gathered = theta[name].grad
    assert gathered is not None
    assert gathered.is_sparse
    theta[name].grad = None
    encoder.forward(theta, batch).pow(3).sum().backward()
    assert theta[name].grad is not None
    torch.testing.assert_close(gathered.to_dense(), theta[name].grad, rtol=1e-4, atol=1e-6)


def test_saved_model_gives_the_same_embeddings_without_us(encoder: TripletEncoder, tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    with torch.no_grad():
        for p in encoder.parameters().values():
            p.add_(0.01 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    encoder.save(tmp_path / "model", "# card\n")
    plain = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(plain.encode_query(TEXTS), encoder.encode(TEXTS, QUERY), atol=1e-6)
    np.testing.assert_allclose(plain.encode_document(TEXTS), encoder.encode(TEXTS, CANDIDATE), atol=1e-6)
    short = TripletEncoder(str(tiny_model), max_query_length=10, max_candidate_length=20)
    short.save(tmp_path / "short", "# card\n")
    cut = SentenceTransformer(str(tmp_path / "short"), device="cpu")
    np.testing.assert_allclose(cut.encode_document(TEXTS), short.encode(TEXTS, CANDIDATE), atol=1e-6)
    assert np.abs(cut.encode_document(TEXTS) - plain.encode_document(TEXTS)).max() > 1e-3
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "# card\n"


def test_prompts_can_be_replaced_and_lengths_hold(tiny_model: Path) -> None:
    encoder = TripletEncoder(str(tiny_model), max_query_length=6, query_prompt="", candidate_prompt="text: ")
    assert encoder.prompts == {"query": "", "candidate": "text: "}
    assert max(g["input_ids"].shape[1] for g in encoder.tokenize([TEXTS[1]], QUERY).groups) == 6
    same_start = encoder.encode([TEXTS[1], TEXTS[1] + " and more"], QUERY)
    np.testing.assert_array_equal(same_start[0], same_start[1])
    assert encoder.model.max_seq_length == 64


def test_a_model_that_does_not_normalise_is_made_to(tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(tiny_model), device="cpu")
    SentenceTransformer(modules=[plain[0], plain[1]], device="cpu").save(str(tmp_path / "m"), create_model_card=False)
    encoder = TripletEncoder(str(tmp_path / "m"))
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(TEXTS, QUERY), axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("builtin:nothing", "known: builtin:multilingual-e5-small"),
        ("./no/such/folder", "no such folder"),
        ("somebody/no-such-model", "model hub"),
    ],
)
def test_models_that_cannot_be_had(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        TripletEncoder(name)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="not a model"):
        TripletEncoder(str(tmp_path))


def test_length_groups_cost_no_more_than_any_other_cut() -> None:
    lengths = [3, 3, 4, 20, 21, 22, 90]

    def cost(slices: list[tuple[int, int]]) -> int:
        return sum((end - start) * lengths[end - 1] + 64 for start, end in slices)

    n = len(lengths)
    every = []
    for mask in range(2 ** (n - 1)):
        cuts = [0, *(i + 1 for i in range(n - 1) if mask >> i & 1), n]
        every.append(cost(list(itertools.pairwise(cuts))))
    assert cost(length_groups(lengths)) == min(every)


def test_autocast_keeps_parameters_and_gradients_in_float32(encoder: TripletEncoder) -> None:
    stream = EpisodeStream(tiny_corpus(), parse_mode("el_el -> el_ar").train, RandomSampler(3, 2, 2), 0, "train")
    prepared = encoder.prepare(stream.task(0).sets)
    exact = encoder.embed(encoder.restrict(encoder.parameters(), prepared), prepared, 0).positive
    encoder.to("cpu", "bfloat16")
    theta = encoder.parameters()
    rough = encoder.embed(encoder.restrict(theta, prepared), prepared, 0).positive
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max().item() < 0.05
    rough.sum().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in theta.values())


def test_word_vectors_can_be_scored_but_not_trained(tiny_model: Path, tmp_path: Path) -> None:
    """A model whose first module is no transformer: no limit of length, no attention."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    import metasearch

    tokenizer = SentenceTransformer(str(tiny_model), device="cpu").tokenizer.backend_tokenizer
    vectors = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 16)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu").save(
        str(tmp_path / "static")
    )
    found = metasearch.evaluate(str(tmp_path / "static"), "data=mini", "data.languages=[ar,de]", "eval.variants=[mono]")
    assert len(found.rows) == 4
    with pytest.raises(ModelError, match="begins with StaticEmbedding, no transformer"):
        metasearch.run(f"encoder.model={tmp_path / 'static'}", f"out={tmp_path / 'r'}")
    assert not (tmp_path / "r").exists()
