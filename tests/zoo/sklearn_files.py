"""Files that people make themselves: pipelines of scikit-learn by skl2onnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLUMNS, ROWS = 6, 200


def _data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(np.int64)


def _write(folder: Path, name: str, model: object, *, zipmap: bool = False, regressor: bool = False) -> None:
    from skl2onnx import to_onnx  # noqa: PLC0415

    x, _ = _data()
    proto = to_onnx(model, x[:1], target_opset=17, options=None if zipmap or regressor else {"zipmap": False})
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


def boosted(folder: Path) -> None:
    from sklearn.ensemble import GradientBoostingClassifier  # noqa: PLC0415

    _write(folder, "boosted.onnx", GradientBoostingClassifier(n_estimators=10, random_state=0).fit(*_data()))


def perceptron(folder: Path) -> None:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    _write(folder, "perceptron.onnx", MLPClassifier((16,), max_iter=50, random_state=0).fit(*_data()))


def support_vectors(folder: Path) -> None:
    from sklearn.svm import SVC  # noqa: PLC0415

    _write(folder, "support_vectors.onnx", SVC(random_state=0).fit(*_data()))


def neighbours(folder: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415

    _write(folder, "neighbours.onnx", KNeighborsClassifier(5).fit(*_data()))


def regression(folder: Path) -> None:
    from sklearn.linear_model import Ridge  # noqa: PLC0415

    _write(folder, "regression.onnx", Ridge().fit(*_data()), regressor=True)


def forest_regression(folder: Path) -> None:
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

    _write(folder, "forest_regression.onnx", RandomForestRegressor(10, random_state=0).fit(*_data()), regressor=True)


def clusters(folder: Path) -> None:
    from sklearn.cluster import KMeans  # noqa: PLC0415

    _write(folder, "clusters.onnx", KMeans(3, n_init=1, random_state=0).fit(_data()[0]), regressor=True)


def components(folder: Path) -> None:
    from sklearn.decomposition import PCA  # noqa: PLC0415

    _write(folder, "components.onnx", PCA(3).fit(_data()[0]), regressor=True)


def named_classes(folder: Path) -> None:
    """A classifier whose classes are words, which it returns beside their scores."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    x, y = _data()
    _write(folder, "named_classes.onnx", LogisticRegression().fit(x, np.array(["no", "yes"])[y]))


def words(folder: Path) -> None:
    """A classifier of a column of words."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    given = np.array([["red"], ["green"], ["blue"]] * 10)
    _write_text(folder, "words.onnx", make_pipeline(OneHotEncoder(), LogisticRegression()).fit(given, [0, 1, 1] * 10))


def several_words(folder: Path) -> None:
    """A classifier of two columns of words, each with words of its own, that refuses all others."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    given = np.array([["red", "small"], ["green", "large"], ["blue", "small"]] * 10)
    model = make_pipeline(OneHotEncoder(handle_unknown="error"), LogisticRegression()).fit(given, [0, 1, 1] * 10)
    _write_text(folder, "several_words.onnx", model, columns=2)


def sentences(folder: Path) -> None:
    """A classifier of texts by the words in them."""
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    texts = ["a good film", "a bad film", "very good", "very bad acting", "good acting", "a bad plot"] * 5
    counts = CountVectorizer(token_pattern="[a-zA-Z]+", lowercase=False)  # ONNX Runtime lowers by the system's locales
    _write_text(
        folder, "sentences.onnx", make_pipeline(counts, LogisticRegression()).fit(texts, [1, 0, 1, 0, 1, 0] * 5)
    )


def _write_text(folder: Path, name: str, model: object, columns: int = 1) -> None:
    from skl2onnx import to_onnx  # noqa: PLC0415
    from skl2onnx.common.data_types import StringTensorType  # noqa: PLC0415

    given = [("word", StringTensorType([None, columns]))]
    proto = to_onnx(model, initial_types=given, target_opset=17, options={"zipmap": False})
    (folder / name).write_bytes(proto.SerializeToString())
