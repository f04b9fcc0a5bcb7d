"""A .tflite file of a user's own: run by LiteRT as it is, and exported by tf2onnx, in fp32 and in int8 throughout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from assay.errors import ArtifactError, InputError
from assay.export.job import CHECK, EXPORT, CheckExportRequest, RouteRequest
from assay.export.probing.probe import PROBE, Probed
from assay.export.reference.double_job import DOUBLE, DoubleRequest
from assay.jobs.running import run_job
from assay.train.brought.sources import locate
from tests.contract.test_user_models import LIMIT_SECONDS
from tests.user_models import to_probe

pytest.importorskip("ai_edge_litert")
MAKE = """
import sys
import keras, numpy as np, tensorflow as tf

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((8, 8, 3), name="image"), keras.layers.Conv2D(8, 3, activation="relu"),
                          keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)])
converter = tf.lite.TFLiteConverter.from_keras_model(model)
if sys.argv[1] == "int8":
    draw = np.random.default_rng(0).standard_normal
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([draw((1, 8, 8, 3)).astype(np.float32)] for _ in range(20))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
open("net.tflite", "wb").write(converter.convert())
"""


def probed(folder: Path) -> Probed:
    return run_job(PROBE, to_probe(folder, folder / "net.tflite"), folder / "probe.log", limit_seconds=LIMIT_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype", "arithmetic"), [("fp32", "float32", "fp32"), ("int8", "int8", "int8")])
def test_a_litert_file_and_its_export_agree(kind: str, dtype: str, arithmetic: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", MAKE, kind], cwd=tmp_path, check=True, capture_output=True)
    found = probed(tmp_path)
    (one,) = found.model.inputs
    assert (one.name, one.dtype, one.shape) == ("image", dtype, (8, 8, 3))
    assert (found.model.arithmetic, found.model.batch) == (arithmetic, None)
    place = tmp_path / "onnx"
    place.mkdir()
    request = RouteRequest(model=found.model, exporter="tf2onnx", opset=18, key="key", folder=place)
    record = run_job(EXPORT, request, tmp_path / "export.log", limit_seconds=LIMIT_SECONDS)
    records, native, reference = (tmp_path / f"{name}.npy" for name in ("records", "native", "reference"))
    if not found.reference:  # LiteRT has no float64 of its own
        double = DoubleRequest(model=found.model, file=request.file, records=records, native=native, out=reference)
        run_job(DOUBLE, double, tmp_path / "double.log", limit_seconds=LIMIT_SECONDS)
    asked = CheckExportRequest(
        model=found.model, exporter="tf2onnx", file=request.file, records=records, native=native, reference=reference
    )
    record = run_job(CHECK, asked, tmp_path / "check.log", limit_seconds=LIMIT_SECONDS).on(record)
    assert record.status == "ok", record.reason
    assert record.agreement
    assert all(one.passed for one in record.agreement)


def test_a_file_that_is_not_litert_is_refused(tmp_path: Path) -> None:
    from assay.train.brought.loaders.on_litert import load  # noqa: PLC0415

    (tmp_path / "net.tflite").write_bytes(b"no model")
    with pytest.raises((ArtifactError, InputError), match=r"net\.tflite cannot be loaded.*a file of LiteRT"):
        load(locate(str(tmp_path / "net.tflite")))
