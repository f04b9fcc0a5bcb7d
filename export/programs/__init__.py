"""What runtimes load that have a format of their own: made of a model, by a job, before anything is timed."""
