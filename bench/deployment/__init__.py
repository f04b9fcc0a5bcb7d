"""What a deployment is made of, one file a part; `assay.bench.deployment.deploy` puts them together."""
