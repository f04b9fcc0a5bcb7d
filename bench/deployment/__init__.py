"""What a deployment is made of, one file a part; `bench.deploy` puts them together."""
