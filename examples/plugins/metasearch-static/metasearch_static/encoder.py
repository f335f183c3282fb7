"""The mean of token vectors, as an encoder of metasearch and as a stock SentenceTransformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from torch import Tensor
from torch.nn import functional as F

from metasearch import Encoder
from metasearch.core import ExampleSet, Side, TripletEmbeddings
from metasearch.errors import ConfigError, ModelError
from metasearch.registry import registry

TABLE = "0.embedding.weight"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class PreparedTask:
    """The texts of a task's sets, as counts of the tokens that occur in them.

    Attributes:
        rows: ``(rows,)`` of the token table that occur in the task.
        counts: ``(texts, rows)``, share of each of them among a text's tokens.
        sets: per set the numbers of its texts: questions ``(m,)``, positives ``(m,)``, negatives ``(m, r)``.
    """

    rows: Tensor
    counts: Tensor
    sets: tuple[tuple[Tensor, Tensor, Tensor], ...]


class StaticEncoder(Encoder):
    """f(text) = the mean of its tokens' vectors, normalised; queries and candidates alike. The vectors are all that learns.

    The table starts as another model's token table, centred, turned to its principal components, each token times
    log(2 + its number in the vocabulary)^frequent: vocabularies begin with the frequent tokens, which say least. A model that
    this encoder has saved is read back as it is.

    Args:
        model: whose tokenizer and token table to start from: built-in name, local folder, or name on the model hub.
        width: length of a vector; None: as long as the table's.
        frequent: how much the first tokens of the vocabulary are marked down; 0: not at all.

    Raises:
        ModelError: the model cannot be loaded, or has no token table and fast tokenizer.
        ConfigError: ``width`` is more than the table has.

    Reference: Arora et al. 2017 (a tough-to-beat baseline for sentence embeddings), for means with frequent words marked down.
    """

    kind = "triplets"

    def __init__(self, model: str = "builtin:multilingual-e5-small", width: int | None = 64, frequent: float = 1.0) -> None:
        self.model_name = model
        # The shipped encoder knows built-in names, folders and the hub, and explains what it cannot load.
        source: SentenceTransformer = _load(model)
        embedding = source[0] if isinstance(source[0], StaticEmbedding) else _static(source, model, width, frequent)
        self.model = SentenceTransformer(modules=[embedding, Normalize()], device="cpu")
        self.model.eval()

    @property
    def table(self) -> Tensor:
        """``(tokens, width)``, what learns."""
        found: Tensor = self.model[0].embedding.weight
        return found

    # -- the model ---------------------------------------------------------------------------------------------------

    @property
    def dimension(self) -> int:
        return int(self.table.shape[1])

    @property
    def device(self) -> torch.device:
        return self.table.device

    def to(self, device: str, precision: str = "float32") -> None:
        self.model.to(device=device, dtype=_DTYPES[precision])

    def parameters(self) -> dict[str, Tensor]:
        return {TABLE: self.table}

    @torch.no_grad()
    def load_parameters(self, params: Mapping[str, Tensor]) -> None:
        self.table.copy_(params[TABLE])

    def encode(
        self, texts: Sequence[str], side: Side, batch_size: int = 32, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        if not place:
            return np.empty((0, self.dimension), dtype=np.float32)
        rows = self.model.encode(list(place), batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True)
        if progress is not None:
            progress(len(place))
        found: np.ndarray = rows.astype(np.float32)[[place[text] for text in texts]]
        return found

    def save(self, path: Path, model_card: str) -> None:
        self.model.save(str(path), create_model_card=False)
        (path / "README.md").write_text(model_card, encoding="utf-8")

    def describe(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "parameters": self.table.numel(),
            "dimension": self.dimension,
            "modules": [type(module).__name__ for module in self.model],
        }

    # -- the function ------------------------------------------------------------------------------------------------

    def prepare(self, sets: Sequence[ExampleSet[Any]]) -> PreparedTask:
        texts: dict[str, int] = {}

        def number(text: str) -> int:
            return texts.setdefault(text, len(texts))

        numbered = tuple(
            (
                torch.tensor([number(e.question.text) for e in s.examples]),
                torch.tensor([number(e.positive.text) for e in s.examples]),
                torch.tensor([[number(n.text) for n in e.negatives] for e in s.examples]),
            )
            for s in sets
        )
        features = self.model.preprocess(list(texts))
        rows, columns = torch.unique(features["input_ids"], return_inverse=True)
        lengths = torch.diff(features["offsets"], append=torch.tensor([len(columns)]))
        counts = torch.zeros(len(texts), len(rows), dtype=self.table.dtype)
        counts.index_put_(
            (torch.repeat_interleave(torch.arange(len(texts)), lengths), columns), counts.new_ones(()), accumulate=True
        )
        counts /= lengths.clamp_min(1).unsqueeze(1)
        moved = tuple((q.to(self.device), p.to(self.device), n.to(self.device)) for q, p, n in numbered)
        return PreparedTask(rows.to(self.device), counts.to(self.device), moved)

    def restrict(self, params: Mapping[str, Tensor], prepared: PreparedTask) -> dict[str, Tensor]:
        """The rows that occur: an inner loop then copies hundreds of rows, not all, and the table's gradient is sparse."""
        return {TABLE: F.embedding(prepared.rows, params[TABLE], sparse=True)}

    def embed(self, params: Mapping[str, Tensor], prepared: PreparedTask, index: int) -> TripletEmbeddings:
        # Means as one matrix product, which has all derivatives; torch's EmbeddingBag has no second one.
        vectors = F.normalize(prepared.counts @ params[TABLE], dim=-1)
        question, positive, negatives = (vectors[numbers] for numbers in prepared.sets[index])
        return TripletEmbeddings(question, positive, negatives)

    def tokens(self, prepared: PreparedTask, index: int) -> int:
        return sum(numbers.numel() for numbers in prepared.sets[index])


def _load(name: str) -> SentenceTransformer:
    """A model of this encoder's own as it is; any other by the shipped encoder's loader."""
    if (Path(name) / "modules.json").is_file():
        return SentenceTransformer(name, device="cpu", local_files_only=True)
    loaded: SentenceTransformer = registry.create("encoder", "triplet", model=name).model
    return loaded


def _static(source: SentenceTransformer, name: str, width: int | None, frequent: float) -> StaticEmbedding:
    """The token table of a transformer as a module that needs no transformer."""
    try:
        table = source[0].auto_model.get_input_embeddings().weight.detach().float()
        tokenizer = source.tokenizer
        if not tokenizer.is_fast:
            raise AttributeError("its tokenizer is not a fast one")
    except (AttributeError, NotImplementedError) as error:
        raise ModelError(f"encoder.model={name}: has no token table to start from ({error})") from error
    if width is not None and width > table.shape[1]:
        raise ConfigError(f"encoder.width={width}: more than the {table.shape[1]} numbers of a token in encoder.model={name}")
    return StaticEmbedding(tokenizer, embedding_weights=start_table(table, width, frequent))


def start_table(table: Tensor, width: int | None, frequent: float) -> Tensor:
    """Centre, keep the first ``width`` principal components, mark frequent tokens down.

    Args:
        table: ``(tokens, d)``, in the order of the vocabulary.
        width: how many components; None: all of d.
        frequent: the power of log(2 + number) that a token is multiplied with.

    Returns:
        ``(tokens, width)``.

    Example:
        >>> start_table(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), 1, 0.0).abs().tolist()
        [[1.0], [1.0]]
    """
    centred = table - table.mean(0)
    components = torch.linalg.eigh(centred.T @ centred)[1].flip(1)  # eigh sorts upwards
    turned = centred @ components[:, :width]
    weights = torch.log(2 + torch.arange(len(table), dtype=table.dtype)) ** frequent
    return (turned * weights.unsqueeze(1)).contiguous()
