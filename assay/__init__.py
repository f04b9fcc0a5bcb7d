"""The words every part of Assay shares: errors, specifications, study files, artifacts, results.

Nothing in here imports another package of this project, or a framework.
"""

__version__ = "0.1.0"
