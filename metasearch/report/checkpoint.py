"""The state of a training run in one file, whole or not there, and checked when it is read."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from metasearch.errors import DataError


def save_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write nested dictionaries, lists, tuples, numbers, texts and tensors to a safetensors file.

    A tensor that occurs twice (the encoder's parameters are the algorithm's) is written once. The file is written beside its
    place, flushed to disk and then renamed, so that what has the name is always whole.

    Args:
        file: ends in ``.safetensors``.
        state: what to keep; tensors are copied to the CPU.
    """
    tensors: dict[str, Tensor] = {}
    packed = _pack(state, tensors, {})
    checks = {name: _checksum(tensor) for name, tensor in tensors.items()}
    partial = file.with_name(file.name + ".partial")
    try:
        save_file(tensors, str(partial), {"state": json.dumps(packed), "crc32": json.dumps(checks)})
        sync(partial)
        partial.replace(file)
    except BaseException:  # a full disk above all, which half a checkpoint would leave full
        partial.unlink(missing_ok=True)
        raise
    sync(file.parent)


def load_state(file: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, tensors on the CPU.

    Raises:
        DataError: it is not there, cut off, or a bit of it has changed.
    """
    try:
        with safe_open(str(file), framework="pt") as opened:
            about = opened.metadata() or {}
            packed, checks = json.loads(about["state"]), json.loads(about["crc32"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no dictionary)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{file}: no whole checkpoint: {type(error).__name__}: {error}") from error
    for name, tensor in tensors.items():
        if checks.get(name) != _checksum(tensor):
            raise DataError(f"{file}: damaged: the checksum of {name} is wrong")
    try:
        found: dict[str, Any] = _unpack(packed, tensors)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: damaged: its state does not fit its tensors ({type(error).__name__}: {error})") from error
    return found


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _pack(value: Any, tensors: dict[str, Tensor], names: dict[tuple[Any, ...], str]) -> Any:
    """What JSON can hold, with tensors put aside. Dictionaries become pairs: an optimiser's keys are whole numbers."""
    if isinstance(value, Tensor):
        key = (value.untyped_storage().data_ptr(), value.storage_offset(), value.shape, value.stride(), value.dtype)
        if value.numel() == 0 or key not in names:
            names[key] = f"t{len(tensors)}"
            tensors[names[key]] = value.detach().cpu().contiguous()
        return {"tensor": names[key]}
    if isinstance(value, Mapping):
        return {"mapping": [[_pack(k, tensors, names), _pack(v, tensors, names)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(v, tensors, names) for v in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint holds numbers, texts and tensors, not {type(value).__name__}")


def _unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(packed, dict):
        return packed
    [(kind, content)] = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "mapping":
        return {_unpack(k, tensors): _unpack(v, tensors) for k, v in content}
    values = [_unpack(v, tensors) for v in content]
    return tuple(values) if kind == "tuple" else values


def _checksum(tensor: Tensor) -> int:
    # Empty tensors have no bytes to view.
    return zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data) if tensor.numel() else 0
