"""Which part of a model is computed in fp16 or bf16; one file for each framework."""
