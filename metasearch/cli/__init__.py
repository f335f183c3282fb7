"""The command line."""

from metasearch.cli.app import main

__all__ = ["main"]
