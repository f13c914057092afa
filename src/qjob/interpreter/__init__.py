"""The interpreter of a job: which one, and the environment that its requirements ask for: docs/environments.md.

The standard library alone; nothing here knows of jobs, folders or engines.
"""
