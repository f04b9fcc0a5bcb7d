"""Two ONNX files that are said to be the same model."""
