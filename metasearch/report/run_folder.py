"""The files of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metasearch.errors import ConfigError
from metasearch.evaluation import EncodedCorpus, EncodedPairs, QueryScores, top_candidates

if TYPE_CHECKING:
    import torch


class RunFolder:
    """A run's folder.

    It holds ``config.yaml``, ``manifest.json``, ``log.jsonl``, ``checkpoints/``, ``model/``, ``results.json``, ``map.json``, and
    ``run.trec``, ``qrels.trec`` and ``per-query.tsv``, or ``pairs.tsv`` for sentence pairs (with several folds, the files of a
    fold are in ``fold-N/``). Files appear whole or not at all: each is written beside its place and then renamed.

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
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise ConfigError(f"out={path}: cannot be written: {error.strerror or error}") from error
        return cls(path)

    @staticmethod
    def check_free(path: Path) -> None:
        """Refuse a path that holds something.

        Raises:
            ConfigError: it exists and is not an empty folder.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"out={path}: already exists and is not empty; a run never overwrites: choose another folder")

    def part(self, name: str) -> RunFolder:
        """A folder inside, such as ``fold-3``."""
        found = RunFolder(self.path / name)
        found.path.mkdir(parents=True, exist_ok=True)
        return found

    def open(self) -> None:
        """Make what every run has, whether or not it trains: ``log.jsonl`` and ``checkpoints/``."""
        (self.path / "checkpoints").mkdir(exist_ok=True)
        (self.path / "log.jsonl").touch()

    @property
    def model(self) -> Path:
        """Where the trained model is saved."""
        return self.path / "model"

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

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.path / "log.jsonl").open("a", encoding="utf-8", errors="surrogatepass") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def save_checkpoint(self, name: str, tensors: Mapping[str, torch.Tensor], progress: Mapping[str, Any]) -> None:
        """Write ``checkpoints/NAME.safetensors`` and ``checkpoints/NAME.json``, each whole."""
        from safetensors.torch import save_file

        folder = self.path / "checkpoints"
        partial = folder / f"{name}.safetensors.partial"
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, str(partial))
        partial.replace(folder / f"{name}.safetensors")
        self.write_json(f"checkpoints/{name}.json", progress)

    def load_checkpoint(self, name: str) -> dict[str, torch.Tensor]:
        """Read ``checkpoints/NAME.safetensors``."""
        from safetensors.torch import load_file

        found: dict[str, torch.Tensor] = load_file(str(self.path / "checkpoints" / f"{name}.safetensors"))
        return found

    def drop_checkpoint(self, name: str) -> None:
        """Remove the weights of a checkpoint (its JSON stays): ``model/`` holds them now."""
        (self.path / "checkpoints" / f"{name}.safetensors").unlink(missing_ok=True)

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

    def write_queries(self, queries: Iterable[QueryScores]) -> None:
        """Write ``per-query.tsv``: the main metric of every query in every pool, for paired tests."""
        lines = ["variant\tquery_language\tcandidate_languages\tquery\tvalue\n"]
        for scores in queries:
            row = scores.row
            place = f"{row.variant}\t{row.query_language}\t{','.join(row.candidate_languages)}"
            lines += [f"{place}\t{trec_word(q)}\t{v!r}\n" for q, v in zip(scores.queries, scores.values.tolist(), strict=True)]
        self.write_text("per-query.tsv", "".join(lines))

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
