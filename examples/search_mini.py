"""Ask a question in any language, find sentences in eight.

    python examples/search_mini.py [MODEL] [QUESTION]

MODEL is a run's model/ folder, any SentenceTransformer folder or hub name, or the built-in encoder (the default).
"""

from __future__ import annotations

import sys

from metasearch import compose
from metasearch.core import CANDIDATE, QUERY


def main(model: str = "builtin:multilingual-e5-small", question: str = "ใครค้นพบเพนิซิลลิน") -> None:
    config = compose("data=mini", f"encoder.model='{model}'")
    corpus = config.create("data").load()
    encoder = config.create("encoder")
    scores = encoder.encode([c.text for c in corpus.candidates], CANDIDATE) @ encoder.encode([question], QUERY)[0]
    print(question)
    for i in scores.argsort()[::-1][:8]:
        print(f"{scores[i]:.3f}  {corpus.candidates[i].language}  {corpus.candidates[i].text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
