"""The routes to ONNX, one file each, and what each is asked for."""
