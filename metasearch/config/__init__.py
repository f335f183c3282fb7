"""From ``key=value`` words, files and presets to one validated configuration."""

from metasearch.config.compose import Config, compose, presets
from metasearch.config.overrides import Override, parse_overrides

__all__ = ["Config", "Override", "compose", "parse_overrides", "presets"]
