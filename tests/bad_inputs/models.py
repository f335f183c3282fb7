"""Model folders and checkpoints: what is damaged, and what would run somebody else's code."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bad_inputs import Case, Content, half, put, without

_EVALUATE = ("evaluate", "./model", "data.languages=[ar]", "eval.variants=[mono]")
_BASE = ("model",)


def _model(name: str, file: str, content: Content, *said: str, process: bool = False) -> Case:
    return Case(f"model: {name}", _EVALUATE, said, {f"model/{file}": content}, _BASE, process=process)


class Harmful:
    """What a pickle can do: run a command while it is read."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch broken",)


def harmful_pickle() -> bytes:
    """Weights as ``torch.save`` writes them, which run a command when anything but ``weights_only`` loads them."""
    import torch

    file = io.BytesIO()
    torch.save({"embeddings.word_embeddings.weight": torch.zeros(1), "x": Harmful()}, file)
    return file.getvalue()


def _only_pickle(folder: Path) -> None:
    (folder / "model/model.safetensors").unlink()
    (folder / "model/pytorch_model.bin").write_bytes(harmful_pickle())


def _asks_for_pickle(folder: Path) -> None:
    """A folder whose own settings ask for ``weights_only=False``."""
    _only_pickle(folder)
    file = folder / "model/sentence_bert_config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model_kwargs"] = {"weights_only": False, "use_safetensors": False, "trust_remote_code": True}
    file.write_text(json.dumps(content), encoding="utf-8")
    config = folder / "model/config.json"
    # Without a type there, Transformers looks at the weights for it, and does as the settings say.
    config.write_bytes(without("dtype")(config.read_bytes()))


def _bare_pickle(folder: Path) -> None:
    (folder / "model/model.safetensors").unlink()
    (folder / "model/pytorch_model.bin").write_bytes(pickle.dumps(Harmful(), protocol=2))


def _module(name: str, code: str = "open('broken', 'w')\n") -> Callable[[Path], None]:
    """Name a class in ``modules.json``, and put a file of that name into the model's folder and beside it."""

    def prepare(folder: Path) -> None:
        file = folder / "model/modules.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        content[1]["type"] = name
        file.write_text(json.dumps(content), encoding="utf-8")
        for place in (folder, folder / "model"):
            (place / "evil_module.py").write_text(code, encoding="utf-8")

    return prepare


def _own_code(folder: Path) -> None:
    """A backbone of a kind of its own, with the code for it."""
    file = folder / "model/config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model_type"] = "evil"
    content["auto_map"] = {"AutoConfig": "evil_module.Config", "AutoModel": "evil_module.Model"}
    file.write_text(json.dumps(content), encoding="utf-8")
    (folder / "model/evil_module.py").write_text("open('broken', 'w')\n", encoding="utf-8")


def _unsafe(name: str, prepare: Callable[[Path], object], *said: str, process: bool = False) -> Case:
    return Case(f"model: {name}", _EVALUATE, said, base=_BASE, prepare=prepare, process=process)


def _begun(name: str, file: str, content: Content, *said: str) -> Case:
    files = {"run/results.json": None, f"run/{file}": content}
    return Case(f"checkpoint: {name}", ("run", "--resume", "run"), said, files, ("run",))


def _ended(name: str, file: str, content: Content, *said: str) -> Case:
    return Case(f"checkpoint: an ended run's {name}", ("run", "--resume", "run"), said, {f"run/{file}": content}, ("run",))


CASES = [
    _model(
        "weights cut off",
        "model.safetensors",
        half,
        "encoder.model=./model: the folder is not a model",
        "model/model.safetensors: damaged",
    ),
    _model("weights empty", "model.safetensors", b"", "model/model.safetensors: damaged"),
    _model("weights of text", "model.safetensors", b"these are no weights at all", "model/model.safetensors: damaged"),
    _model(
        "weights with a header of 8 exabytes", "model.safetensors", b"\xff" * 7 + b"\x7f{}", "model/model.safetensors: damaged"
    ),
    _model("weights that are a pickle", "model.safetensors", lambda raw: harmful_pickle(), "model/model.safetensors: damaged"),
    _model("weights missing", "model.safetensors", None, "encoder.model=./model: the folder is not a model"),
    _model("config missing", "config.json", None, "encoder.model=./model: the folder is not a model"),
    _model("config cut off", "config.json", half, "encoder.model=./model", "model/config.json: damaged"),
    _model(
        "config of a backbone that is none",
        "config.json",
        put("model_type", value="\x1b[2J"),
        "encoder.model=./model: the folder is not a model",
    ),
    _model(
        "config with a width of text",
        "config.json",
        put("hidden_size", value="wide"),
        "encoder.model=./model: the folder is not a model",
    ),
    _model(
        "config with another width",
        "config.json",
        put("hidden_size", value=64),
        "encoder.model=./model: the folder is not a model",
    ),
    _model("tokenizer missing", "tokenizer.json", None, "encoder.model=./model: the folder is not a model"),
    _model("tokenizer cut off", "tokenizer.json", half, "encoder.model=./model", "model/tokenizer.json: damaged"),
    _model("tokenizer of numbers", "tokenizer.json", b"[1, 2]", "encoder.model=./model: the folder is not a model"),
    _model("modules cut off", "modules.json", half, "modules.json", "not JSON"),
    _model("modules are an object", "modules.json", b"{}", "modules.json", "expected a list"),
    _model("modules are empty", "modules.json", b"[]", "modules.json", "expected a list"),
    _model(
        "a module without a type", "modules.json", b'[{"idx": 0, "name": "0", "path": ""}]', "modules.json: [0].type is missing"
    ),
    _model("a module whose path is a number", "modules.json", put(1, "path", value=3), "modules.json: [1].path is 3"),
    _model(
        "a module outside the folder", "modules.json", put(1, "path", value="../../etc"), "modules.json: [1].path is '../../etc'"
    ),
    _model("a module at the root", "modules.json", put(1, "path", value="/etc"), "modules.json: [1].path is '/etc'"),
    _model(
        "a module that is not there",
        "modules.json",
        put(1, "type", value="sentence_transformers.models.Poool"),
        "encoder.model=./model: the folder is not a model",
    ),
    _model("modules that are not UTF-8", "modules.json", b"\xff", "modules.json", "not UTF-8"),
    _model("pooling cut off", "1_Pooling/config.json", half, "encoder.model=./model", "model/1_Pooling/config.json: damaged"),
    _model(
        "pooling that is none",
        "1_Pooling/config.json",
        b'{"word_embedding_dimension": 32, "pooling_mode": "evil"}',
        "encoder.model=./model: the folder is not a model",
    ),
    _unsafe("a pickle alone", _only_pickle, "pytorch_model.bin: a pickle that holds more than tensors"),
    _unsafe("a bare pickle", _bare_pickle, "pytorch_model.bin: a pickle that holds more than tensors"),
    _unsafe(
        "settings that ask for a pickle",
        _asks_for_pickle,
        "pytorch_model.bin: a pickle that holds more than tensors",
        process=True,
    ),
    _unsafe("a module of another package", _module("os.path"), "modules.json: [1].type is 'os.path'", "sentence_transformers"),
    _unsafe("a module in the folder", _module("evil_module.Pooling"), "modules.json: [1].type is 'evil_module.Pooling'"),
    _unsafe("a module by a name that looks right", _module("sentence_transformers_evil.X"), "modules.json: [1].type"),
    _unsafe("a backbone with its own code", _own_code, "encoder.model=./model: the folder is not a model"),
    Case("model: no such folder", ("evaluate", "./gone"), ("encoder.model=./gone: no such folder",)),
    Case("model: a file", ("evaluate", "./file"), ("encoder.model=./file: no such folder",), {"file": "x"}),
    Case(
        "model: an empty folder",
        ("evaluate", "./m"),
        ("encoder.model=./m: the folder is not a model",),
        prepare=lambda f: (f / "m").mkdir(),
    ),
    Case(
        "model: train on from weights that are damaged",
        ("run", "encoder.model=./model"),
        ("encoder.model=./model",),
        {"model/model.safetensors": half},
        _BASE,
    ),
    Case(
        "checkpoint: a run's weights cut off",
        ("evaluate", "run"),
        ("run/model/model.safetensors: damaged",),
        {"run/model/model.safetensors": half},
        ("run",),
    ),
    Case(
        "checkpoint: no model in it",
        ("run", "encoder.model=run/checkpoints"),
        ("encoder.model=run/checkpoints: the folder is not a model",),
        base=("run",),
    ),
    Case("checkpoint: no such run", ("run", "--resume", "gone"), ("--resume gone: no such folder",)),
    Case("checkpoint: no run", ("run", "--resume", "full"), ("--resume full: has no config.yaml",)),
    Case(
        "checkpoint: with other settings",
        ("run", "--resume", "run", "seed=1"),
        ("--resume run: goes on with the run as it was configured",),
        base=("run",),
    ),
    _begun("config cut off", "config.yaml", "algo: [\n", "run/config.yaml:2: not valid YAML"),
    _begun(
        "config with an unknown key", "config.yaml", lambda raw: raw + b"evil: 1\n", "evil: no such key (from run/config.yaml)"
    ),
    _begun("config in UTF-16", "config.yaml", lambda raw: raw.decode().encode("utf-16"), "run/config.yaml: not UTF-8 text"),
    _begun("manifest cut off", "manifest.json", half, "run/manifest.json: not JSON"),
    _begun(
        "manifest of other data",
        "manifest.json",
        put("data", "fingerprint", value="x"),
        "run/manifest.json: the data has changed",
    ),
    _begun(
        "manifest of another model", "manifest.json", put("weights", value="x"), "run/manifest.json: the encoder is not the one"
    ),
    _begun("manifest without data", "manifest.json", put("data", value=[]), "run/manifest.json: the data has changed"),
    _begun("scores cut off", "checkpoints/scores.json", half, "run/checkpoints/scores.json: not JSON"),
    _begun(
        "scores of NaN",
        "checkpoints/scores.json",
        put("after", 0, "value", value=float("nan")),
        "scores.json: after[0].value is nan",
    ),
    _ended("results cut off", "results.json", half, "run/results.json: not JSON"),
    _ended("results of a newer version", "results.json", put("schema", value=2), "run/results.json: schema is 2, expected 1"),
    _ended(
        "results with a score of text",
        "results.json",
        put("scores", 0, "value", value="x"),
        "run/results.json: scores[0].value is 'x'",
    ),
]
