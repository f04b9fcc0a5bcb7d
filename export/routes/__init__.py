"""The routes to ONNX, one file each, and the request to each."""
