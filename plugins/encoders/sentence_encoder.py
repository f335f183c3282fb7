"""Any SentenceTransformer as a differentiable function of its parameters: what the shipped encoders share."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from metasearch import Encoder
from metasearch.core import CANDIDATE, QUERY, Side, expand, is_differentiated_twice
from metasearch.errors import ConfigError, DataError, ModelError
from metasearch.report.checked_json import as_object, brief, is_text, read_text, take
from metasearch_plugins.encoders import builtin_e5

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUILTIN = "builtin:"
# A forward pass costs something whatever its size: worth about so many tokens when texts are grouped by length. On the CPU it is
# reading the weights, measured; on a GPU it is launching the kernels, estimated from their number: there one group is best.
_TOKENS_PER_PASS = {"cpu": 24, "gpu": 1024}
_DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class TextBatch:
    """Distinct texts, tokenised, in groups of similar length.

    Attributes:
        groups: features of each group, without the padding that the group does not need.
        order: ``(texts,)``: row of each text among the rows of all groups, one after the other.
    """

    groups: tuple[dict[str, Any], ...]
    order: Tensor


class SentenceEncoder(Encoder):
    """A SentenceTransformer with its own pooling, normalisation and prompts.

    Args:
        model: ``"builtin:multilingual-e5-small"``, a local folder, or a name on the model hub.
        max_query_length: most tokens of a query, prompt included (paper: 96). The model's own limit holds too.
        max_candidate_length: most tokens of a candidate (paper: 256).
        query_prompt: put before queries; None: the model's own prompt ``query``, if it has one.
        candidate_prompt: put before candidates; None: the model's own prompt ``document``, ``passage`` or ``corpus``.

    Raises:
        ModelError: the model cannot be loaded; the message says what was tried.
    """

    def __init__(
        self,
        model: str = builtin_e5.MODEL_NAME,
        max_query_length: int = 96,
        max_candidate_length: int = 256,
        query_prompt: str | None = None,
        candidate_prompt: str | None = None,
    ) -> None:
        self.model_name = model
        self.model = load_sentence_transformer(model)
        own = self.model.prompts
        fallback = own.get(self.model.default_prompt_name or "", "")
        self.prompts: dict[Side, str] = {
            QUERY: _first(query_prompt, own.get("query"), fallback),
            CANDIDATE: _first(candidate_prompt, own.get("document"), own.get("passage"), own.get("corpus"), fallback),
        }
        limit = self.model.get_max_seq_length() or 512
        self.max_length: dict[Side, int] = {
            QUERY: min(max_query_length, limit),
            CANDIDATE: min(max_candidate_length, limit),
        }
        self.precision = "float32"
        self.transformer = _transformer(self.model)
        self.table = self._token_table()
        self._own_attention = getattr(getattr(self.transformer, "config", None), "_attn_implementation", None)
        self._attention = self._own_attention
        self.model.eval()

    # -- the model ---------------------------------------------------------------------------------------------------

    @property
    def dimension(self) -> int:
        return int(self.model.get_embedding_dimension() or 0)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def to(self, device: str, precision: str = "float32") -> None:
        try:
            self.model.to(device=device, dtype=_DTYPES[precision])
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device={device}: not usable here: {str(error).splitlines()[0]}; try device=cpu") from error
        self.precision = precision

    @property
    def dtype(self) -> torch.dtype:
        """Of parameters and embeddings."""
        return _DTYPES[self.precision]

    def parameters(self) -> dict[str, Tensor]:
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad and not _unused(n)}

    @torch.no_grad()
    def load_parameters(self, params: Mapping[str, Tensor]) -> None:
        own = self.parameters()
        for name, tensor in params.items():
            own[name].copy_(tensor)

    @contextlib.contextmanager
    def _kernels(self) -> Iterator[None]:
        """Attention for the next pass: fused kernels have no second derivative, plain matrix products have."""
        twice = is_differentiated_twice()
        if twice and self._own_attention == "sdpa":
            with sdpa_kernel(SDPBackend.MATH):
                yield
            return
        self._set_attention("eager" if twice else self._own_attention)
        yield

    def _set_attention(self, kind: str | None) -> None:
        if kind is not None and kind != self._attention and hasattr(self.transformer, "set_attn_implementation"):
            self.transformer.set_attn_implementation(kind)
            self._attention = kind

    def dropout(self, active: bool) -> None:
        self.model.train(active)

    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        batch_size: int = 32,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        rows = np.zeros((len(distinct), self.dimension), dtype=np.float32)
        # Long to short, in slices of several batches: little padding, and progress can be reported.
        order = sorted(distinct, key=lambda text: (-len(text), text))
        slice_size = 16 * batch_size
        self._set_attention(self._own_attention)
        with self._limit(self.max_length[side]), self._autocast():
            for start in range(0, len(order), slice_size):
                part = order[start : start + slice_size]
                rows[[distinct[text] for text in part]] = self.model.encode(
                    part,
                    prompt=self.prompts[side],
                    batch_size=batch_size,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
                if progress is not None:
                    progress(len(part))
        return rows[[distinct[text] for text in texts]]

    @contextlib.contextmanager
    def _limit(self, tokens: int) -> Iterator[None]:
        before = self.model.max_seq_length
        with contextlib.suppress(AttributeError):  # word vectors read texts of any length
            self.model.max_seq_length = tokens
        try:
            yield
        finally:
            with contextlib.suppress(AttributeError):
                self.model.max_seq_length = before

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def save(self, path: Path, model_card: str) -> None:
        self._set_attention(self._own_attention)
        # Set under every name that SentenceTransformer's encode_query and encode_document look for.
        self.model.prompts.update(query=self.prompts[QUERY], document=self.prompts[CANDIDATE])
        if "passage" in self.model.prompts:
            self.model.prompts["passage"] = self.prompts[CANDIDATE]
        # One limit is all a folder can hold: that of candidates, as a rule. Longer queries are cut later there than here.
        with self._limit(max(self.max_length.values())):
            self.model.save(str(path), create_model_card=False)
        _without_pooler(path, self.transformer)
        (path / "README.md").write_text(model_card, encoding="utf-8")

    def describe(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "dimension": self.dimension,
            "prompts": dict(self.prompts),
            "max_length": dict(self.max_length),
            "attention": {
                "second_order_steps": "sdpa (math)" if self._own_attention == "sdpa" else "eager",
                "otherwise": self._own_attention,
            },
            "modules": [type(module).__name__ for module in self.model],
        }

    # -- the function ------------------------------------------------------------------------------------------------

    def tokenize(self, texts: Sequence[str], side: Side) -> TextBatch:
        """Tokenise texts and group them by length, so that short ones are not padded to the longest."""
        features = self.model.preprocess(list(texts), prompt=self.prompts[side], max_length=self.max_length[side])
        if "attention_mask" not in features:
            first = type(self.model[0]).__name__
            raise ModelError(
                f"encoder.model={self.model_name}: begins with {first}, no transformer: it can be scored (algo=zero-shot) "
                "and searched with, not trained by this encoder"
            )
        lengths = features["attention_mask"].sum(1)
        order = torch.argsort(lengths, stable=True)
        groups = []
        for start, end in length_groups(lengths[order].tolist(), _TOKENS_PER_PASS["cpu" if self.device.type == "cpu" else "gpu"]):
            rows = order[start:end]
            # Padding may stand on either side: keep the columns that some row of the group uses.
            columns = features["attention_mask"][rows].bool().any(0).nonzero().squeeze(1)
            groups.append(
                {
                    key: value[rows][:, columns] if isinstance(value, Tensor) and value.ndim == 2 else value
                    for key, value in features.items()
                }
            )
        return TextBatch(tuple(groups), torch.argsort(order))

    def active_rows(self, batches: Sequence[TextBatch]) -> tuple[tuple[TextBatch, ...], Tensor | None]:
        """Renumber token ids to the rows of the token table that occur.

        Returns:
            The batches with new ids, on the encoder's device, and the rows ``(active,)`` in their order; None where the backbone
            has no token table of the usual kind.
        """
        if self.table is None:
            return tuple(_move(batch, self.device) for batch in batches), None
        _, padding, size = self.table
        rows = torch.unique(torch.cat([g["input_ids"].flatten() for batch in batches for g in batch.groups]))
        if padding is not None:
            # An embedding blocks the gradient of its row number `padding`, and some backbones count positions by it:
            # so that row must keep its number.
            others = rows[rows != padding]
            others = torch.cat([others, _spare_rows(others, padding, size)])
            rows = torch.cat([others[:padding], torch.tensor([padding]), others[padding:]])
        number = torch.zeros(size, dtype=torch.long)
        number[rows] = torch.arange(len(rows))
        renumbered = (
            TextBatch(tuple({**g, "input_ids": number[g["input_ids"]]} for g in batch.groups), batch.order) for batch in batches
        )
        return tuple(_move(batch, self.device) for batch in renumbered), rows.to(self.device)

    def gather_rows(self, params: Mapping[str, Tensor], rows: Tensor | None) -> dict[str, Tensor]:
        """Replace the token table in ``params`` by its ``rows``; the gradient of the table is then sparse."""
        found = dict(params)
        if rows is not None and self.table is not None and self.table[0] in found:
            name = self.table[0]
            found[name] = F.embedding(rows, found[name], sparse=True)
        return found

    def forward(self, params: Mapping[str, Tensor], batch: TextBatch) -> Tensor:
        """Embed a batch at ``params``: ``(texts, dimension)`` in the order the texts were given."""
        with self._autocast(), self._kernels():
            parts = [
                torch.func.functional_call(self.model, dict(params), (dict(group),))["sentence_embedding"]
                for group in batch.groups
            ]
        return torch.cat(parts).to(self.dtype)[batch.order]

    def tokens(self, prepared: Any, index: int) -> int | None:
        """Of all text batches of a prepared set."""
        batches = [value for value in vars(prepared.sets[index]).values() if isinstance(value, TextBatch)]
        return sum(int(group["input_ids"].numel()) for batch in batches for group in batch.groups)

    def _token_table(self) -> tuple[str, int | None, int] | None:
        """Name, padding row and number of rows of the token embedding; None if there is none, or it is shared."""
        try:
            table = self.transformer.get_input_embeddings()
        except (AttributeError, NotImplementedError):
            return None
        if not isinstance(table, torch.nn.Embedding) or table.max_norm is not None:
            return None
        names = [n for n, p in self.model.named_parameters(remove_duplicate=False) if p is table.weight]
        if len(names) != 1 or not table.weight.requires_grad:
            return None
        return names[0], table.padding_idx, table.num_embeddings


def load_sentence_transformer(name: str) -> SentenceTransformer:
    """Load a model by built-in name, folder or hub name, on the CPU; a plain transformer gets mean pooling.

    Where the similarity is the cosine but the modules do not normalise, a Normalize module is added, so that a dot product is
    the similarity everywhere (also in the saved model).

    No code of the model's is run: classes come from sentence-transformers and Transformers alone, and weights that are a pickle
    are loaded only if they hold nothing but tensors.

    Raises:
        ModelError: it cannot be loaded.
        DataError: its ``modules.json`` is broken, names a class of another package, or a folder outside the model's.
    """
    source = name
    if name.startswith(BUILTIN):
        if name != builtin_e5.MODEL_NAME:
            raise ModelError(f"encoder.model={name}: no such built-in model; known: {builtin_e5.MODEL_NAME}")
        try:
            source = builtin_e5.resolve(name)
        except builtin_e5.BuiltinModelError as error:
            raise ModelError(f"encoder.model={name}: {error}") from error
    folder = expand(source, "encoder.model")
    local = folder.is_dir()
    if not local and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise ModelError(f"encoder.model={name}: no such folder")

    if local:
        _check_modules(folder / "modules.json")
    only_cache = local or not _hub_has(name, source)

    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    transformers.utils.logging.disable_progress_bar()
    before = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # the load report of unused heads is no news to a user
    try:
        model = SentenceTransformer(
            str(folder) if local else source,
            device="cpu",
            local_files_only=only_cache,
            trust_remote_code=False,
            model_kwargs={"weights_only": True},  # or a model's own settings could ask for a pickle to be run
        )
    except Exception as error:  # every loader below raises its own kind
        hint = f"{'the folder' if local else 'what the model hub has'} is not a model that SentenceTransformer loads"
        raise ModelError(f"encoder.model={name}: {hint} ({_cause(error, folder if local else None)})") from error
    finally:
        transformers.utils.logging.set_verbosity(before)
    if source == builtin_e5.HUB_NAME:
        for key, prompt in (("query", "query: "), ("document", "passage: ")):
            model.prompts[key] = model.prompts.get(key) or prompt
    if (model.similarity_fn_name or "cosine") == "cosine" and not isinstance(model[-1], Normalize):
        model.append(Normalize())
    return model.float()


def _check_modules(file: Path) -> None:
    """Refuse a ``modules.json`` that names code or files of others; a folder without one is a plain transformer."""
    if not file.is_file():
        return
    try:
        modules = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON: {error}") from error
    if not isinstance(modules, list) or not modules:
        raise DataError(f"{file}: holds {brief(modules)}, expected a list of modules")
    for i, record in enumerate(modules):
        place = f"{file}: [{i}]"
        ours = "a class of sentence_transformers, because a model's own code is not run"
        take(as_object(record, place), "type", place, ours, lambda v: is_text(v) and v.startswith("sentence_transformers."))
        take(record, "path", place, "a folder in the model's", lambda v: is_text(v) and _stays_inside(v))


def _stays_inside(path: str) -> bool:
    return not PurePath(path).is_absolute() and ".." not in PurePath(path).parts


def _cause(error: Exception, folder: Path | None) -> str:
    """Why a model could not be loaded: the file that is at fault, where one can be found."""
    if isinstance(error, pickle.UnpicklingError):
        files = ", ".join(file.name for file in sorted(folder.glob("*.bin"))) if folder else "its weights"
        return f"{files}: a pickle that holds more than tensors could run code, and is not loaded; save it as model.safetensors"
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return (_damage(folder) if folder else None) or said


def _damage(folder: Path) -> str | None:
    """The first file of a folder that is not what its extension says; None if there is none."""
    from safetensors import SafetensorError, safe_open

    for file in sorted(folder.rglob("*")):
        try:
            if file.suffix == ".json":
                json.loads(file.read_bytes())
            elif file.suffix == ".safetensors":
                with safe_open(str(file), "pt"):
                    pass
        except (ValueError, RecursionError, SafetensorError, OSError) as error:
            return f"{file}: damaged: {error}"
    return None


def _hub_has(name: str, source: str) -> bool:
    """Ask the model hub once, because the loaders below ask again and again for minutes where there is no network.

    Returns:
        Whether the hub answered for this model; False where only a copy in the hub's cache can be had.

    Raises:
        ModelError: neither hub nor cache has it.
    """
    import huggingface_hub

    names = [source] if "/" in source else [f"sentence-transformers/{source}", source]
    failure: Exception | None = None
    for candidate in names:
        try:
            huggingface_hub.HfApi().model_info(candidate, timeout=20)
            return True
        except Exception as error:  # no network, no such model, offline mode: each its own kind
            failure = failure or error
    for candidate in names:
        if any(isinstance(huggingface_hub.try_to_load_from_cache(candidate, f), str) for f in ("modules.json", "config.json")):
            return False
    cause = " ".join(str(failure).split())[:300]
    raise ModelError(
        f"encoder.model={name}: it is neither a folder nor can it be had from the model hub; use a local folder or "
        f"{builtin_e5.MODEL_NAME} ({type(failure).__name__}: {cause})"
    )


def length_groups(lengths: Sequence[int], per_pass: int = 64) -> list[tuple[int, int]]:
    """Cut ascending lengths into slices of least cost: padded tokens plus ``per_pass`` for each forward pass.

    Returns:
        ``(start, end)`` of each slice.

    Example:
        >>> length_groups([5] * 20 + [90] * 20)
        [(0, 20), (20, 40)]
    """
    best = [0.0] + [float("inf")] * len(lengths)
    cut = [0] * (len(lengths) + 1)
    for end in range(1, len(lengths) + 1):
        for start in range(end):
            cost = best[start] + (end - start) * lengths[end - 1] + per_pass
            if cost < best[end]:
                best[end], cut[end] = cost, start
    slices: list[tuple[int, int]] = []
    end = len(lengths)
    while end:
        slices.append((cut[end], end))
        end = cut[end]
    return slices[::-1]


def _first(*prompts: str | None) -> str:
    """The first argument that is set; of the model's own prompts an empty one does not count."""
    given, *own = prompts
    return given if given is not None else next((p for p in own if p), "")


def _transformer(model: SentenceTransformer) -> Any:
    module = model[0]
    return getattr(module, "model", None) or getattr(module, "auto_model", module)


def _unused(name: str) -> bool:
    """BERT's pooler takes no part in mean pooling; its parameters would only be carried along."""
    return ".pooler." in name


def _spare_rows(rows: Tensor, padding: int, size: int) -> Tensor:
    """Unused row numbers, to fill up to ``padding`` where fewer rows than that are active."""
    short = max(0, padding - len(rows))
    if not short:
        return rows[:0]
    free = torch.ones(size, dtype=torch.bool)
    free[rows] = False
    free[padding] = False
    return free.nonzero().squeeze(1)[:short]


def _move(batch: TextBatch, device: torch.device) -> TextBatch:
    groups = ({k: v.to(device) if isinstance(v, Tensor) else v for k, v in g.items()} for g in batch.groups)
    return TextBatch(tuple(groups), batch.order.to(device))


def _without_pooler(path: Path, transformer: Any) -> None:
    """Note in the saved folder that there is no pooler, or loading it would invent one and warn."""
    config_file = path / "sentence_bert_config.json"
    if getattr(transformer, "pooler", "absent") is None and config_file.is_file():
        config = json.loads(config_file.read_text(encoding="utf-8"))
        config.setdefault("model_kwargs", {})["add_pooling_layer"] = False
        config_file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
