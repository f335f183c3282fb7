"""A million texts through ``metasearch index``, with each index: time per stage, memory, recall, size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from metasearch.config import compose

DIMENSION = 128
STAGES = ("count", "encode", "write", "train", "add", "save", "measure")


def main(words: list[str], rounds: int, quick: bool) -> None:
    """One million texts (20,000 with ``quick``), made of the words of ``mini``, with a static encoder of random word vectors."""
    del words, rounds
    count = 20_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        corpus, model = Path(folder) / "corpus.jsonl", Path(folder) / "model"
        write_corpus(corpus, count)
        write_model(model, corpus)
        print(f"{count} texts, {corpus.stat().st_size / 1e6:.0f} MB, {DIMENSION} dimensions\n")
        head = [
            "index",
            *(f"{stage}, s" for stage in STAGES),
            "peak memory, MB",
            "recall@20",
            "ms a query",
            "index, MB",
            "texts, MB",
        ]
        print(f"| {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) - 1)}")
        for name in ("flat", "hnsw", "ivf-pq"):
            info, peak = index(model, corpus, Path(folder) / name, name)
            print(f"| {name} | {' | '.join(cells(info, peak))} |", flush=True)


def cells(info: dict[str, Any], peak: float) -> list[str]:
    sizes = {name: file["bytes"] / 1e6 for name, file in info["files"].items()}
    recall = "exact" if info["recall"] is None else f"{info['recall']['value']:.3f}"
    seconds = [f"{info['seconds'].get(stage, 0):.0f}" for stage in STAGES]
    files = [f"{sizes['index.faiss']:.0f}", f"{sizes['documents.sqlite']:.0f}"]
    return [*seconds, f"{peak:.0f}", recall, f"{info['query_ms']:.2f}", *files]


def index(model: Path, corpus: Path, out: Path, name: str) -> tuple[dict[str, Any], float]:
    """Run the real command; what it says, and its peak memory in MB."""
    words = ["index", str(model), str(corpus), "--out", str(out), f"index={name}", "--json", "--quiet"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen([sys.executable, "-m", "metasearch", *words], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        content = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return content, usage.ru_maxrss / 1024


def write_corpus(file: Path, count: int) -> None:
    """Distinct texts of 6 to 14 words of one language each, drawn by seed."""
    candidates = compose("data=mini").create("data").load().candidates_of
    spoken = {language: sorted({w for c in of for w in c.text.split()}) for language, of in candidates.items()}
    draw = np.random.default_rng(0)
    languages = sorted(spoken)
    with file.open("w", encoding="utf-8") as opened:
        for number in range(count):
            language = languages[number % len(languages)]
            # The square prefers some words, as languages do.
            places = (draw.random(draw.integers(6, 15)) ** 2 * len(spoken[language])).astype(int)
            text = " ".join(spoken[language][i] for i in places)
            opened.write(json.dumps({"text": f"{text} {number}", "language": language}, ensure_ascii=False) + "\n")


def write_model(folder: Path, corpus: Path) -> None:
    """A SentenceTransformer that takes the mean of a random vector per word: as quick as encoders get."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, WordEmbeddings
    from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

    with corpus.open(encoding="utf-8") as opened:
        texts = [json.loads(line)["text"] for _, line in zip(range(20_000), opened, strict=False)]
    words = sorted({word for text in texts for word in text.split() if not word.isdigit()})
    vectors = np.random.default_rng(0).standard_normal((len(words), DIMENSION))
    table = WordEmbeddings(WhitespaceTokenizer(words, stop_words=()), vectors, max_seq_length=64)
    SentenceTransformer(modules=[table, Pooling(DIMENSION, "mean"), Normalize()], device="cpu").save(
        str(folder), create_model_card=False
    )
