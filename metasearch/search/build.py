"""Build an index over a corpus: count, encode, index, measure. Encoding goes on where an earlier, killed build stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from metasearch.core import CANDIDATE, QUERY, Encoder, Index, Side, expand
from metasearch.errors import ConfigError, DataError, ModelError
from metasearch.prepare import Clock, usable_device
from metasearch.registry import Registered
from metasearch.report import Reporter, RunFolder
from metasearch.report.checked_json import read_versioned
from metasearch.report.manifest import versions
from metasearch.report.progress import Stage
from metasearch.search.documents import Document, Read, RunningHash, corpus_reader
from metasearch.search.info import BUILD, FILE, INDEX, IndexInfo
from metasearch.search.probe import same_model, take_probe
from metasearch.search.recall import exact_scores, recall
from metasearch.search.settings import IndexSettings, read_settings
from metasearch.search.store import TEXTS, VECTORS, Progress, Store, Texts, file_state, locked

BLOCK = 2048  # documents between two commits: what a killed build has to encode again
RECALL_AT = 20
RECALL_QUERIES = 200
_SEED = 0


def build_index(
    model: str, corpus: str, out: str, *words: str, reporter: Reporter | None = None, keep_vectors: bool = False
) -> IndexInfo:
    """Encode a corpus and build an index over it: what ``metasearch index`` does.

    A build that was killed goes on where it stopped when it is called again with the same corpus, model and encoder settings;
    the index may be another.

    Args:
        model: built-in name, SentenceTransformer folder, hub name, a run folder or the ``model/`` in it.
        corpus: ``.txt``, ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet`` file, a data set's folder, or a name such as ``"mini"``.
        out: the folder to make; one that holds a finished index is never overwritten.
        words: settings: ``"index=hnsw"``, ``"index.m=48"``, ``"eval.batch_size=64"``, ``"encoder.max_candidate_length=128"``, ...
        reporter: is told how it goes; None: silence.
        keep_vectors: leave the embeddings in ``vectors.f32``, float32 ``(count, dimension)``, where they are removed otherwise.

    Returns:
        What ``index.json`` says.

    Raises:
        MetasearchError: with a message for the user.

    Example:
        >>> import metasearch
        >>> metasearch.build_index("builtin:multilingual-e5-small", "mini", "indexes/mini")  # doctest: +SKIP
    """
    reporter = reporter or Reporter()
    settings = read_settings(model, words)
    read = corpus_reader(corpus, reporter.warn)
    folder = expand(out, "--out")
    _check_free(folder)
    with locked(folder):
        _check_free(folder)  # another process may just have finished
        return _Build(settings, corpus, read, folder, reporter).run(keep_vectors)


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but an unfinished index."""
    if (folder / FILE).exists():
        raise ConfigError(f"--out {folder}: holds a finished index, which is never overwritten; choose another folder")
    if not folder.exists() or (folder / BUILD).exists():
        return
    # Killed at its very first write, a build leaves the beginning of its note.
    if not folder.is_dir() or any(path.name != f"{BUILD}.partial" for path in folder.iterdir()):
        raise ConfigError(f"--out {folder}: already exists and is neither empty nor an unfinished index; choose another folder")


class _Build:
    """One build, in a folder that is locked for it."""

    def __init__(self, settings: IndexSettings, corpus: str, read: Read, folder: Path, reporter: Reporter) -> None:
        self.settings, self.corpus, self.read = settings, corpus, read
        self.folder, self.reporter = folder, reporter
        self.clock = Clock()
        self.store = Store(folder)
        self.batch_size = settings.encoder["eval.batch_size"]

    def run(self, keep_vectors: bool) -> IndexInfo:
        done = self.store.progress()
        with self.clock("count"):
            self.total, self.digest, hashed = self._survey(done)
        self.item, self.options = self.settings.choose(self.total, self.reporter.warn)
        index: Index = self.item.create(**self.options)
        with self.clock("load_model"):
            encoder = self._encoder()
            self.probe = take_probe(encoder)
        self._begin()
        self.store.resume(encoder.dimension, done)
        with closing(self.store):
            self._encode(encoder, done, hashed)
        if hashed.hex() != self.digest:
            raise DataError(f"{self.corpus}: changed while it was read; remove {self.folder} and build again")
        self._build(index)
        del index  # as large as its file, which is opened next
        recall_found, query_ms = self._measure(encoder)
        info = self._info(recall_found, query_ms, [INDEX, TEXTS, *([VECTORS] if keep_vectors else [])])
        info.write()
        (self.folder / BUILD).unlink()
        if not keep_vectors:
            self.store.vectors.unlink()
        return info

    # -- before ----------------------------------------------------------------------------------------------------------

    def _survey(self, done: Progress) -> tuple[int, str, RunningHash]:
        """Read everything once: its number, its digest, and the hash of what is encoded already, to be gone on with.

        Finds what is wrong with the corpus before hours of encoding.
        """
        self.reporter.say(f"reading {self.corpus}")
        running, begun, total = RunningHash(), RunningHash(), 0
        for document in self.read():
            running.add(document)
            total += 1
            if total == done.count:
                begun = running.copy()
        if not total:
            raise DataError(f"{self.corpus}: holds no texts")
        if done.count and begun.hex() != done.digest:
            raise DataError(
                f"{self.corpus}: not the corpus of which {done.count} texts are encoded in {self.folder}; give that corpus, or "
                "another --out, or remove the folder"
            )
        return total, running.hex(), begun

    def _encoder(self) -> Encoder:
        config = self.settings.encoder
        device = usable_device(config["device"])
        encoder: Encoder = config.create("encoder")
        encoder.to(device, config["precision"])
        return encoder

    def _begin(self) -> None:
        """Note what is being built, or check that it is what was begun."""
        asked = {"model": self.settings.model, "encoder": encoder_settings(self.settings)}
        file = self.folder / BUILD
        if not file.exists():
            RunFolder(self.folder).write_json(BUILD, {"schema": 1, **asked, "probe": self.probe})
            return
        begun = read_versioned(file)
        way = "give the same command, or another --out, or remove the folder"
        for key, value in asked.items():
            if begun.get(key) != value:
                raise ConfigError(f"--out {self.folder}: was begun with {key} {begun.get(key)}, now {value}; {way}")
        if not same_model(self.probe, begun.get("probe", {}), self.settings.encoder["precision"], str(file)):
            raise ConfigError(f"--out {self.folder}: was begun with another model than {self.settings.model} is now; {way}")

    # -- stages ----------------------------------------------------------------------------------------------------------

    def _encode(self, encoder: Encoder, done: Progress, hashed: RunningHash) -> None:
        if done.count:
            self.reporter.say(f"going on: {done.count} of {self.total} texts are encoded already")
        self.clock.add("encode", done.seconds)
        if done.count == self.total:
            return
        documents = islice(self.read(), done.count, None)
        count = done.count
        try:
            with self.reporter.stage("encoding texts", self.total - count) as stage:
                while block := list(islice(documents, BLOCK)):
                    with self.clock("encode"):
                        vectors = self._encode_block(encoder, block, stage)
                    for document in block:
                        hashed.add(document)
                    count += len(block)
                    with self.clock("write"):
                        self.store.append(vectors, block, Progress(count, hashed.hex(), self.clock.seconds["encode"]))
        except KeyboardInterrupt:
            self.reporter.warn(f"interrupted: {count} of {self.total} texts are encoded; the same command goes on from there")
            raise

    def _encode_block(self, encoder: Encoder, block: Sequence[Document], stage: Stage) -> np.ndarray:
        told = 0

        def tell(done: int) -> None:
            nonlocal told
            told += done
            stage.advance(done)

        vectors = encoder.encode([d.text for d in block], document_side(encoder), self.batch_size, tell)
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.settings.model}: gives embeddings that are not finite; try precision=float32")
        stage.advance(len(block) - told)  # texts that stand twice are encoded once
        return vectors

    def _build(self, index: Index) -> None:
        size = min(index.sample_size(self.total), self.total)
        with self.clock("train"):
            if size:
                self.reporter.say(f"training the index on {size} vectors")
            index.start(self.store.dimension, self.total, self.store.pick(_draw(self.total, size)))
        with self.clock("add"), self.reporter.stage("building the index", self.total) as stage:
            for block in self.store.blocks():
                index.add(block)
                stage.advance(len(block))
        with self.clock("save"):
            partial = self.folder / f"{INDEX}.partial"
            index.save(partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(self.folder / INDEX)

    def _measure(self, encoder: Encoder) -> tuple[dict[str, Any] | None, float]:
        """Ask the index as a search will: its recall, None if it is exact, and milliseconds per query."""
        positions = _draw(self.total, min(RECALL_QUERIES, self.total)).tolist()
        drawn = [document.text for document in Texts(self.folder / TEXTS).at(positions)]
        k = min(RECALL_AT, self.total)
        with self.clock("measure"):
            queries = encoder.encode(drawn, QUERY, self.batch_size)
            index: Index = self.item.create(**self.options)
            index.open(self.folder / INDEX)
            index.search(queries[:1], k)  # the first time costs more
            begin = time.perf_counter()
            _, found = index.search(queries, k)
            query_ms = 1000 * (time.perf_counter() - begin) / len(queries)
            if index.exact:
                return None, query_ms
            with self.reporter.stage("measuring recall", self.total) as stage:
                exact = exact_scores(queries, self.store.blocks(), k, stage.advance)
            vectors = self.store.pick(np.maximum(found, 0).ravel()).reshape(*found.shape, -1)
            scores = np.where(found >= 0, np.einsum("md,mkd->mk", queries, vectors), -np.inf)
        return {"at": k, "queries": len(queries), "value": round(recall(scores, exact), 4)}, query_ms

    # -- after -----------------------------------------------------------------------------------------------------------

    def _info(self, found: dict[str, Any] | None, query_ms: float, files: Sequence[str]) -> IndexInfo:
        path = expand(self.corpus, "CORPUS")
        return IndexInfo(
            path=self.folder,
            model=self.settings.model,
            encoder=encoder_settings(self.settings),
            probe=self.probe,
            index={**_provided(self.item), "options": self.options, "exact": self.item.load().exact},
            corpus={"path": str(path.resolve()) if path.exists() else self.corpus, "sha256": self.digest},
            count=self.total,
            dimension=self.store.dimension,
            languages=Texts(self.folder / TEXTS).languages(),
            recall=found,
            query_ms=round(query_ms, 3),
            seconds={stage: round(seconds, 2) for stage, seconds in self.clock.seconds.items()},
            versions=versions(),
            files={name: file_state(self.folder / name) for name in files},
        )


def document_side(encoder: Encoder) -> Side:
    """How documents are encoded: as candidates, or as queries too where both sentences of a pair are the same to the encoder."""
    return QUERY if encoder.kind == "pairs" else CANDIDATE


def encoder_settings(settings: IndexSettings) -> dict[str, Any]:
    """What vectors depend on, beside the model."""
    config = settings.encoder
    options = {name: value for name, value in config.options("encoder").items() if name != "model"}
    return {**_provided(config.components["encoder"]), "options": options, "precision": config["precision"]}


def _provided(item: Registered) -> dict[str, str]:
    return {"name": item.name, "distribution": item.provider.distribution, "version": item.provider.version}


def _draw(count: int, size: int) -> np.ndarray:
    """``size`` of ``count`` positions, by a fixed seed, in order."""
    return np.sort(np.random.default_rng(_SEED).choice(count, size, replace=False))
