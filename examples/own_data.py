"""From a table of one's own questions and answers to a search over them, in either language.

    python examples/own_data.py [MODEL]

The table is examples/data/bicycles.csv: fifteen questions to a bicycle shop, in English and German, with the columns id,
language, anchor and positive. What is made goes to own-data/ in the current folder. MODEL is any SentenceTransformer folder or
hub name; the default is the built-in encoder (a few minutes on two cores at most).
"""

from __future__ import annotations

import sys
from pathlib import Path

import metasearch

TABLE = Path(__file__).parent / "data" / "bicycles.csv"


def main(model: str = "builtin:multilingual-e5-small") -> None:
    # Train on four fifths of the questions, from English to German to both; score on the last fifth.
    result = metasearch.run(
        "data=pairs",
        f"data.path={TABLE}",
        "algo=maml-align",
        "algo.inner_steps=2",
        "mode=en_en -> en_de -> en_{de,en}; de_de -> de_en -> de_{de,en}",
        f"encoder.model={model}",
        "sampler.support_size=2",
        "sampler.query_size=1",
        "sampler.num_negatives=2",
        "train.tasks=8",
        "train.epochs=1",
        "valid.tasks=0",
        "out=own-data/run",
    )
    print(f"{result.metric} {100 * result.main_score['value']:.1f} in the pool of both languages")

    # Search all answers with the model that came out.
    metasearch.build_index("own-data/run", str(TABLE), "own-data/index")
    index = metasearch.open_index("own-data/index")
    question = "Kann man die Batterie bei euch aufladen?"
    [hits] = index.search([question], k=3)
    print(question)
    for hit in hits:
        print(f"  {hit.score:.3f}  {hit.language}  {hit.text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
