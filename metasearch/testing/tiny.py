"""Small things to test plugins with: a model, corpora, tasks, a learner. Nothing is downloaded; all is the same each time."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metasearch.core import Candidate, Corpus, ExampleSet, PairCorpus, Question, SentencePair, Side, Task, TripletExample
from metasearch.registry import registry

if TYPE_CHECKING:
    import numpy as np

    from metasearch.algorithm import Learner

LANGUAGES = ("ar", "de", "el", "hi")


def make_tiny_model(path: Path, seed: int = 0) -> Path:
    """Write a random BERT of 2 layers and width 32 as a SentenceTransformer folder, with prompts as E5 has them."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    base = path.parent / "base"
    tokenizer = _tiny_tokenizer()
    tokenizer.save_pretrained(base)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config, add_pooling_layer=False).save_pretrained(base)
    (base / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}), encoding="utf-8")
    model = SentenceTransformer(
        modules=[Transformer(str(base), max_seq_length=64), Pooling(32, "mean"), Normalize()],
        prompts={"query": "query: ", "passage": "passage: "},
        device="cpu",
    )
    model.save(str(path), create_model_card=False)
    return path


def _tiny_tokenizer() -> Any:
    """Words that occur in the tiny corpus, and characters for the rest. By hand: a trained vocabulary differs from run to run."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

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
    names = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
    named = {f"{name}_token": token for name, token in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **named)


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


def tiny_task(kind: str = "triplets", sets: int = 2, index: int = 0) -> Task:
    """A meta-task of ``sets`` sets, the first of three examples, the others of two: el -> ar -> hi, or pairs of ar and de.

    Args:
        kind: ``"triplets"`` or ``"pairs"``.
        sets: how many example sets.
        index: another task for each, 0 to 4: no two of them share a question.
    """
    sizes = [3] + [2] * (sets - 1)
    starts = [8 * index + sum(sizes[:number]) for number in range(sets)]
    make = _triplets if kind == "triplets" else _pairs
    return Task(index, "train", tuple(make(start, size, n) for n, (start, size) in enumerate(zip(starts, sizes, strict=True))))


def _triplets(start: int, size: int, number: int) -> ExampleSet[Any]:
    corpus, language = tiny_corpus(), ("el", "ar", "hi", "de")[number % 4]
    ids = corpus.answerable("el", language)
    pool = corpus.candidates_of[language]
    examples = []
    for n in range(start, start + size):
        question_id = ids[n % len(ids)]
        wrong = [c for c in pool if c.id not in corpus.relevant[question_id]]
        negatives = (wrong[(7 * n) % len(wrong)], wrong[(7 * n + 13) % len(wrong)])
        positive = corpus.answers[language, question_id][0]
        question = corpus.question_texts["el", question_id]
        examples.append(TripletExample(question, positive, negatives, corpus.relevant[question_id]))
    return ExampleSet(tuple(examples), f"el_{language}")


def _pairs(start: int, size: int, number: int) -> ExampleSet[Any]:
    languages = (("ar", "ar"), ("ar", "de"), ("de", "de"))[number % 3]
    pairs = tiny_pairs().pairs_of(*languages)
    return ExampleSet(tuple(pairs[n % len(pairs)] for n in range(start, start + size)), "_".join(languages))


def tiny_embed(texts: Sequence[str], side: Side) -> np.ndarray:
    """A base encoder for samplers: a fixed direction per text and side, float32 ``(len(texts), 6)``."""
    import numpy as np

    rows = [np.random.default_rng([zlib.crc32(text.encode()), len(side)]).normal(size=6) for text in texts]
    return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32).reshape(len(texts), 6)


def tiny_learner() -> Learner:
    """A tiny encoder in float64 and the triplet loss, to test algorithms with; equal at each call."""
    from metasearch.algorithm import Learner
    from metasearch.testing.tiny_encoder import TinyEncoder

    encoder = TinyEncoder()
    encoder.to("cpu", "float64")
    return Learner(encoder, registry.create("loss", "triplet"))
