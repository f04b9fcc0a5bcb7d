"""The texts that are drawn for an ONNX file's inputs of text: those that it knows."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from assay.export.graph.on_onnx_words import ANY, LENGTH, words_of
from assay.export.probing.drawn_ranges import drawn_texts

ML = "ai.onnx.ml"


def model(*nodes: NodeProto, columns: int = 1) -> ModelProto:
    places = [numpy_helper.from_array(np.array([at], np.int64), f"at{at}") for at in range(2)]
    graph = helper.make_graph(
        list(nodes),
        "words",
        [helper.make_tensor_value_info("word", TensorProto.STRING, [None, columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        places,
    )
    return helper.make_model(graph)


def encoder(given: str, *words: str, out: str = "y") -> NodeProto:
    return helper.make_node("OneHotEncoder", [given], [out], domain=ML, cats_strings=list(words))


def test_an_encoder_knows_its_categories() -> None:
    assert words_of(model(encoder("word", "red", "blau"))) == {"word": (("red", "blau"),)}


def test_each_column_has_the_categories_of_its_encoder() -> None:
    nodes = []
    for at, words in enumerate((("red", "blue"), ("small", "large"))):
        nodes.append(helper.make_node("ArrayFeatureExtractor", ["word", f"at{at}"], [f"c{at}"], domain=ML))
        nodes.append(encoder(f"c{at}", *words, out=f"e{at}"))
    found = words_of(model(*nodes, columns=2))["word"]
    assert found == (("red", "blue"), ("small", "large"))
    drawn = drawn_texts(found, (20, 2), np.random.default_rng(0))
    assert set(drawn[:, 0]) == {"red", "blue"}
    assert set(drawn[:, 1]) == {"small", "large"}


def test_a_file_that_splits_texts_gets_texts_of_several_words() -> None:
    split = helper.make_node("Tokenizer", ["word"], ["parts"], domain="com.microsoft", pad_value="#", mincharnum=1)
    counted = helper.make_node("TfIdfVectorizer", ["parts"], ["y"], pool_strings=["good", "bad"], mode="TF")
    (texts,) = words_of(model(split, counted))["word"]
    assert {len(one.split()) for one in texts} == {LENGTH}
    assert set(" ".join(texts).split()) == {"good", "bad"}


def test_without_any_vocabulary_texts_are_ordinary_ones() -> None:
    assert words_of(model(helper.make_node("StringNormalizer", ["word"], ["y"]))) == {"word": (ANY,)}


def test_a_file_of_numbers_has_none() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    assert words_of(helper.make_model(graph)) == {}
