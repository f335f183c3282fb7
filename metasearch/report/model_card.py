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
    data_citation: str,
    data_license: str,
    algorithm: str,
    algorithm_citation: str,
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
    """Write a model card: YAML header (as model hubs read it), scores, how it was made, how to use it."""
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
    prompts = encoder.get("prompts", {})
    translation = ""
    if translated:
        what = "machine-translated files alone" if translated_alone else "that, and machine-translated files"
        translation = f"\n| trained on | {what}: {', '.join(f'{language} (`{path}`)' for language, path in translated.items())} |"
    table = score_table(before, after, metric, by_track).markdown() if after else "Not scored."
    citations = "\n".join(f"- {c}" for c in (algorithm_citation, data_citation) if c)
    return (
        f"""---
{dump_yaml(header).strip()}
---

# Multilingual search encoder ({algorithm})

Made by metasearch {version} from `{base_model}` with

    {command}

| | |
| --- | --- |
| algorithm | {algorithm} |
| mode | `{mode}` |
| data | {data_name}{f" ({data_license})" if data_license else ""} |{translation}
| languages seen in training (few-shot) | {", ".join(trained_on) or "none"} |
| languages scored | {", ".join(languages)} |
| longest text | {", ".join(f"{side}: {tokens} tokens" for side, tokens in encoder.get("max_length", {}).items())} |
| prompts | {", ".join(f"{side}: `{prompt}`" if prompt else f"{side}: none" for side, prompt in prompts.items())} |

## Scores

{metric} x 100 on {_PAIRS if by_track else _QUESTIONS}

{table}

## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
{_USE_PAIRS if by_track else _USE_QUESTIONS}
```

{"## References" if citations else ""}

{citations}
""".rstrip()
        + "\n"
    )
