"""Small things to test with: a model, a corpus, tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metasearch import Corpus
from metasearch.core import Candidate, PairCorpus, Question, SentencePair, Task

if TYPE_CHECKING:
    from torch import Tensor

    from metasearch.algorithm import Learner, OuterLoop

LANGUAGES = ("ar", "de", "el", "hi")


def make_tiny_model(path: Path, seed: int = 0) -> Path:
    """Write a random BERT of 2 layers and width 32 as a SentenceTransformer folder, with prompts as E5 has them."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    # Words that occur, and characters for the rest: made by hand, because a trained vocabulary differs from run to run.
    texts = [c.text for c in tiny_corpus().candidates]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words = sorted({f"▁{word}" for text in texts for word in text.split()} | {"▁query:", "▁passage:"})
    pieces = [*words[::3], "▁", *"abcdefghijklmnopqrstuvwxyz0123456789:"]
    vocabulary = [(piece, 0.0) for piece in special] + [(piece, -1.0 - i / 100) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    base = path.parent / "base"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=64,
    ).save_pretrained(base)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=1,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(base)
    (base / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}), encoding="utf-8")
    model = SentenceTransformer(
        modules=[Transformer(str(base), max_seq_length=64), Pooling(32, "mean"), Normalize()],
        prompts={"query": "query: ", "passage": "passage: "},
        device="cpu",
    )
    model.save(str(path), create_model_card=False)
    return path


def meta_gradient(algorithm: OuterLoop, learner: Learner, tasks: Sequence[Task]) -> dict[str, Tensor]:
    """The meta-gradient that a step would hand to the optimiser, dense."""
    import torch

    algorithm.start(learner)
    algorithm.optimizer.zero_grad()
    algorithm.meta_gradient(tasks)
    found = {}
    for name, p in algorithm.theta.items():
        g = torch.zeros_like(p) if p.grad is None else p.grad
        found[name] = (g.to_dense() if g.is_sparse else g).detach().clone()
        p.grad = None
    return found


def tiny_corpus(articles: int = 10, questions: int = 4, languages: tuple[str, ...] = LANGUAGES) -> Corpus:
    """A parallel corpus of made-up words: sentence n of an article answers its question n, and the last answers nothing."""
    asked: list[Question] = []
    candidates: list[Candidate] = []
    relevant: dict[str, set[str]] = {}
    for language in languages:
        for article in range(articles):
            group = f"{article:03d}"
            for n in range(questions + 1):
                words = " ".join(f"{language}{(7 * article + 3 * n + k) % 23}" for k in range(3 + n % 3))
                candidates.append(Candidate(f"{language}-{group}-{n}", language, f"{words} of {article} {n}", group))
                if n < questions:
                    question_id = f"q{group}-{n}"
                    asked.append(Question(question_id, language, f"which {words} in {article}", group))
                    relevant.setdefault(question_id, set()).add(f"{language}-{group}-{n}")
    return Corpus("tiny", tuple(asked), tuple(candidates), {i: frozenset(ids) for i, ids in relevant.items()})


def tiny_pairs(rows: int = 40, languages: tuple[str, ...] = ("ar", "de")) -> PairCorpus:
    """Parallel pairs of made-up words, in every two languages: two sentences share as many words as their score says."""
    pairs = []
    for i, one in enumerate(languages):
        for other in languages[i:]:
            for row in range(rows):
                shared = row % 5
                first = " ".join(f"{one}{(5 * row + k) % 23}" for k in range(4))
                second = " ".join(f"{other}{(5 * row + k + (0 if k < shared else 7)) % 23}" for k in range(4))
                pairs.append(SentencePair(f"{row:03d}", (one, other), first, f"{second} {row}", shared / 4, f"{row:03d}"))
    return PairCorpus("tiny pairs", tuple(pairs))
