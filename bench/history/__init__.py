"""Results of several dates and versions as one history: ratios of times, accuracy, and where they changed."""
