"""The parts of a deployment, one file for each; `assay.bench.deployment.deploy` puts them together."""
