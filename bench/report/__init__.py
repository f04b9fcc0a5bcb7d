"""The report of a study: a page, Markdown, figures and tables, all from one record.

    write_report(read_results(folder / "results.json"), polars.read_parquet(folder / "samples.parquet"), out)

To add a section, write a function and put it into `bench.report.sections.SECTIONS`.
"""

from bench.report.verdict import headline, verdicts
from bench.report.write import write_report

__all__ = ["headline", "verdicts", "write_report"]
