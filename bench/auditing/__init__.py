"""The audit of a study and of single models: what is computed, held against float64, and recorded."""
