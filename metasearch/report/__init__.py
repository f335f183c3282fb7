"""What a run leaves behind: its folder, its tables, its model card; and how progress is told while it lasts."""

from metasearch.report.progress import Reporter
from metasearch.report.run_folder import RunFolder
from metasearch.report.summary import Summary, summarise

__all__ = ["Reporter", "RunFolder", "Summary", "summarise"]
