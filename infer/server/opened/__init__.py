"""Model files opened as a server opens them: one file for each library, which imports nothing of ours, and the
processes.
"""
