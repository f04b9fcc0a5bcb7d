"""Writes the tables in README and docs, and the pages of studies, from the published records.

python -m tools.findings            writes all of them anew
python -m tools.findings FOLDER     publishes a finished and audited run first
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.findings.studies import publish, rewrite
from tools.findings.tables import fill

if __name__ == "__main__":
    for folder in sys.argv[1:]:
        publish(Path(folder))
    rewrite()
    fill()
