"""The hooks that a plugin may implement, one per kind of component.

A plugin is a module named by an entry point of the group ``metasearch.plugins``:

    [project.entry-points."metasearch.plugins"]
    foo = "metasearch_foo.plugin"

with functions such as

    from metasearch import Component, hookimpl

    @hookimpl
    def metasearch_register_loss():
        return [Component("margin-free", "metasearch_foo.loss:MarginFreeLoss", "A loss without a margin.")]

All hooks are called once per process, when a component is first looked up, never for ``--help``. The module must be
light: do not import torch, transformers or faiss at its top; name the class in ``Component.target`` and it is imported when it
is used. Return a list of :class:`~metasearch.registry.Component`; None or an empty list contributes nothing.
All hooks exist since version 0.1.
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
    """Contribute encoders (``encoder=NAME``): subclasses of :class:`metasearch.core.Encoder`."""


@hookspec
def metasearch_register_algo() -> Components:
    """Contribute meta-algorithms (``algo=NAME``): subclasses of :class:`metasearch.core.MetaAlgorithm`."""


@hookspec
def metasearch_register_sampler() -> Components:
    """Contribute episode samplers (``sampler=NAME``): subclasses of :class:`metasearch.core.EpisodeSampler`."""


@hookspec
def metasearch_register_loss() -> Components:
    """Contribute losses (``loss=NAME``): subclasses of :class:`metasearch.core.Loss`."""


@hookspec
def metasearch_register_data() -> Components:
    """Contribute data sets (``data=NAME``): subclasses of :class:`metasearch.core.Dataset`."""


@hookspec
def metasearch_register_metric() -> Components:
    """Contribute metrics (``metric=NAME``): subclasses of :class:`metasearch.core.Metric`."""


@hookspec
def metasearch_register_index() -> Components:
    """Contribute vector indexes (``metasearch index ... index=NAME``): subclasses of :class:`metasearch.core.Index`."""


@hookspec
def metasearch_doctor() -> Sequence[Check] | None:
    """Contribute lines to ``metasearch doctor``: what the plugin needs from this machine, and whether it is there.

    Called only by that command, so it may take a second and import what it checks.
    """
