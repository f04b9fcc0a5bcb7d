"""Work in processes of its own: jobs, which answer once, and workers, which take commands.

`job` declares the requests and answers, `serving` is the process's side, `running` and `process` are the conductor's,
and `host` is the seam between them: it starts processes.
"""
