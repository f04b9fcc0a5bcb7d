"""Work in processes of their own: jobs, which answer once, and workers, which are commanded.

`job` says what each is asked and answers, `serving` is the side of the process, `running` and `process` are the
conductor's, and `host` is the seam between them: whoever starts processes.
"""
