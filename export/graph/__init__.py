"""The content of an ONNX file: signature, sizes, shapes, work."""
