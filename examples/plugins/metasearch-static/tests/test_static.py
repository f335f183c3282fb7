"""The static encoder keeps the contract of encoders, and starts as it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from metasearch_static.encoder import StaticEncoder, start_table

from metasearch.errors import ConfigError
from metasearch.testing import check_component, check_encoder

pytest_plugins = ["metasearch.testing"]  # brings metasearch_tiny_model


@pytest.mark.parametrize("width", [8, None])
def test_the_contract(metasearch_tiny_model: Path, width: int | None) -> None:
    check_component("encoder", "static")
    check_encoder(StaticEncoder(str(metasearch_tiny_model), width))


def test_all_components_keep_all_distances() -> None:
    table = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(
        torch.cdist(start_table(table, None, 0.0), start_table(table, None, 0.0)), torch.cdist(table, table)
    )


def test_the_first_components_hold_the_most() -> None:
    table = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1, 9, 1, 1, 5])
    kept = start_table(table, 2, 0.0)
    assert kept.var(0).sum() > 0.9 * table.var(0).sum()


def test_frequent_tokens_are_marked_down() -> None:
    plain, marked = (start_table(torch.ones(8, 3).cumsum(0), 1, frequent) for frequent in (0.0, 1.0))
    assert (marked / plain).flatten().diff().min() > 0


def test_a_saved_model_is_read_back(metasearch_tiny_model: Path, tmp_path: Path) -> None:
    encoder = StaticEncoder(str(metasearch_tiny_model), 8)
    encoder.save(tmp_path / "saved", "# card\n")
    again = StaticEncoder(str(tmp_path / "saved"))
    np.testing.assert_array_equal(again.encode(["el1 el2"], "query"), encoder.encode(["el1 el2"], "query"))


def test_more_width_than_there_is_is_refused(metasearch_tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.width=33: more than the 32"):
        StaticEncoder(str(metasearch_tiny_model), 33)
