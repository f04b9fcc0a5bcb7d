"""Shows whether a defect of an ONNX file is still there. It needs numpy and onnxruntime, and nothing of Assay: python run.py

It exits 1 while the defect shows, and 0 once it is gone. repro.json says which node it is about, model.onnx is what is
left of the file, inputs.npz goes into it, and expected.npy is what the node should give there, computed in float64.
This program is the same for every defect; whatever comes from the file is in the files beside it, as data.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent
TOLERATED = 2.0**-12  # of the largest number: half of what the next coarser arithmetic, TF32 or fp16, would lose

about = json.loads((HERE / "repro.json").read_text(encoding="utf-8"))
print(f"Node {about['node']!a}, {about['operator']!a}; expected is what {about['expected']!a} gives in float64.")
expected = np.load(HERE / "expected.npy", allow_pickle=False)
with np.load(HERE / "inputs.npz", allow_pickle=False) as arrays:
    inputs = {name: arrays[str(place)] for place, name in enumerate(about["inputs"])}
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 4
try:
    session = onnxruntime.InferenceSession(HERE / "model.onnx", options, providers=["CPUExecutionProvider"])
    found = session.run(None, inputs)[0]
except Exception as error:
    print(f"model.onnx does not run: {str(error)!a}")
    sys.exit(1)
if found.size != expected.size:
    print(f"model.onnx gives numbers of shape {found.shape}, expected are {expected.shape}")
    sys.exit(1)
if found.shape != expected.shape:  # the dimensions stand in another order: the same numbers have to be there
    found, expected = np.sort(found, axis=None), np.sort(expected, axis=None)
if found.dtype.kind in "biu" or expected.dtype.kind in "biu":
    differing = int((found != expected).sum())
    print(f"{differing} of {expected.size} whole numbers differ, which have no rounding error")
    sys.exit(1 if differing else 0)
found, expected = found.astype(np.float64), expected.astype(np.float64)
same = (found == expected) | (np.isnan(found) & np.isnan(expected))  # infinity and NaN are values
if not (np.isfinite(found) & np.isfinite(expected) | same).all():
    print("infinity or NaN is on one side and not on the other")
    sys.exit(1)
scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0) or 1.0
error = np.abs(found[~same] - expected[~same]).max(initial=0.0) / scale
print(f"relative error {error:.3g}, tolerated {TOLERATED:.3g}")
sys.exit(0 if error <= TOLERATED else 1)
