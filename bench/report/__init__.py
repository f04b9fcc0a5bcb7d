"""The report of a study: a page, Markdown, figures and tables, all from one record.

    from assay.bench.report.write import write_report
    write_report(read_results(folder / "results.json"), polars.read_parquet(folder / "samples.parquet"), out)

To add a section, write a function and add it to `assay.bench.report.sections.order`.
"""
