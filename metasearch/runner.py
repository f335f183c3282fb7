"""The way of the data, top to bottom: config, data set, splits, episodes, algorithm, evaluation, report."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from metasearch.algorithm import Learner, Progress, Trainer, TrainingPlan
from metasearch.config import Config, compose
from metasearch.core import AnyCorpus, Dataset, Encoder, EpisodeSampler, Loss, MetaAlgorithm, Metric, PairCorpus, expand
from metasearch.dataset import Split, make_splits
from metasearch.episodes import BaseEmbeddings, EpisodeStream, Mode, parse_mode
from metasearch.errors import ConfigError, DataError
from metasearch.evaluation import VARIANTS, EncodedPairs, Row, Scored, check_metric, count_texts, main_score, score_corpus
from metasearch.registry import registry
from metasearch.registry.registry import warnings_of_broken
from metasearch.report import Reporter, RunFolder, summarise
from metasearch.report.embedding_map import embedding_map
from metasearch.report.manifest import manifest
from metasearch.report.model_card import model_card


@dataclass(frozen=True)
class RunResult:
    """What a run or an evaluation found.

    Attributes:
        path: the run folder; None for an evaluation that was not asked to write one.
        config: the resolved configuration.
        rows: scores after training, all folds.
        before: scores of the untrained encoder; empty if not asked for, or if nothing was trained.
        metric: name of the main metric, for example ``"map@20"``.
        timings: stage -> seconds.
        counts: what the data held.
    """

    path: Path | None
    config: Config
    rows: tuple[Row, ...]
    before: tuple[Row, ...]
    metric: str
    timings: Mapping[str, float]
    counts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_track(self) -> bool:
        """Whether the rows are tracks of sentence pairs, not languages of questions."""
        return "tracks" in self.counts

    @property
    def main_score(self) -> dict[str, Any]:
        """Mean of the main metric over question languages in the multilingual pool, or the first variant scored.

        For sentence pairs: over all tracks, and the variant is None.
        """
        variants: list[str | None] = [v for v in VARIANTS if any(r.variant == v for r in self.rows)]
        if self.by_track:
            variants = [None]
        summary = summarise(self.rows, self.metric, variants[0]) if self.rows else None
        return {
            "metric": self.metric,
            "variant": variants[0] if variants else None,
            "split": self.rows[0].split if self.rows else None,
            "value": summary.mean if summary else None,
            "std": summary.std if summary else None,
            "folds": list(summary.folds) if summary else [],
        }

    def to_json(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        return {
            "schema": 1,
            "main_score": self.main_score,
            "scores": [row.to_json() for row in self.rows],
            "baseline_scores": [row.to_json() for row in self.before],
            "timings": {name: round(seconds, 3) for name, seconds in self.timings.items()},
            "data": dict(self.counts),
        }


def run(*words: str, file: str | Path | None = None, reporter: Reporter | None = None) -> RunResult:
    """Train and evaluate: what ``metasearch run`` does.

    Args:
        words: overrides, ``"algo=maml"``, ``"train.tasks=8"``, ...; see :func:`metasearch.compose`.
        file: a YAML configuration file.
        reporter: is told how it goes; None: silence.

    Returns:
        Scores; the trained model is in ``result.path / "model"``.

    Raises:
        MetasearchError: with a message for the user; nothing has been written if config or data are at fault.
    """
    config = compose(*words, file=file)
    return run_config(config, reporter or Reporter(), command_line("run", words, file))


def run_config(config: Config, reporter: Reporter, command: str, seen: Sequence[str] = ()) -> RunResult:
    """Run a composed configuration (see :func:`run`).

    Args:
        config: from :func:`metasearch.compose`.
        reporter: is told how it goes.
        command: what the user typed, for manifest and model card.
        seen: languages that the encoder was trained on before, where this run does not train.
    """
    clock = _Clock()
    out = expand(config["out"] or fresh_path(config["algo.name"]), "out")
    parts = _prepare(config, clock, reporter, out)
    folder = RunFolder.create(out)
    folder.write_text("config.yaml", config.to_yaml(out=None))  # so that --config runs it again, in another folder
    about = manifest(config, command, str(parts.encoder.device))
    about["data"] = _data(parts.corpus, parts.splits)
    if parts.translated is not None:
        about["data"]["translated"] = {"fingerprint": parts.translated.fingerprint, **_counts(parts.translated)}
    folder.write_json("manifest.json", {**about, "encoder": parts.encoder.describe()})

    mode, encoder = parts.mode, parts.encoder
    seen = sorted(mode.languages) if mode else seen
    scorer = _Scorer(config, encoder, parts.metric, reporter)
    torch.manual_seed(config["seed"])
    initial = {n: p.detach().clone() for n, p in encoder.parameters().items()} if len(parts.splits) > 1 else {}
    rows: list[Row] = []
    before: list[Row] = []
    for split, streams in zip(parts.splits, parts.streams, strict=True):
        part = folder if len(parts.splits) == 1 else folder.part(f"fold-{split.fold}")
        base: Scored | None = None
        part.open()
        if initial:
            encoder.load_parameters(initial)
        if mode:
            if config["eval.baseline"]:
                with clock("score_before"):
                    base = scorer.test(split, (), "scoring the untrained encoder")
            with clock("train"):
                progress = _train(parts, split, streams, scorer, part)
            clock.add("train_steps", progress.seconds)  # without the scoring of dev: what the paper's Table 6 counts
            part.write_json("checkpoints/progress.json", progress.to_json())
        with clock("score_after"):
            after = scorer.test(split, seen, "scoring the encoder")
        _write_scored(part, config, base, after)
        base_rows = base.rows if base else []
        if mode and config["train.save"]:
            with clock("save_model"):
                encoder.save(part.model, _card(parts, command, seen, base_rows, after.rows))
        part.drop_checkpoint("best")
        before += base_rows
        rows += after.rows
    if not mode and encoder.trainable and config["train.save"]:  # one model for all folds
        with clock("save_model"):
            encoder.save(folder.model, _card(parts, command, seen, (), rows))
    folder.write_json("manifest.json", {**about, "encoder": encoder.describe(), "languages_seen": list(seen)})
    result = RunResult(out, config, tuple(rows), tuple(before), parts.metric.primary, clock.seconds, about["data"])
    folder.write_json("results.json", result.to_json())
    return result


def evaluate(model: str, *words: str, file: str | Path | None = None, reporter: Reporter | None = None) -> RunResult:
    """Score a model, without training: what ``metasearch evaluate`` does.

    Args:
        model: a built-in name, a SentenceTransformer folder, a hub name, a run folder, or the model/ folder in one. A run's
            configuration, fold and few-shot languages hold unless ``words`` say otherwise; each fold is scored with its
            own model.
        words: overrides. Without a run, or on other data than the run's, ``data.fold`` is ``none``: everything is scored.
        file: a YAML configuration file; a run brings its own.
        reporter: is told how it goes; None: silence.

    Returns:
        Scores; nothing is written unless ``out=`` is given.
    """
    reporter = reporter or Reporter()
    run_folder, models = _models_of(expand(model, "model"))
    if run_folder is not None and file is not None:
        raise ConfigError(f"--config {file}: {model} is a run, which brings its own configuration; give overrides instead")
    sources: list[tuple[str | Path, int | None]] = [*models] or [(model, None)]
    configs = [_evaluation_config(source, fold, run_folder, words, file) for source, fold in sources]
    if len(configs) > 1 and configs[0]["out"] is not None:
        raise ConfigError(f"{model}: a run of {len(models)} folds; with out=, name one of its models: {models[0][0]}, ...")
    command = command_line("evaluate", (model, *words), file)
    seen = _seen_by(run_folder) if run_folder else []
    results = [_evaluate_one(config, seen, reporter, command) for config in configs]
    rows = tuple(row for result in results for row in result.rows)
    timings = {stage: sum(r.timings[stage] for r in results) for stage in results[0].timings}
    return replace(results[0], rows=rows, timings=timings)


def _evaluation_config(
    source: str | Path, fold: int | None, run_folder: Path | None, words: Sequence[str], file: str | Path | None
) -> Config:
    """Compose what it takes to score one model, as its run was configured if it has one."""
    model = f"encoder.model='{source}'"
    if run_folder is None:
        config = compose("algo=zero-shot", model, *words, file=file, defaults={"data.fold": "none"})
    else:
        recorded = run_folder / "config.yaml"
        ours = ["algo=zero-shot", "mode=null", model, *([] if fold is None else [f"data.fold={fold}"])]
        config = compose(*ours, *words, file=recorded)
        if config["data.name"] != compose(file=recorded)["data.name"]:  # a fold of other data would mean nothing
            config = compose(*ours, "data.fold=none", *words, file=recorded)
        if config.kind != compose(file=recorded).kind:  # nor would encoder, loss and metric for the other kind of data
            config = compose("algo=zero-shot", model, *words, defaults={"data.fold": "none"})
    if config.components["algo"].name != "zero-shot":
        raise ConfigError(f"algo={config['algo.name']}: evaluate does not train; use metasearch run")
    return config


def _evaluate_one(config: Config, seen: Sequence[str], reporter: Reporter, command: str) -> RunResult:
    if config["out"] is not None:
        return run_config(config, reporter, command, seen)
    clock = _Clock()
    parts = _prepare(config, clock, reporter, None)
    scorer = _Scorer(config, parts.encoder, parts.metric, reporter)
    with clock("score"):
        rows = [row for split in parts.splits for row in scorer.test(split, seen, "scoring the encoder").rows]
    data = _data(parts.corpus, parts.splits)
    return RunResult(None, config, tuple(rows), (), parts.metric.primary, clock.seconds, data)


# -- stages --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """The components of a run, made and checked. ``mode`` is None and ``streams`` are empty where nothing is trained."""

    config: Config
    reporter: Reporter
    algorithm: MetaAlgorithm
    mode: Mode | None
    metric: Metric
    dataset: Dataset
    corpus: AnyCorpus
    translated: AnyCorpus | None
    splits: list[Split]
    streams: list[dict[str, EpisodeStream]]
    loss: Loss
    encoder: Encoder


def _prepare(config: Config, clock: _Clock, reporter: Reporter, out: Path | None) -> _Parts:
    """Make every component. All that can be wrong with the input is found here, before anything is written."""
    _greet(config, reporter)
    algorithm: MetaAlgorithm = config.create("algo")
    metric: Metric = config.create("metric")
    loss: Loss = config.create("loss")
    dataset: Dataset = config.create("data")
    mode = _mode(config, algorithm, dataset)
    check_metric(metric, dataset.kind)
    with clock("read_data"):
        corpus = dataset.load()
        _check_variants(corpus, config)
        splits = make_splits(corpus, config["data.fold"], config["seed"], dataset.dev_share)
        translated = dataset.load_translated(config["data.translated"]) if mode and config["data.translated"] else None
    for read in (corpus, *([translated] if translated else [])):
        _warn_of_problems(read, reporter)
    sampler: EpisodeSampler = config.create("sampler")
    streams = [_streams(config, mode, split, translated, sampler, dataset) if mode else {} for split in splits]
    if not sampler.needs_embeddings:
        _check_streams(streams)
    if out is not None:
        RunFolder.check_free(out)
    device = _device(config["device"])
    with clock("load_model"):
        encoder: Encoder = config.create("encoder")
        encoder.to(device, config["precision"])
    _check_kinds(config, algorithm, encoder, loss, dataset)
    if mode:
        algorithm.check(encoder, loss)
        if loss.needs_cached_negatives and not getattr(sampler, "cached_negatives", 0):
            raise ConfigError(f"loss={config['loss.name']}: needs sampler.cached_negatives of at least 1, for example 32")
    if mode and sampler.needs_embeddings:
        with clock("embed_for_sampling"):
            _embed_for(sampler, encoder, [corpus, *([translated] if translated else [])], config, reporter)
            _check_streams(streams)
    return _Parts(config, reporter, algorithm, mode, metric, dataset, corpus, translated, splits, streams, loss, encoder)


def _embed_for(
    sampler: EpisodeSampler, encoder: Encoder, corpora: Sequence[AnyCorpus], config: Config, reporter: Reporter
) -> None:
    """Hand the sampler the untrained encoder's view of all texts."""
    with reporter.stage("embedding all texts for sampling", sum(map(count_texts, corpora))) as stage:
        sampler.use_embeddings(BaseEmbeddings(encoder, corpora, config["eval.batch_size"], stage.advance))


def _train(parts: _Parts, split: Split, streams: Mapping[str, EpisodeStream], scorer: _Scorer, folder: RunFolder) -> Progress:
    """Train, keep the best checkpoint on dev (or the last), and leave the encoder at it."""
    config, algorithm, encoder, reporter = parts.config, parts.algorithm, parts.encoder, parts.reporter
    plan = TrainingPlan(
        config["train.tasks"],
        config["valid.tasks"],
        config["train.epochs"],
        config["train.patience"],
        config["train.eval_every"],
    )
    algorithm.start(Learner(encoder, parts.loss))
    keep_best = config["train.keep"] == "best"
    plan_steps = plan.steps(algorithm.meta_batch_size)
    with reporter.stage("training", plan_steps) as stage:

        def on_step(record: dict[str, Any]) -> None:
            folder.log({"fold": split.fold, **record})
            dev = f"  dev {100 * record['dev']:.1f}" if "dev" in record else ""
            rate = record["tasks"] / record["seconds"]
            stage.advance(1, f"{record['phase']}  loss {record['loss']:.4f}  {rate:.2g} tasks/s{dev}")

        def on_best(progress: Progress) -> None:
            if keep_best:
                folder.save_checkpoint("best", encoder.parameters(), progress.to_json())

        score_dev = (lambda: scorer.dev(split)) if split.dev else None
        trainer = Trainer(algorithm, streams, plan, score_dev, on_step, on_best)
        try:
            progress = trainer.run()
        except KeyboardInterrupt:
            saved = folder.path / "checkpoints" / "interrupted"
            encoder.save(saved, f"Interrupted after {trainer.progress.step} meta-batches of {plan_steps}.\n")
            folder.write_json("checkpoints/interrupted.json", {**trainer.progress.to_json(), "of": plan_steps})
            reporter.warn(
                f"interrupted after {trainer.progress.step} of {plan_steps} meta-batches; the encoder as it was is in {saved} "
                "(train on from it with encoder.model=that)"
            )
            raise
    if keep_best and progress.best_step not in (-1, progress.step):
        encoder.load_parameters(folder.load_checkpoint("best"))
    return progress


@dataclass
class _Scorer:
    """Scores the encoder as it is."""

    config: Config
    encoder: Encoder
    metric: Metric
    reporter: Reporter

    def test(self, split: Split, seen: Sequence[str], title: str) -> Scored:
        """Scores on the test part, of an encoder that was trained on the languages ``seen``."""
        config = self.config
        with self.reporter.stage(title, count_texts(split.test)) as stage:
            return score_corpus(
                self.encoder,
                split.test,
                self.metric,
                config["eval.variants"],
                seen,
                split.test_name,
                split.fold,
                config["eval.batch_size"],
                stage.advance,
            )

    def dev(self, split: Split) -> float:
        """The main metric on the dev split: multilingual pool, or for sentence pairs the mean over tracks."""
        variants = VARIANTS if isinstance(split.dev, PairCorpus) else ("multi",)
        scored = score_corpus(self.encoder, split.dev, self.metric, variants, batch_size=self.config["eval.batch_size"])
        score = main_score(scored.rows, self.metric.primary)
        return score if self.metric.higher_is_better else -score


def _write_scored(folder: RunFolder, config: Config, before: Scored | None, after: Scored) -> None:
    """The files beside ``results.json`` that say how each query or pair was answered."""
    if isinstance(after.encoded, EncodedPairs):
        folder.write_pairs(after.encoded)
    else:
        folder.write_trec(after.encoded, config["eval.run_depth"], "metasearch")
        folder.write_queries(after.queries)
        if after.encoded.similarity is not None:  # no embeddings, so no map of them
            return
    folder.write_json("map.json", embedding_map(before.encoded if before else None, after.encoded))


# -- checks --------------------------------------------------------------------------------------------------------------


def _mode(config: Config, algorithm: MetaAlgorithm, dataset: Dataset) -> Mode | None:
    mode = None if config["mode"] is None else parse_mode(config["mode"], dataset.kind)
    if not algorithm.trains:
        return None
    name = config["algo.name"]
    if config["data.fold"] == "none":
        raise ConfigError(
            f"algo={name}: data.fold=none leaves nothing to train on; use data.fold=0 to 4 or all, or algo=zero-shot"
        )
    if mode is None:
        raise ConfigError(f"mode=null: algo={name} needs a transfer mode or an arrangement, for example mode=mono-bi")
    if algorithm.sets is not None and mode.length != algorithm.sets:
        raise ConfigError(
            f"mode={config['mode']}: a chain of {mode.length} sets ({mode.train.chains[0]}), "
            f"but algo={name} takes chains of {algorithm.sets}"
        )
    return mode


def _streams(
    config: Config, mode: Mode, split: Split, translated: AnyCorpus | None, sampler: EpisodeSampler, dataset: Dataset
) -> dict[str, EpisodeStream]:
    if dataset.kind not in sampler.kinds:
        raise ConfigError(
            f"sampler={config['sampler.name']} draws {' and '.join(sampler.kinds)}, but data={config['data.name']} holds "
            f"{dataset.kind}"
        )
    parts = {"train": split.train}
    if config["valid.tasks"]:
        parts["valid"] = split.dev
    if translated is not None:
        parts = _with_translated(parts, translated, config)
    return {
        phase: EpisodeStream(corpus, mode.arrangement(phase), sampler, config["seed"], phase) for phase, corpus in parts.items()
    }


def _with_translated(parts: Mapping[str, AnyCorpus], translated: AnyCorpus, config: Config) -> dict[str, AnyCorpus]:
    """What meta-tasks are drawn from: a fifth of the translated groups goes to meta-valid, the others to meta-train."""
    if "valid" in parts and len(translated.groups) < 2:
        raise DataError("data.translated: one article alone cannot serve meta-train and meta-valid; set valid.tasks=0")
    share = frozenset(translated.groups[::5]) if "valid" in parts else frozenset[str]()
    pieces = {"valid": translated.of_groups(share), "train": translated.of_groups(set(translated.groups) - share)}
    if config["data.translated_use"] == "replace":
        return {phase: pieces[phase] for phase in parts}
    return {phase: corpus.joined(pieces[phase]) for phase, corpus in parts.items()}  # type: ignore[arg-type]


def _check_streams(streams: Sequence[Mapping[str, EpisodeStream]]) -> None:
    """A split too small for its tasks is found now, not in an hour."""
    for stream in (stream for of_split in streams for stream in of_split.values()):
        for index in range(len(stream.arrangement.chains)):
            stream.task(index)


def _check_kinds(config: Config, algorithm: MetaAlgorithm, encoder: Encoder, loss: Loss, dataset: Dataset) -> None:
    if encoder.kind != dataset.kind:
        raise ConfigError(
            f"encoder={config['encoder.name']} embeds {encoder.kind}, but data={config['data.name']} holds {dataset.kind}"
        )
    if algorithm.trains and not encoder.trainable:
        raise ConfigError(
            f"algo={config['algo.name']}: encoder={config['encoder.name']} has nothing to train; use algo=zero-shot"
        )
    if algorithm.trains and loss.kind != encoder.kind:
        raise ConfigError(
            f"loss={config['loss.name']} takes {loss.kind}, but encoder={config['encoder.name']} gives {encoder.kind}"
        )


def _check_variants(corpus: AnyCorpus, config: Config) -> None:
    if isinstance(corpus, PairCorpus):
        there = {"mono" if first == second else "bi" for first, second in corpus.tracks}
    else:
        there = {"multi", "mono", *(["bi"] if len(corpus.languages) > 1 else [])}
    if not there & set(config["eval.variants"]):
        raise ConfigError(
            f"eval.variants=[{','.join(config['eval.variants'])}]: data={config['data.name']} has nothing to score that way; "
            f"it has {', '.join(v for v in VARIANTS if v in there)}"
        )


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device={name}: this PyTorch sees no CUDA device; use device=auto or device=cpu")
    return name


# -- small things --------------------------------------------------------------------------------------------------------


def _data(corpus: AnyCorpus, splits: Sequence[Split]) -> dict[str, Any]:
    return {
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        **_counts(corpus),
        "skipped": sum(p.skipped for p in corpus.problems),
        "problems": len(corpus.problems),
        "splits": [
            {
                "fold": split.fold,
                **{
                    name: {
                        "pairs" if isinstance(part, PairCorpus) else "questions": sum(part.group_sizes.values()),
                        "groups": len(part.groups),
                    }
                    for name, part in (("train", split.train), ("dev", split.dev), (split.test_name, split.test))
                    if part
                },
            }
            for split in splits
        ],
    }


def _counts(corpus: AnyCorpus) -> dict[str, Any]:
    if isinstance(corpus, PairCorpus):
        return {"tracks": {"_".join(languages): {"pairs": len(pairs)} for languages, pairs in corpus.tracks.items()}}
    return {
        "languages": {
            language: {
                "questions": sum(q.language == language for q in corpus.questions),
                "candidates": sum(c.language == language for c in corpus.candidates),
            }
            for language in corpus.languages
        }
    }


def _greet(config: Config, reporter: Reporter) -> None:
    for broken in warnings_of_broken(registry):
        reporter.warn(broken)
    model = f", encoder {config['encoder.model']}" if "model" in config["encoder"] else ""
    mode = f", mode {config['mode']}" if config["mode"] else ""
    reporter.say(f"{config['algo.name']} on {config['data.name']}{model}, preset {config['preset']}{mode}")


def _warn_of_problems(corpus: AnyCorpus, reporter: Reporter) -> None:
    skipped = [p for p in corpus.problems if p.skipped]
    if skipped:
        reporter.warn(f"{corpus.name}: {len(skipped)} records left out, the first: {skipped[0]}")


def _card(parts: _Parts, command: str, seen: Sequence[str], before: Sequence[Row], after: Sequence[Row]) -> str:
    from metasearch import __version__

    config, about = parts.config, parts.encoder.describe()
    return model_card(
        base_model=str(about.get("model", config["encoder.name"])),
        command=command,
        data_name=parts.corpus.name,
        data_citation=parts.dataset.citation,
        data_license=parts.dataset.license,
        translated=dict(config["data.translated"] or {}) if parts.mode else {},
        translated_alone=config["data.translated_use"] == "replace",
        algorithm=config["algo.name"],
        algorithm_citation=parts.algorithm.citation,
        mode=config["mode"] or "none",
        languages=parts.corpus.languages,
        trained_on=seen,
        before=before,
        after=after,
        metric=parts.metric.primary,
        by_track=isinstance(parts.corpus, PairCorpus),
        encoder=about,
        version=__version__,
    )


def _models_of(path: Path) -> tuple[Path | None, list[tuple[Path, int | None]]]:
    """The run that a folder is, or is the model of, with its models to score and their folds; (None, []) if it is neither."""
    if (path / "config.yaml").is_file():
        found: list[tuple[Path, int | None]] = [(path / "model", None)] if (path / "model").is_dir() else []
        found += [(p, int(p.parent.name.removeprefix("fold-"))) for p in sorted(path.glob("fold-[0-4]/model"))]
        if not found:
            raise ConfigError(f"{path}: this run has no model/ folder: it did not finish, or its encoder has nothing to save")
        return path, found
    if path.name == "model" and (path.parent / "config.yaml").is_file():
        return path.parent, [(path, None)]
    if path.name == "model" and path.parent.name.startswith("fold-") and (path.parent.parent / "config.yaml").is_file():
        return path.parent.parent, [(path, int(path.parent.name.removeprefix("fold-")))]
    return None, []


def _seen_by(run_folder: Path) -> list[str]:
    try:
        content = json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))
        return [str(language) for language in content.get("languages_seen", [])]
    except (OSError, ValueError, AttributeError):
        return []


def fresh_path(name: str) -> str:
    """A path under ``runs/`` that does not exist yet, named by date, time and ``name``."""
    stem = f"runs/{datetime.now():%Y%m%d-%H%M%S}-{name}"
    path, number = stem, 1
    while Path(path).exists():
        number += 1
        path = f"{stem}-{number}"
    return path


def command_line(name: str, words: Sequence[str], file: str | Path | None) -> str:
    """The command that does the same, for manifest and model card."""
    return shlex.join(["metasearch", name, *words, *(["--config", str(file)] if file else [])])


class _Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begin)
