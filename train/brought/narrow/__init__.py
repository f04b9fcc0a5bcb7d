"""The part of a model that is computed in fp16 or bf16, with one file for each framework."""
