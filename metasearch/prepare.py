"""Make the components of a run and check that they fit: all that can be wrong with the input is found here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from metasearch.algorithm import TrainingPlan
from metasearch.config import Config
from metasearch.core import AnyCorpus, Dataset, Embed, Encoder, EpisodeSampler, Loss, MetaAlgorithm, Metric, PairCorpus
from metasearch.core.ranks import ranks
from metasearch.dataset import Split, make_splits
from metasearch.episodes import BaseEmbeddings, EpisodeStream, Mode, parse_mode
from metasearch.errors import ConfigError, DataError
from metasearch.evaluation import VARIANTS, check_metric
from metasearch.registry import registry
from metasearch.registry.registry import warnings_of_broken
from metasearch.report import Reporter, RunFolder

View = Callable[[Encoder], Embed]


@dataclass(frozen=True)
class Parts:
    """The components of a run, made and checked. ``mode`` is None and ``streams`` are empty where there are no meta-tasks."""

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


def prepare(config: Config, clock: Clock, reporter: Reporter, out: Path | None, view: View | None = None) -> Parts:
    """Make every component. All that can be wrong with the input is found here, before anything is written.

    Args:
        config: from :func:`metasearch.compose`.
        clock: is told how long data, model and embeddings took.
        reporter: is told how it goes.
        out: the run folder to be, which must be free; None: nothing will be written.
        view: what samplers see of the texts, given the untrained encoder; None: its embeddings.
    """
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
    if algorithm.trains and not mode and not all(split.train for split in splits):
        raise DataError(f"{corpus.name}: its training part is empty, which algo={config['algo.name']} needs; use algo=zero-shot")
    if out is not None:
        RunFolder.check_free(out)
    device = usable_device(config["device"])
    with clock("load_model"):
        encoder: Encoder = config.create("encoder")
        encoder.to(device, config["precision"])
    _check_kinds(config, algorithm, encoder, loss, dataset)
    if algorithm.trains:
        algorithm.check(encoder, loss)
    if mode:
        if loss.needs_cached_negatives and not getattr(sampler, "cached_negatives", 0):
            raise ConfigError(f"loss={config['loss.name']}: needs sampler.cached_negatives of at least 1, for example 32")
        if loss.needs_base and not getattr(sampler, "base", False):
            raise ConfigError(f"loss={config['loss.name']}: needs sampler.base=true")
    if mode and sampler.needs_embeddings and view is not None:
        sampler.use_embeddings(view(encoder))
    elif mode and sampler.needs_embeddings:
        with clock("embed_for_sampling"):
            _embed_for(
                sampler, encoder, [stream.corpus for of_split in streams for stream in of_split.values()], config, reporter
            )
            _check_streams(streams)
    if mode:
        encoder.prepare(streams[0]["train"].task(0).sets)  # a model that cannot be trained is found before anything is written
    return Parts(config, reporter, algorithm, mode, metric, dataset, corpus, translated, splits, streams, loss, encoder)


def _embed_for(
    sampler: EpisodeSampler, encoder: Encoder, corpora: Sequence[AnyCorpus], config: Config, reporter: Reporter
) -> None:
    """Hand the sampler the untrained encoder's view of the texts that meta-tasks are drawn from."""
    texts = {text for corpus in corpora for side in corpus.texts.values() for text in side}
    with reporter.stage("embedding texts for sampling", len(texts)) as stage:
        sampler.use_embeddings(BaseEmbeddings(encoder, corpora, config["eval.batch_size"], stage.advance))


def training_plan(config: Config) -> TrainingPlan:
    """How long to train."""
    return TrainingPlan(
        config["train.tasks"],
        config["valid.tasks"],
        config["train.epochs"],
        config["train.patience"],
        config["train.eval_every"],
        config["train.checkpoint_every"],
        config["train.on_nonfinite"],
        config["train.schedule"],
        config["train.warmup"],
    )


def scores_dev(config: Config) -> bool:
    """Whether training scores dev: where the last state is kept whatever dev says, only if that is asked for."""
    return config["train.keep"] == "best" or config["train.patience"] is not None or config["train.eval_every"] is not None


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
    if not algorithm.needs_tasks:
        return None
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
    if algorithm.trains and algorithm.needs_tasks and loss.kind != encoder.kind:
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


def usable_device(name: str) -> str:
    """The torch device that the setting ``device`` stands for.

    Raises:
        ConfigError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device={name}: this PyTorch sees no CUDA device; use device=auto or device=cpu")
    return _own_gpu(name) if name.startswith("cuda") and ranks().world > 1 else name


def _own_gpu(name: str) -> str:
    """The GPU of this process: that of its number on the machine."""
    number, there = ranks().local, torch.cuda.device_count()
    if name != "cuda":
        raise ConfigError(f"device={name}: each of several processes takes a GPU of its own; use device=cuda")
    if number >= there:
        raise ConfigError(
            f"device=cuda: more processes on this machine than its {there} GPUs; use --nproc-per-node {there}, or device=cpu"
        )
    return f"cuda:{number}"


# -- small things --------------------------------------------------------------------------------------------------------


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


class Clock:
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
