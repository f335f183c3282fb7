"""The inner loop by learn2learn (``algo.backend=learn2learn``): the paper's own library, to compare with and to be sure.

It keeps every step's graph, as plain unrolling does, and knows one inner rate for all parameters that move.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from metasearch.algorithm.adapt import InnerLoss, Params
from metasearch.core.derivative import differentiated_twice
from metasearch.errors import ConfigError


def load() -> ModuleType:
    """Import ``learn2learn.algorithms.maml`` alone.

    learn2learn's own ``__init__`` imports torchvision, gym and more, none of which its MAML needs. So the package is entered in
    ``sys.modules`` without running it, unless somebody has imported it already.

    Raises:
        ConfigError: it is not installed, or does not work here; the message says what to do.
    """
    before = {name: sys.modules.get(name) for name in ("learn2learn", "learn2learn.algorithms")}
    try:
        for name in before:
            if name not in sys.modules:
                spec = importlib.util.find_spec(name)
                if spec is None:
                    raise ImportError("it is not installed")
                package = ModuleType(name)
                package.__path__ = list(spec.submodule_search_locations or [])
                package.__spec__ = spec
                sys.modules[name] = package
        return importlib.import_module("learn2learn.algorithms.maml")
    except Exception as error:  # a package this old may fail in many ways
        raise ConfigError(
            f"algo.backend=learn2learn: cannot import learn2learn ({error}); run `make learn2learn`, or use "
            "algo.backend=metasearch"
        ) from error
    finally:
        for name, module in before.items():  # a later `import learn2learn` is to find the real package
            if module is None:
                sys.modules.pop(name, None)


def adapt(
    terms: Sequence[InnerLoss], params: Mapping[str, Tensor], moving: list[str], steps: int, lr: float, order: str
) -> Params:
    """Take ``steps`` steps of gradient descent: what :func:`metasearch.algorithm.adapt` does, by ``learn2learn``'s MAML.

    Args:
        terms: the loss is their sum.
        params: theta, name -> tensor.
        moving: names of the parameters that move.
        steps: n.
        lr: alpha.
        order: ``"second"`` or ``"first"``.

    Raises:
        ConfigError: learn2learn cannot be imported.
    """
    holder = _Holder({name: params[name] for name in moving})
    learner = load().MAML(holder, lr=lr, first_order=order == "first").clone()
    for _ in range(steps):
        theta = {**params, **learner.module.held()}
        with differentiated_twice(order == "second"):
            loss = torch.stack([term(theta) for term in terms]).sum()
        learner.adapt(loss, allow_unused=True)
    return {**params, **learner.module.held()}


class _Holder(torch.nn.Module):
    """A module that is nothing but parameters: learn2learn adapts modules, and a task's theta is not one."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        # Not through register_parameter: these are results of operations as a rule, and their names have dots.
        self._parameters: dict[str, Any] = dict(params)

    def held(self) -> Params:
        return dict(self._parameters)
