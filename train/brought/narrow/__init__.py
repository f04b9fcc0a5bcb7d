"""What of a model in fp32 or less is computed in fp16 or bf16; one file a framework."""
