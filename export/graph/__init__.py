"""What is in an ONNX file: signature, sizes, shapes, work."""
