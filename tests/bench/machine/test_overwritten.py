"""Distributions that contain the same files are found by their metadata; none is installed for this."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from assay.bench.machine import doctor
from assay.bench.machine.overwritten import Overwritten, overwritten


def install(folder: Path, name: str, version: str, *files: str) -> None:
    """The metadata and list of files that an installer leaves for a distribution."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (place / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")


def found_in(folder: Path) -> tuple[Overwritten, ...]:
    return overwritten(["onnxruntime", "tensorflow", "torch"], metadata.distributions(path=[str(folder)]))


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """The files of onnxruntime overwrite those of onnxruntime-gpu."""
    install(tmp_path, "onnxruntime", "1.32.0", "onnxruntime/__init__.py", "onnxruntime/capi/_ld_preload.py")
    install(tmp_path, "onnxruntime-gpu", "1.31.1", "onnxruntime/__init__.py")
    install(tmp_path, "torch", "2.13.0", "torch/__init__.py")
    install(tmp_path, "other", "1", "onnxruntime_extensions/__init__.py", "tests/onnxruntime/__init__.py")
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    told = tmp_path / "onnxruntime" / "capi" / "build_and_package_info.py"
    told.write_text("package_name = 'onnxruntime'\n__version__ = '1.32.0'\n", encoding="utf-8")
    return tmp_path


def test_two_that_write_the_same_files_are_found_with_whose_files_are_there_and_what_to_do(both: Path) -> None:
    (one,) = found_in(both)
    assert one.distributions == ("onnxruntime 1.32.0", "onnxruntime-gpu 1.31.1")
    assert "the files are those of onnxruntime." in one.sentence
    assert one.remedy == (
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --no-deps onnxruntime-gpu==1.31.1"
    )


def test_without_a_gpu_neither_of_two_is_recommended(tmp_path: Path) -> None:
    for name in ("tensorflow", "tensorflow-cpu"):
        install(tmp_path, name, "2.21.0", "tensorflow/__init__.py")
    (one,) = found_in(tmp_path)
    assert one.there == ""
    assert one.remedy == "Remove them all and reinstall one: pip uninstall -y tensorflow tensorflow-cpu"


def test_one_distribution_alone_is_not_a_finding(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime-gpu", "1.31.1", "onnxruntime/__init__.py")
    assert found_in(tmp_path) == ()


def test_doctor_says_so(both: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    named = list(metadata.distributions(path=[str(both)]))
    monkeypatch.setattr(metadata, "distributions", lambda **_: named)
    monkeypatch.setattr(doctor, "probe_frameworks", lambda _: {})
    diagnosis = doctor.diagnose()
    assert len(diagnosis.overwritten) == 1
    doctor.render(diagnosis)
    assert "onnxruntime-gpu==1.31.1" in capsys.readouterr().out.replace("\n", " ")
