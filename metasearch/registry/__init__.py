"""Which components exist, who provides them, and how to get one by name."""

from metasearch.registry.component import KINDS, RUN_KINDS, Check, Component, Provider
from metasearch.registry.hookspecs import hookimpl
from metasearch.registry.registry import Registered, Registry, registry

__all__ = ["KINDS", "RUN_KINDS", "Check", "Component", "Provider", "Registered", "Registry", "hookimpl", "registry"]
