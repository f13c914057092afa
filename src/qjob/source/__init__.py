"""What a user wants to run, as values that are written into a job's folder later.

Nothing here imports a user's code or starts a process, and nothing is copied before `write_to` is called.
"""
