"""The audit of a study and of single models: outputs are computed, compared with float64, and recorded."""
