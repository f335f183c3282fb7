"""The hooks that a plugin may implement, one per kind of component.

A plugin is a module named by an entry point of the group ``metasearch.plugins``:

    [project.entry-points."metasearch.plugins"]
    foo = "metasearch_foo.plugin"

with functions such as

    from metasearch import Component, hookimpl

    @hookimpl
    def metasearch_register_loss():
        return [Component("margin-free", "metasearch_foo.loss:MarginFreeLoss", "A loss without a margin.")]

For all hooks that register components:

- *When*: once per process, when a component is first looked up; never for ``--help``.
- *Return*: a list of :class:`~metasearch.registry.Component`; None or an empty list contributes nothing. The class that a record
  names in ``target`` is imported when it is used, and its constructor is called with the options as keyword arguments.
- *What must not happen*: no import of torch, transformers or faiss, neither here nor at the top of the module, and no work: this
  runs to list components and to check a configuration. A hook that raises costs the plugin all its names, and nothing else.
- *Since* version 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from metasearch.registry.component import Check, Component

PROJECT = "metasearch"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Components = Sequence[Component] | None


@hookspec
def metasearch_register_encoder() -> Components:
    """Contribute encoders (``encoder=NAME``): subclasses of :class:`metasearch.core.Encoder`.

    Example:
        return [Component("static", "metasearch_static.encoder:StaticEncoder", "Mean of word vectors.", {"model": MODEL})]
    """


@hookspec
def metasearch_register_algo() -> Components:
    """Contribute meta-algorithms (``algo=NAME``): subclasses of :class:`metasearch.core.MetaAlgorithm`.

    Example:
        return [Component("imaml", "metasearch_imaml.algorithm:ImplicitMAML", "Implicit MAML.", implies={"mode": "trans"})]
    """


@hookspec
def metasearch_register_sampler() -> Components:
    """Contribute episode samplers (``sampler=NAME``): subclasses of :class:`metasearch.core.EpisodeSampler`.

    Example:
        return [Component("by-topic", "metasearch_topic.sampler:ByTopic", "Support and query set from one article.")]
    """


@hookspec
def metasearch_register_loss() -> Components:
    """Contribute losses (``loss=NAME``): subclasses of :class:`metasearch.core.Loss`.

    Example:
        return [Component("soft-margin", "metasearch_soft_margin.loss:SoftMarginLoss", "A margin without a kink.")]
    """


@hookspec
def metasearch_register_data() -> Components:
    """Contribute data sets (``data=NAME``): subclasses of :class:`metasearch.core.Dataset`.

    Example:
        return [Component("mkqa", "metasearch_mkqa.data:MKQA", "MKQA in 26 languages.", {"path": PATH})]
    """


@hookspec
def metasearch_register_metric() -> Components:
    """Contribute metrics (``metric=NAME``): subclasses of :class:`metasearch.core.RankingMetric` or ``PairMetric``.

    Example:
        return [Component("mrr", "metasearch_mrr.metric:ReciprocalRank", "Mean reciprocal rank.", {"cutoff": CUTOFF})]
    """


@hookspec
def metasearch_register_index() -> Components:
    """Contribute vector indexes (``metasearch index ... index=NAME``): subclasses of :class:`metasearch.core.Index`.

    Example:
        return [Component("annoy", "metasearch_annoy.index:Annoy", "A forest of random projections.", requires=("annoy",))]
    """


@hookspec
def metasearch_doctor() -> Sequence[Check] | None:
    """Contribute lines to ``metasearch doctor``: what the plugin needs from this machine, and whether it is there.

    *When*: only by that command, so it may take a second and import what it checks. *Return*: a list of
    :class:`~metasearch.registry.Check`; None contributes nothing. A hook that raises becomes a line of its own.
    *Since* version 0.1.

    Example:
        return [Check("dictionary", str(path) if path.exists() else None, "metasearch-foo download", optional=True)]
    """
