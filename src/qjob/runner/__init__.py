"""The runner: what runs where the job runs, on every engine: ``python -m qjob.runner FOLDER``.

It knows the model and the folder, nothing of engines, the index or settings, and needs only Python.
"""
