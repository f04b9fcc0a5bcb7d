"""Tests of whether times may be trusted, and the results that follow: cells, ratios, verdicts. Pure functions."""
