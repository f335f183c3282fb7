"""The README.md of a saved model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metasearch.config.files import dump_yaml
from metasearch.evaluation import VARIANTS, Row
from metasearch.report.summary import score_table, summarise

_QUESTIONS = """held-out questions, by language of the question. *multi*: one pool of candidates in all
languages; *bi*: mean over pools in one other language; *mono*: the pool in the question's language.
The means by degree of supervision count a pair of languages as few-shot only if training saw both."""
_USE_QUESTIONS = """questions = model.encode_query(["..."])
answers = model.encode_document(["...", "..."])
print(model.similarity(questions, answers))"""
_USE_PAIRS = """sentences = model.encode_query(["...", "..."])
print(model.similarity(sentences, sentences))"""
_PAIRS = """held-out sentence pairs, by their languages. *bi*: two languages; *mono*: one. A track is few-shot
only if training saw both of its languages."""


def model_card(
    base_model: str,
    command: str,
    data_name: str,
    data_license: str,
    algorithm: str,
    citations: Sequence[str],
    made_by: Mapping[str, str],
    mode: str,
    languages: Sequence[str],
    trained_on: Sequence[str],
    before: Sequence[Row],
    after: Sequence[Row],
    metric: str,
    translated: Mapping[str, str],
    translated_alone: bool,
    by_track: bool,
    encoder: Mapping[str, Any],
    version: str,
) -> str:
    """Write a model card: YAML header (as model hubs read it), scores, how it was made, how to use it.

    Args:
        base_model: what training started from.
        command: the whole command.
        data_name, data_license: of the data set.
        algorithm: its name.
        citations: how to cite encoder, algorithm and data, where there is something to cite.
        made_by: kind -> name of the component, and its package where that is not metasearch.
        mode: transfer mode or arrangement.
        languages: that were scored.
        trained_on: languages seen in training.
        before, after: scores.
        metric: name of the main one.
        translated: language -> machine-translated file.
        translated_alone: whether nothing else was trained on.
        by_track: whether the data holds sentence pairs.
        encoder: what the encoder says of itself (:meth:`metasearch.core.Encoder.describe`).
        version: of metasearch.
    """
    scores = [
        {
            "type": metric,
            "value": round(summarise(after, metric, variant).mean, 4),
            "name": f"{metric}, {variant}lingual",
        }
        for variant in VARIANTS
        if any(row.variant == variant for row in after)
    ]
    header: dict[str, Any] = {
        "language": sorted({*languages, *translated}),
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "sentence-similarity", "metasearch", algorithm],
        "metrics": [metric],
    }
    if not base_model.startswith((".", "/", "~", "builtin:")):
        header["base_model"] = base_model
    if scores:
        header["model-index"] = [
            {
                "name": f"metasearch {algorithm}",
                "results": [
                    {
                        "task": {"type": "semantic-similarity" if by_track else "retrieval"},
                        "dataset": {"name": data_name, "type": data_name},
                        "metrics": scores,
                    }
                ],
            }
        ]
    facts = {
        **made_by,
        "mode": f"`{mode}`",
        "data": f"{data_name} ({data_license})" if data_license else data_name,
        "languages seen in training (few-shot)": ", ".join(trained_on) or "none",
        "languages scored": ", ".join(languages),
        "longest text": ", ".join(f"{side}: {tokens} tokens" for side, tokens in _by_side(encoder, "max_length")),
        "prompts": ", ".join(f"{side}: `{text}`" if text else f"{side}: none" for side, text in _by_side(encoder, "prompts")),
    }
    if translated:
        what = "machine-translated files alone" if translated_alone else "that, and machine-translated files"
        files = ", ".join(f"{language} (`{path}`)" for language, path in translated.items())
        facts["trained on"] = f"{what}: {files}"
    rows = "\n".join(f"| {name} | {said} |" for name, said in facts.items() if said)
    table = score_table(before, after, metric, by_track).markdown() if after else "Not scored."
    references = "\n".join(f"- {c}" for c in citations if c)
    return (
        f"""---
{dump_yaml(header).strip()}
---

# Multilingual search encoder ({algorithm})

Made by metasearch {version} from `{base_model}` with

    {command}

| | |
| --- | --- |
{rows}

## Scores

{metric} x 100 on {_PAIRS if by_track else _QUESTIONS}

{table}

## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
{_USE_PAIRS if by_track else _USE_QUESTIONS}
```

{"## References" if references else ""}

{references}
""".rstrip()
        + "\n"
    )


def _by_side(encoder: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """What an encoder says for queries and for candidates. A plugin's may say anything, which is no reason to lose its model."""
    found = encoder.get(key)
    return list(found.items()) if isinstance(found, Mapping) else []
