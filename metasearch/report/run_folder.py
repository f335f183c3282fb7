"""The files of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metasearch.core import held
from metasearch.core.ranks import by_first, ranks
from metasearch.errors import ConfigError, DataError
from metasearch.evaluation import EncodedCorpus, EncodedPairs, QueryScores, Row, top_candidates


class RunFolder:
    """A run's folder.

    It holds ``config.yaml``, ``manifest.json``, ``log.jsonl``, ``checkpoints/``, ``model/``, ``results.json``, ``map.json``, and
    ``run.trec``, ``qrels.trec`` and ``per-query.tsv``, or ``pairs.tsv`` for sentence pairs (with several folds, the files of a
    fold are in ``fold-N/``). Files appear whole or not at all: each is written beside its place and then renamed. Of several
    processes the first writes, and the others' calls do nothing.

    Args:
        path: the folder; :meth:`create` or :meth:`part` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """Make a new run folder.

        Raises:
            ConfigError: it exists and is not an empty folder, or cannot be made.
        """
        cls.check_free(path)
        folder = cls(path)
        folder._make()
        return folder

    @by_first
    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / ".writable").touch()
            (self.path / ".writable").unlink()
        except OSError as error:
            raise ConfigError(f"out={self.path}: cannot be written: {error.strerror or error}") from error

    @staticmethod
    @by_first
    def check_free(path: Path) -> None:
        """Refuse a path that holds something.

        Raises:
            ConfigError: it exists and is not an empty folder.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"out={path}: already exists and is not empty; a run never overwrites: choose another folder")

    def part(self, name: str) -> RunFolder:
        """A folder inside, such as ``fold-3``."""
        return RunFolder(self.path / name)

    @by_first
    def open(self) -> None:
        """Make what every run has, whether or not it trains: ``log.jsonl`` and ``checkpoints/``."""
        (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        (self.path / "log.jsonl").touch()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out.

        Raises:
            ConfigError: another process is making or going on with this run.
        """
        if not ranks().first:
            yield
            return
        with held(self.path, f"{self.path}: another process is at work on this run; wait, or choose another folder"):
            yield

    @property
    def model(self) -> Path:
        """Where the trained model is saved."""
        return self.path / "model"

    @by_first
    def write_text(self, name: str, text: str) -> None:
        """Write a text file, whole."""
        target = self.path / name
        partial = target.with_name(target.name + ".partial")
        with partial.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file, indented."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    @by_first
    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.path / "log.jsonl").open("a", encoding="utf-8", errors="surrogatepass") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    @by_first
    def keep_log_until(self, step: int) -> None:
        """Drop from ``log.jsonl`` what came after meta-batch ``step``, and a last line that was not finished."""
        kept = []
        for line in (self.path / "log.jsonl").read_text(encoding="utf-8", errors="surrogatepass").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record.get("step", 0) <= step:
                kept.append(line + "\n")
        self.write_text("log.jsonl", "".join(kept))

    @by_first
    def save_checkpoint(self, name: str, state: Mapping[str, Any]) -> None:
        """Write ``checkpoints/NAME.safetensors`` (see :func:`~metasearch.report.checkpoint.save_state`)."""
        from metasearch.report.checkpoint import save_state

        save_state(self._checkpoint(name), state)

    def load_checkpoint(self, name: str) -> dict[str, Any]:
        """Read ``checkpoints/NAME.safetensors``.

        Raises:
            DataError: it is not there, or damaged.
        """
        from metasearch.report.checkpoint import load_state

        return load_state(self._checkpoint(name))

    @by_first
    def drop_checkpoints(self) -> None:
        """Remove what only going on would need: ``model/`` holds the weights now."""
        for file in (self.path / "checkpoints").glob("*.safetensors*"):
            file.unlink()

    @by_first
    def keep_state(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the state after meta-batch ``step``; the two newest are kept, in case the last turns out to be damaged."""
        self.save_checkpoint(f"state-{step:08d}", state)
        for old in self._states()[:-2]:
            old.unlink()

    def newest_state(self, warn: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest state that can be read; None if there is none. ``warn`` is told of each that cannot."""
        for file in reversed(self._states()):
            try:
                return self.load_checkpoint(file.stem)
            except DataError as error:
                warn(f"{error}; going back to the checkpoint before it")
        return None

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"

    def _states(self) -> list[Path]:
        return sorted((self.path / "checkpoints").glob("state-*.safetensors"))

    def write_scores(self, before: Sequence[Row], after: Sequence[Row]) -> None:
        """Write ``checkpoints/scores.json``: this fold is done, and need not be run again."""
        rows = {"before": [row.to_json() for row in before], "after": [row.to_json() for row in after]}
        self.write_json("checkpoints/scores.json", {"schema": 1, **rows})

    def read_scores(self) -> tuple[list[Row], list[Row]] | None:
        """What :meth:`write_scores` wrote; None if this fold is not done.

        Raises:
            DataError: it is damaged.
        """
        from metasearch.report.checked_json import read_versioned, records
        from metasearch.report.run_files import read_row

        file = self.path / "checkpoints" / "scores.json"
        if not file.is_file():
            return None
        content = read_versioned(file)
        before, after = ([read_row(record, place) for record, place in records(content, k, file)] for k in ("before", "after"))
        return before, after

    @by_first
    def write_trec(self, encoded: EncodedCorpus, depth: int, tag: str) -> None:
        """Write ``run.trec`` (``qid Q0 docid rank score tag``) and ``qrels.trec`` of the multilingual pool.

        A question's id is ``LANGUAGE-ID``, because the same question occurs in several languages.
        """
        questions = [trec_word(f"{q.language}-{q.id}") for q in encoded.corpus.questions]
        lines = (
            f"{questions[number]} Q0 {trec_word(candidate)} {rank} {score:.9g} {tag}\n"
            for number, best in top_candidates(encoded, depth)
            for rank, (candidate, score) in enumerate(best, 1)
        )
        self.write_text("run.trec", "".join(lines))
        self.write_text("qrels.trec", "".join(_qrels(encoded, questions)))

    @by_first
    def write_queries(self, queries: Iterable[QueryScores]) -> None:
        """Write ``per-query.tsv``: the main metric of every query in every pool, for paired tests."""
        lines = ["variant\tquery_language\tcandidate_languages\tquery\tvalue\n"]
        for scores in queries:
            row = scores.row
            place = f"{row.variant}\t{row.query_language}\t{','.join(row.candidate_languages)}"
            lines += [f"{place}\t{trec_word(q)}\t{v!r}\n" for q, v in zip(scores.queries, scores.values.tolist(), strict=True)]
        self.write_text("per-query.tsv", "".join(lines))

    @by_first
    def write_pairs(self, encoded: EncodedPairs) -> None:
        """Write ``pairs.tsv``: predicted and gold similarity of every sentence pair."""
        lines = ["variant\tquery_language\tcandidate_languages\tquery\tvalue\tgold\n"]
        for pair, cosine in zip(encoded.corpus.pairs, encoded.cosines().tolist(), strict=True):
            first, second = pair.languages
            variant = "mono" if first == second else "bi"
            lines.append(f"{variant}\t{first}\t{second}\t{trec_word(pair.id)}\t{cosine!r}\t{pair.score!r}\n")
        self.write_text("pairs.tsv", "".join(lines))


def models_of(path: Path) -> tuple[Path | None, list[tuple[Path, int | None]]]:
    """The run that a folder is, or is the model of, with its models to score and their folds; (None, []) if it is neither."""
    if (path / "config.yaml").is_file():
        found: list[tuple[Path, int | None]] = [(path / "model", None)] if (path / "model").is_dir() else []
        found += [(p, int(p.parent.name.removeprefix("fold-"))) for p in sorted(path.glob("fold-[0-4]/model"))]
        if not found:
            raise ConfigError(f"{path}: this run has no model/ folder: it did not finish, or its encoder has nothing to save")
        return path, found
    if path.name == "model" and (path.parent / "config.yaml").is_file():
        return path.parent, [(path, None)]
    if path.name == "model" and path.parent.name.startswith("fold-") and (path.parent.parent / "config.yaml").is_file():
        return path.parent.parent, [(path, int(path.parent.name.removeprefix("fold-")))]
    return None, []


def _qrels(encoded: EncodedCorpus, questions: Sequence[str]) -> Iterable[str]:
    for name, question in zip(questions, encoded.corpus.questions, strict=True):
        for candidate in sorted(encoded.corpus.relevant.get(question.id, ())):
            yield f"{name} 0 {trec_word(candidate)} 1\n"


def trec_word(name: str) -> str:
    """An id as one word: TREC files are split at white space."""
    return "_".join(name.split()) or "_"
