"""A model's fingerprint: what it makes of a few fixed texts. Another model in the same folder gives itself away."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from metasearch.core import CANDIDATE, QUERY, Encoder
from metasearch.errors import DataError

_TEXTS = ("Who discovered penicillin?", "النحل يصنع العسل.", "मधुमक्खियाँ शहद बनाती हैं।", "น้ำเดือดที่ 100 องศา")
# How far apart, relative to its length, one vector of one model may lie on two machines. Training moves it further.
_TOLERANCE = {"float32": 1e-3, "float64": 1e-3, "bfloat16": 3e-2}


def take_probe(encoder: Encoder) -> dict[str, Any]:
    """Encode the fixed texts.

    Returns:
        ``{"texts": [...], "dimension": d, "float32": base64 of (2 x texts, d)}``, as queries and then as candidates.
    """
    vectors = np.concatenate([encoder.encode(_TEXTS, QUERY), encoder.encode(_TEXTS, CANDIDATE)]).astype("<f4")
    return {
        "texts": list(_TEXTS),
        "dimension": int(vectors.shape[1]),
        "float32": base64.b64encode(vectors.tobytes()).decode("ascii"),
    }


def distance(one: Mapping[str, Any], other: Mapping[str, Any], place: str) -> float:
    """Largest distance between vectors of the same text, relative to their length; infinite if their dimensions differ.

    Args:
        one: from :func:`take_probe`.
        other: from :func:`take_probe`, or from a file.
        place: of ``other``, for messages.

    Raises:
        DataError: ``other`` is none.
    """
    if (one["dimension"], one["texts"]) != (other.get("dimension"), other.get("texts")):
        return float("inf")
    a, b = _vectors(one, place), _vectors(other, place)
    return float((np.linalg.norm(a - b, axis=1) / np.maximum(np.linalg.norm(a, axis=1), 1e-12)).max())


def same_model(one: Mapping[str, Any], other: Mapping[str, Any], precision: str, place: str) -> bool:
    """Whether two fingerprints are of one model, up to the rounding of ``precision``."""
    return distance(one, other, place) <= _TOLERANCE[precision]


def _vectors(probe: Mapping[str, Any], place: str) -> np.ndarray:
    try:
        flat = np.frombuffer(base64.b64decode(probe["float32"], validate=True), dtype="<f4")
        return flat.reshape(2 * len(_TEXTS), probe["dimension"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{place}: the model's fingerprint (probe) is damaged; build the index again") from error
