"""The way of the data, top to bottom: config, data set, splits, episodes, algorithm, evaluation, report."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from metasearch.algorithm import Learner, Progress, Trainer
from metasearch.algorithm.interrupt import noted_interrupts
from metasearch.config import Config, compose
from metasearch.config.files import parse_yaml, read_yaml
from metasearch.core import AnyCorpus, Encoder, Metric, PairCorpus, expand
from metasearch.core.ranks import by_first, ranks
from metasearch.dataset import Split
from metasearch.episodes import EpisodeStream
from metasearch.errors import ConfigError, DataError, ModelError
from metasearch.evaluation import (
    VARIANTS,
    EncodedCorpus,
    EncodedPairs,
    Row,
    Scored,
    count_texts,
    main_score,
    own_language,
    score_corpus,
)
from metasearch.prepare import Clock, Parts, prepare, scores_dev, training_plan
from metasearch.registry import Registered
from metasearch.registry.loading import SHIPPED
from metasearch.report import Reporter, RunFolder, summarise
from metasearch.report.checked_json import as_object, brief, dig, is_texts, read_versioned, records
from metasearch.report.embedding_map import embedding_map
from metasearch.report.manifest import manifest
from metasearch.report.model_card import model_card
from metasearch.report.run_files import read_row, read_run
from metasearch.report.run_folder import models_of


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
    clock = Clock()
    out = ranks().from_first(lambda: expand(config["out"] or fresh_path(config["algo.name"]), "out"))
    parts = prepare(config, clock, reporter, out)
    folder = RunFolder.create(out)
    with _held(folder, reporter):
        folder.write_text("config.yaml", config.to_yaml(out=None))  # so that --config runs it again, in another folder
        about = _about(parts, command)
        folder.write_json("manifest.json", {**about, "encoder": parts.encoder.describe()})
        return _run_folds(parts, folder, about, seen, clock)


def resume(path: str | Path, reporter: Reporter | None = None) -> RunResult:
    """Go on with a run that was interrupted or killed: what ``metasearch run --resume`` does.

    On the same machine, weights and scores end up as if it had never stopped, bit for bit. A run that has ended is not run again.

    Args:
        path: the run folder.
        reporter: is told how it goes; None: silence.

    Raises:
        ConfigError: it is no run folder, or another process is at work on it.
        DataError: the data has changed since, or a file of the run is damaged.
        ModelError: the encoder has changed since.
    """
    reporter = reporter or Reporter()
    folder = RunFolder(expand(str(path), "--resume"))
    if not (folder.path / "config.yaml").is_file():
        there = "has no config.yaml" if folder.path.is_dir() else "no such folder"
        raise ConfigError(f"--resume {path}: {there}; expected the folder of a run that has begun (a sweep: repeat its command)")
    config = compose(f"out='{folder.path}'", file=folder.path / "config.yaml")
    with _held(folder, reporter):
        if ranks().from_first((folder.path / "results.json").is_file):
            reporter.say(f"{path}: this run has ended already")
            return _ended(folder.path, config)
        clock = Clock()
        parts = prepare(config, clock, reporter, None)
        about = _recorded(folder, parts)
        return _run_folds(parts, folder, about, _seen_by(folder.path), clock)


def can_resume(folder: Path) -> bool:
    """Whether a folder holds a run that has begun and not ended."""
    return (folder / "config.yaml").is_file() and not (folder / "results.json").is_file()


def same_config(folder: Path, config: Config) -> bool:
    """Whether a run folder's configuration is this one."""
    return read_yaml(folder / "config.yaml") == parse_yaml(config.to_yaml(out=None), "config")


@contextmanager
def _held(folder: RunFolder, reporter: Reporter) -> Iterator[None]:
    """Keep other runs' processes out of the run's folder, and say how to go on if it is interrupted."""
    way_on = f"go on with: metasearch run --resume {shlex.quote(str(folder.path))}"
    with folder.held():
        ranks().way_on = way_on
        try:
            yield
        except KeyboardInterrupt:
            reporter.warn(f"interrupted; {way_on}")
            raise


def _run_folds(parts: Parts, folder: RunFolder, about: dict[str, Any], seen: Sequence[str], clock: Clock) -> RunResult:
    """Train and score fold by fold, or what an earlier process left of that, and write what the run leaves behind."""
    config, mode, encoder = parts.config, parts.mode, parts.encoder
    if len(set(ranks().gather((parts.corpus.fingerprint, about["weights"])))) > 1:
        raise DataError("the processes of this run do not see the same data and encoder; every machine needs the same files")
    seen = sorted(mode.languages) if mode else seen
    scorer = _Scorer(config, encoder, parts.metric, parts.reporter)
    initial = {n: p.detach().clone() for n, p in encoder.parameters().items()} if len(parts.splits) > 1 else {}
    rows: list[Row] = []
    before: list[Row] = []
    for split, streams in zip(parts.splits, parts.streams, strict=True):
        part = folder if len(parts.splits) == 1 else folder.part(f"fold-{split.fold}")
        part.open()
        scores = ranks().from_first(part.read_scores)
        if scores is None:
            if initial:
                parts.algorithm.undo()
                encoder.load_parameters(initial)
            scores = _run_fold(parts, split, streams, scorer, part, about["command"], seen, clock)
            part.write_scores(*scores)
        part.drop_checkpoints()
        before += scores[0]
        rows += scores[1]
    if not parts.algorithm.trains and encoder.trainable and config["train.save"]:  # one model for all folds
        with clock("save_model"):
            _save(parts, folder, about["command"], seen, (), rows)
    folder.write_json("manifest.json", {**about, "encoder": encoder.describe(), "languages_seen": list(seen)})
    result = RunResult(folder.path, config, tuple(rows), tuple(before), parts.metric.primary, clock.seconds, about["data"])
    folder.write_json("results.json", result.to_json())
    return result


def _run_fold(
    parts: Parts,
    split: Split,
    streams: Mapping[str, EpisodeStream],
    scorer: _Scorer,
    part: RunFolder,
    command: str,
    seen: Sequence[str],
    clock: Clock,
) -> tuple[list[Row], list[Row]]:
    """Train and score one fold; its scores before and after."""
    config = parts.config
    base: Scored | None = None
    torch.manual_seed(config["seed"])  # for each fold, so that one that is gone on with alone is the same
    if parts.algorithm.trains:
        if config["eval.baseline"]:
            with clock("score_before"):
                base = scorer.test(split, (), "scoring the untrained encoder")
        with clock("train"):
            progress, found = _train(parts, split, streams, scorer, part)
        clock.add("train_steps", progress.seconds)  # without the scoring of dev: what the paper's Table 6 counts
        part.write_json("checkpoints/progress.json", {**progress.to_json(), "finish": found})
    with clock("score_after"):
        after = scorer.test(split, seen, "scoring the encoder")
    _write_scored(part, config, base, after)
    base_rows = base.rows if base else []
    if parts.algorithm.trains and config["train.save"]:
        with clock("save_model"):
            _save(parts, part, command, seen, base_rows, after.rows)
    return base_rows, after.rows


@by_first
def _save(
    parts: Parts, folder: RunFolder, command: str, seen: Sequence[str], before: Sequence[Row], after: Sequence[Row]
) -> None:
    parts.encoder.save(folder.model, _card(parts, command, seen, before, after))


def _about(parts: Parts, command: str) -> dict[str, Any]:
    """What the manifest says of a run before it begins."""
    data = _data(parts.corpus, parts.splits)
    if parts.translated is not None:
        data["translated"] = {"fingerprint": parts.translated.fingerprint, **_counts(parts.translated)}
    about = manifest(parts.config, command, str(parts.encoder.device))
    return {**about, "data": data, "weights": weights_digest(parts.encoder)}


def _recorded(folder: RunFolder, parts: Parts) -> dict[str, Any]:
    """The manifest of a run that is gone on with, after a look at whether everything is as it was.

    Raises:
        DataError, ModelError: it is not.
    """
    file = folder.path / "manifest.json"
    now = _about(parts, command_line("run", (), folder.path / "config.yaml"))
    if not file.is_file():  # killed before it was written: nothing has been trained yet
        return now
    recorded = read_versioned(file)
    for where, found in (("data", parts.corpus), ("translated data", parts.translated)):
        keys = ("data", "fingerprint") if where == "data" else ("data", "translated", "fingerprint")
        if found is not None and dig(recorded, *keys) != found.fingerprint:
            raise DataError(f"{file}: the {where} has changed since the run began; run the command again, in another folder")
    if recorded.get("weights") != now["weights"]:
        raise ModelError(f"{file}: the encoder is not the one that the run began with; run the command again, in another folder")
    alike = [
        ("packages", "torch"),
        ("packages", "metasearch"),
        *(("hardware", key) for key in ("threads", "processes", "device")),
    ]
    for keys in alike:
        was, is_now = dig(recorded, *keys), dig(now, *keys)
        if was != is_now:
            name = keys[-1]
            parts.reporter.warn(f"{name} was {was}, is {is_now}: the end may differ in the last digits from an uninterrupted run")
    again = recorded.get("resumed")
    recorded["resumed"] = [*(again if isinstance(again, list) else []), now["started"]]
    return {**now, **recorded}


def _ended(path: Path, config: Config) -> RunResult:
    """The result of a run that has ended, as it was written."""
    file = path / "results.json"
    content = read_versioned(file)
    rows, before = (
        tuple(read_row(record, place) for record, place in records(content, key, file)) for key in ("scores", "baseline_scores")
    )
    return RunResult(
        path,
        config,
        rows,
        before,
        read_run(path).metric,
        content.get("timings", {}),
        as_object(content.get("data", {}), str(file)),
    )


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
    run_folder, models = models_of(expand(model, "model"))
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
        # A run's folder may come from anybody: it does not say where we write.
        ours = ["algo=zero-shot", "mode=null", "out=null", model, *([] if fold is None else [f"data.fold={fold}"])]
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
    clock = Clock()
    parts = prepare(config, clock, reporter, None)
    scorer = _Scorer(config, parts.encoder, parts.metric, reporter)
    with clock("score"):
        rows = [row for split in parts.splits for row in scorer.test(split, seen, "scoring the encoder").rows]
    data = _data(parts.corpus, parts.splits)
    return RunResult(None, config, tuple(rows), (), parts.metric.primary, clock.seconds, data)


# -- stages --------------------------------------------------------------------------------------------------------------


def _train(
    parts: Parts, split: Split, streams: Mapping[str, EpisodeStream], scorer: _Scorer, folder: RunFolder
) -> tuple[Progress, dict[str, float]]:
    """Train one fold and finish the encoder; where training stands, and what :meth:`MetaAlgorithm.finish` reports."""
    algorithm, encoder, share = parts.algorithm, parts.encoder, parts.config["train.base_weight"]
    base = {n: p.detach().clone() for n, p in encoder.parameters().items()} if share else {}
    algorithm.start(Learner(encoder, parts.loss))
    progress = _take_steps(parts, split, streams, scorer, folder) if algorithm.needs_tasks else Progress()
    if base:
        encoder.load_parameters({n: p.detach().lerp(base[n], share) for n, p in encoder.parameters().items()})
    found = algorithm.finish(split.train)
    if found:
        parts.reporter.say(", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    return progress, found


def _take_steps(parts: Parts, split: Split, streams: Mapping[str, EpisodeStream], scorer: _Scorer, folder: RunFolder) -> Progress:
    """Train, keep the best checkpoint on dev (or the last), and leave the encoder at it."""
    config, algorithm, encoder, reporter = parts.config, parts.algorithm, parts.encoder, parts.reporter
    plan = training_plan(config)
    keep_best = config["train.keep"] == "best"
    steps = plan.steps(algorithm.meta_batch_size)
    alone = ranks().world == 1  # torchrun passes on a Ctrl-C that the terminal has sent already, so twice is once
    stopping = "stopping after this meta-batch, whose state will be kept"
    stopping += "; once more to stop at once" if alone else ", unless a process has died"
    with noted_interrupts(lambda: reporter.warn(stopping), alone) as interrupted, reporter.stage("training", steps) as stage:

        def on_step(record: dict[str, Any]) -> None:
            if not alone and record["step"] == 1 and not getattr(algorithm, "shared", False):
                reporter.warn(f"algo={config['algo.name']} does not share tasks: every process does all of them, none is saved")
            folder.log({"fold": split.fold, **record})
            dev = f"  dev {100 * record['dev']:.1f}" if "dev" in record else ""
            loss = f"loss {record['loss']:.4f}" if record["loss"] is not None else f"left out: {record['skipped']}"
            stage.advance(1, f"{record['phase']}  {loss}  {record['tasks'] / record['seconds']:.2g} tasks/s{dev}")

        def on_best(progress: Progress) -> None:
            if keep_best:
                folder.save_checkpoint("best", {"parameters": encoder.parameters()})
                folder.write_json("checkpoints/best.json", progress.to_json())

        def on_checkpoint(progress: Progress) -> None:
            folder.keep_state(progress.step, _state(parts, progress))

        def stop() -> bool:
            return ranks().any(interrupted())

        score_dev = (lambda: scorer.dev(split)) if split.dev and scores_dev(config) else None
        trainer = Trainer(algorithm, streams, plan, score_dev, on_step, on_best, on_checkpoint, stop)
        trainer.progress = _restored(parts, folder)
        stage.advance(trainer.progress.step)
        progress = trainer.run()
    if progress.skipped:
        reporter.warn(f"{progress.skipped} of {progress.step} meta-batches were left out: their loss or gradient was not finite")
    if keep_best and progress.best_step not in (-1, progress.step):
        encoder.load_parameters(ranks().from_first(lambda: folder.load_checkpoint("best"))["parameters"])
    return progress


def _state(parts: Parts, progress: Progress) -> dict[str, Any]:
    """All that training depends on. Tasks are functions of their number, so the step stands for the sampler."""
    device = parts.encoder.device
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {
        "progress": asdict(progress),
        "encoder": parts.encoder.parameters(),
        "algorithm": parts.algorithm.state_dict(),
        "random": {"cpu": torch.get_rng_state(), **cuda},
    }


def _restored(parts: Parts, folder: RunFolder) -> Progress:
    """Put algorithm and encoder, which have been started, into the newest state that an earlier process kept; its progress."""
    state = ranks().from_first(lambda: _newest(parts, folder))
    if state is None:
        folder.keep_log_until(0)
        return Progress()
    progress = Progress(**state["progress"])
    folder.keep_log_until(progress.step)
    parts.encoder.load_parameters(state["encoder"])
    parts.algorithm.load_state_dict(state["algorithm"])
    torch.set_rng_state(state["random"]["cpu"])
    if "cuda" in state["random"]:
        torch.cuda.set_rng_state(state["random"]["cuda"], parts.encoder.device)
    parts.reporter.say(f"going on after meta-batch {progress.step}")
    return progress


def _newest(parts: Parts, folder: RunFolder) -> dict[str, Any] | None:
    """The newest state that can be gone on from; None if there is none."""
    state = folder.newest_state(parts.reporter.warn)
    if state is not None and parts.config["train.keep"] == "best" and state["progress"]["best_step"] != -1:
        try:
            folder.load_checkpoint("best")
        except DataError as error:
            parts.reporter.warn(f"{error}; starting from the beginning")
            return None
    return state


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
            scored = score_corpus(
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
        if scored.rows and isinstance(scored.encoded, EncodedCorpus) and "multi" in config["eval.variants"]:
            return replace(scored, rows=[*scored.rows, *own_language(scored.encoded, seen, split.test_name, split.fold)])
        return scored

    def dev(self, split: Split) -> float:
        """The main metric on the dev split: multilingual pool, or for sentence pairs the mean over tracks."""
        variants = VARIANTS if isinstance(split.dev, PairCorpus) else ("multi",)
        scored = score_corpus(self.encoder, split.dev, self.metric, variants, batch_size=self.config["eval.batch_size"])
        score = ranks().gather(main_score(scored.rows, self.metric.primary))[0]  # one machine's last digit decides for all
        return score if self.metric.higher_is_better else -score


@by_first
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


def _card(parts: Parts, command: str, seen: Sequence[str], before: Sequence[Row], after: Sequence[Row]) -> str:
    from metasearch import __version__

    config, about = parts.config, parts.encoder.describe()
    return model_card(
        base_model=str(about.get("model", config["encoder.name"])),
        command=command,
        data_name=parts.corpus.name,
        data_license=parts.dataset.license,
        translated=dict(config["data.translated"] or {}) if parts.mode else {},
        translated_alone=config["data.translated_use"] == "replace",
        algorithm=config["algo.name"],
        citations=[parts.encoder.citation, parts.algorithm.citation, parts.dataset.citation],
        made_by={name: _made_by(config.components[kind]) for kind, name in (("encoder", "encoder"), ("algo", "algorithm"))},
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


def _made_by(item: Registered) -> str:
    return item.name if item.provider.distribution == SHIPPED else f"{item.name} (of {item.provider})"


def _seen_by(run_folder: Path) -> list[str]:
    """Languages that a run trained on; none where it was killed before it could say.

    Raises:
        DataError: the manifest is damaged. Without it, every language would count as zero-shot.
    """
    file = run_folder / "manifest.json"
    if not file.is_file():
        return []
    seen = read_versioned(file).get("languages_seen", [])
    if seen and not is_texts(seen):
        raise DataError(f"{file}: languages_seen is {brief(seen)}, expected a list of languages")
    return list(seen)


def weights_digest(encoder: Encoder) -> str:
    """SHA-256 of all parameters: two encoders with the same one embed alike."""
    digest = hashlib.sha256()
    for name, parameter in sorted(encoder.parameters().items()):
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype} ".encode())
        if parameter.numel():
            digest.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
