"""Programs for runtimes with a format of their own: made from a model, by a job, before anything is timed."""
