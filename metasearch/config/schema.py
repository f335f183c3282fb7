"""The schema of a whole configuration: the fixed keys here, plus the options of the chosen components."""

from __future__ import annotations

from typing import Any

from metasearch.registry import RUN_KINDS, Registered

# Settings that belong to no component.
FIXED: dict[str, dict[str, Any]] = {
    "preset": {
        "type": "string",
        "default": "quick",
        "description": "A named set of settings: quick (minutes on two cores), best (on real data), paper, authors-code.",
    },
    "mode": {
        "type": ["string", "null"],
        "default": None,
        "description": "Transfer mode or arrangement; null where nothing is trained. Each algorithm brings its own.",
    },
    "seed": {
        "type": "integer",
        "minimum": 0,
        "maximum": 2**63 - 1,  # what PyTorch takes
        "default": 0,
        "description": "Seeds folds and sampling.",
    },
    "device": {
        "type": "string",
        "pattern": r"^(auto|cpu|mps|cuda(:\d+)?)$",
        "default": "auto",
        "description": "auto (CUDA when there is one, else CPU), cpu, cuda, cuda:N or mps.",
    },
    "precision": {
        "enum": ["float32", "bfloat16", "float64"],
        "default": "float32",
        "description": "bfloat16: autocast of the forward pass, parameters and gradients stay in float32.",
    },
    "out": {
        "type": ["string", "null"],
        "default": None,
        "description": "Run folder; null: runs/DATE-TIME-ALGO. A folder that holds a run is never overwritten.",
    },
    "train": {
        "type": "object",
        "properties": {
            "tasks": {
                "type": "integer",
                "minimum": 1,
                "default": 7000,
                "description": "Meta-tasks of the meta-train pass of an epoch.",
            },
            "epochs": {"type": "integer", "minimum": 1, "default": 20, "description": "Most epochs."},
            "patience": {
                "type": ["integer", "null"],
                "minimum": 1,
                "default": 50,
                "description": "Stop after so many meta-batches without a better dev score; null: never.",
            },
            "eval_every": {
                "type": ["integer", "null"],
                "minimum": 1,
                "default": 25,
                "description": "Score dev every so many meta-batches; null: at the end of an epoch, if keep or patience want it.",
            },
            "keep": {
                "enum": ["best", "last"],
                "default": "best",
                "description": "Which checkpoint becomes the model: the best on dev, or the last.",
            },
            "checkpoint_every": {
                "type": ["integer", "null"],
                "minimum": 1,
                "default": 25,
                "description": "Keep the state every so many meta-batches, for --resume; null: only when interrupted.",
            },
            "schedule": {
                "enum": ["constant", "linear"],
                "default": "constant",
                "description": "The outer rate over a run: constant, or falling in a line to nothing at its end.",
            },
            "warmup": {
                "type": "integer",
                "minimum": 0,
                "default": 0,
                "description": "Meta-batches over which the outer rate rises from nothing.",
            },
            "on_nonfinite": {
                "enum": ["stop", "skip"],
                "default": "stop",
                "description": "What a loss or gradient that is not finite does: stop the run, or leave its meta-batch out.",
            },
            "base_weight": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "default": 0.0,
                "description": "Share of the untrained encoder's weights in the model: averages the two after training.",
            },
            "save": {
                "type": "boolean",
                "default": True,
                "description": "Save the model; without, scores and logs are all that is left of a run.",
            },
        },
    },
    "valid": {
        "type": "object",
        "properties": {
            "tasks": {
                "type": "integer",
                "minimum": 0,
                "default": 2000,
                "description": "Meta-tasks of the meta-valid pass of an epoch (it updates too); 0: no such pass.",
            },
        },
    },
    "eval": {
        "type": "object",
        "properties": {
            "batch_size": {"type": "integer", "minimum": 1, "default": 32, "description": "Texts per forward pass."},
            "variants": {
                "type": "array",
                "items": {"enum": ["multi", "bi", "mono"]},
                "minItems": 1,
                "uniqueItems": True,
                "default": ["multi", "bi", "mono"],
                "description": "Language variants to score.",
            },
            "run_depth": {
                "type": "integer",
                "minimum": 1,
                "default": 100,
                "description": "Candidates per question in run.trec.",
            },
            "baseline": {
                "type": "boolean",
                "default": True,
                "description": "Score the untrained encoder too, for the table before and after.",
            },
        },
    },
}

# Options that a kind of component has whatever its name, applied outside the component.
COMMON: dict[str, dict[str, dict[str, Any]]] = {
    "data": {
        "fold": {
            "enum": [0, 1, 2, 3, 4, "all", "none"],
            "default": 0,
            "description": "Which of five folds by article is the test split; all: each in turn; none: score everything.",
        },
        "translated": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "string", "minLength": 1},
            "minProperties": 1,
            "default": None,
            "description": "Machine-translated training files by language, {ar: FILE, de: FILE}, in SQuAD or STSb format.",
        },
        "translated_use": {
            "enum": ["add", "replace"],
            "default": "add",
            "description": "Whether meta-tasks draw from translated files too, or from nothing else.",
        },
    },
}

DEFAULT_COMPONENTS = {
    "encoder": "triplet",
    "algo": "maml-align",
    "sampler": "random",
    "loss": "triplet",
    "data": "mini",
    "metric": "map",
}


def component_options(registered: Registered) -> dict[str, Any]:
    """Option name -> schema of one component, with the options common to its kind."""
    return {**COMMON.get(registered.kind, {}), **registered.component.options}


def full_schema(components: dict[str, Registered]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a configuration with these components.

    Args:
        components: kind -> the component chosen.
    """
    properties: dict[str, Any] = {}
    for kind in RUN_KINDS:
        options = component_options(components[kind])
        properties[kind] = {
            "type": "object",
            "properties": {"name": {"type": "string"}, **options},
            "required": ["name", *options],
            "additionalProperties": False,
        }
    for key, schema in FIXED.items():
        if schema.get("type") == "object":
            schema = {**schema, "required": list(schema["properties"]), "additionalProperties": False}
        properties[key] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def fixed_defaults() -> dict[str, Any]:
    """Dotted key -> default, of the settings that belong to no component."""
    defaults: dict[str, Any] = {}
    for key, schema in FIXED.items():
        if schema.get("type") == "object":
            defaults.update({f"{key}.{name}": sub["default"] for name, sub in schema["properties"].items()})
        else:
            defaults[key] = schema["default"]
    return defaults
