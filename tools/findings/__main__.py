"""Writes the tables in README and docs from the published records.

python -m tools.findings            writes the tables anew
python -m tools.findings FOLDER     publishes a finished and audited run first
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.findings.studies import publish
from tools.findings.tables import fill

if __name__ == "__main__":
    for folder in sys.argv[1:]:
        publish(Path(folder))
    fill()
