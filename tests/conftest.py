"""Fixtures that apply to every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from assay.alone import FOLDER_VARIABLE
from assay.files.scratch import private_temporary_folder

settings.register_profile("on any machine", deadline=None)
settings.load_profile("on any machine")


@pytest.fixture(scope="session", autouse=True)
def turns_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands in tests wait neither for commands that a person runs on this machine nor for those of other tests.

    Files of libraries in the temporary folder are deleted with it, at the latest with the next command's leftovers.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("runtime")))
        with private_temporary_folder() as temporary:
            patch.setenv("TMPDIR", str(temporary))
            yield
