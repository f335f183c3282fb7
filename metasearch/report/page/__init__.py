"""One HTML page about one or several run folders: scores, language pairs, training curves, maps, settings, origins."""

from metasearch.report.page.render import render, write_report

__all__ = ["render", "write_report"]
