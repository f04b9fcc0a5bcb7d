"""Images to weights: data sets, architectures, one training loop for every framework, and models that users bring."""
