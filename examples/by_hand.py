"""Train without the command: every component made by hand, in the order in which a run uses them.

    python examples/by_hand.py [MODEL]

MODEL is any SentenceTransformer folder or hub name; the default is the built-in encoder (a few minutes on two cores at most).
"""

from __future__ import annotations

import sys

import torch

from metasearch.algorithm import Learner, Trainer, TrainingPlan
from metasearch.core import Encoder
from metasearch.dataset import Split, make_splits
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch.evaluation import score_corpus
from metasearch.registry import registry


def main(model: str = "builtin:multilingual-e5-small") -> None:
    torch.manual_seed(0)

    # Data: questions and candidates in three languages, split by article. English and Turkish will not be trained on.
    corpus = registry.create("data", "mini", languages=["de", "el", "tr"]).load()
    [split] = make_splits(corpus, fold=0, seed=0)
    print(f"{len(split.train.questions)} questions to train on, {len(split.test.questions)} to test")

    # Episodes: support X, then Y, then Z; the same seed gives the same tasks.
    mode = parse_mode("de_de -> de_el -> de_{de,el}")
    sampler = registry.create("sampler", "random", support_size=4, query_size=2, num_negatives=2)
    stream = EpisodeStream(split.train, mode.arrangement("train"), sampler, seed=0, phase="train")

    # The encoder as a model that scores and as a function of its parameters; the loss; the algorithm.
    encoder = registry.create("encoder", "triplet", model=model, max_candidate_length=64)
    loss = registry.create("loss", "triplet", margin=1.0)
    algorithm = registry.create("algo", "maml-align", inner_steps=2, outer_lr=2e-5, meta_batch_size=2)

    before = score(encoder, split, seen=())
    algorithm.start(Learner(encoder, loss))
    plan = TrainingPlan(train_tasks=6, valid_tasks=0, epochs=1, patience=None, eval_every=None)
    trainer = Trainer(algorithm, {"train": stream}, plan, None, lambda step: print(f"loss {step['loss']:.4f}"), lambda _: None)
    trainer.run()
    after = score(encoder, split, seen=("de", "el"))

    for language, degree in after:
        print(f"{language} ({degree}): {100 * before[language, 'zero-shot']:.1f} -> {100 * after[language, degree]:.1f}")


def score(encoder: Encoder, split: Split, seen: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """mAP@20 in the pool of all languages, by the question's language and whether it was trained on."""
    scored = score_corpus(encoder, split.test, registry.create("metric", "map"), ("multi",), seen=seen)
    return {(row.query_language, row.supervision): row.value for row in scored.rows if row.metric == "map@20"}


if __name__ == "__main__":
    main(*sys.argv[1:])
