"""Every suite of the atlas gives what the atlas asks of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from assay.bench.atlas.on_onnx_case import RUNNERS
from assay.bench.atlas.suites.entries import SUITES
from assay.jobs.sharing import THREAD_VARIABLES
from assay.registry import EXPORTERS

READ = """
import json, os, sys
from assay.bench.atlas.suites.entries import SUITES
suite = SUITES[sys.argv[1]]
reader = suite.reader()
names = reader.operators("float32")
reader.prepare()
sys.stdout.flush()
if not os.fork():
    found = []
    for name in names[:: max(len(names) // 5, 1)][:6]:
        some = list(reader.cases(name)) if suite.has_files else list(reader.samples(name, "float32", 2))
        found.append([(one.place, bool(one.model) if suite.has_files else list(one.files)) for one in some])
    print(json.dumps({"names": names, "found": found}), flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_names_routes_that_there_are_and_packages(name: str) -> None:
    suite = SUITES[name]
    known = set(RUNNERS) if suite.has_files else {one.name for one in EXPORTERS.values() if one.framework == suite.kind}
    assert suite.title
    assert suite.routes
    assert set(suite.routes) <= known
    assert "onnxruntime" in suite.packages


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_a_suite_is_read_in_a_fork_of_a_process_that_is_ready(name: str) -> None:
    """A thread that the process has started before, and that the fork lacks, would be waited for for ever."""
    one_each = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")  # as the atlas starts its processes
    done = subprocess.run([sys.executable, "-c", READ, name], capture_output=True, text=True, check=True, env=one_each)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["names"] == sorted(set(told["names"]))
    assert len(told["names"]) > 100
    assert any(told["found"])
    for some in told["found"]:
        places = [place for place, _ in some]
        assert places == sorted(set(places))
        assert all(content for _, content in some)
