"""The pages of docs/findings from the published records: what is published, and the tables that tell it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
