"""Files that people make themselves: pipelines of scikit-learn by skl2onnx, and a folder of transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

COLUMNS, ROWS = 6, 200


def _data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(np.int64)


def _write(folder: Path, name: str, model: object, *, zipmap: bool = False) -> None:
    from skl2onnx import to_onnx  # noqa: PLC0415

    x, _ = _data()
    proto = to_onnx(model, x[:1], target_opset=17, options=None if zipmap else {"zipmap": False})
    (folder / name).write_bytes(proto.SerializeToString())


def _logistic() -> object:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*_data())


def plain(folder: Path) -> None:
    _write(folder, "plain.onnx", _logistic())


def zipmap(folder: Path) -> None:
    _write(folder, "zipmap.onnx", _logistic(), zipmap=True)


def forest(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    _write(folder, "forest.onnx", RandomForestClassifier(20, random_state=0).fit(*_data()))


def words(folder: Path) -> None:
    """A classifier of a column of words."""
    from skl2onnx import to_onnx  # noqa: PLC0415
    from skl2onnx.common.data_types import StringTensorType  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    given = np.array([["red"], ["green"], ["blue"]] * 10)
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(given, [0, 1, 1] * 10)
    proto = to_onnx(
        model, initial_types=[("word", StringTensorType([None, 1]))], target_opset=17, options={"zipmap": False}
    )
    (folder / "words.onnx").write_bytes(proto.SerializeToString())


def bert(folder: Path) -> None:
    """A folder as Hugging Face has them, with a configuration alone."""
    place = folder / "bert"
    place.mkdir()
    settings = {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": 300, "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 64,
    }  # fmt: skip
    (place / "config.json").write_text(json.dumps(settings))
