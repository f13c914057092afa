"""The engine ``ray``: jobs on a running Ray cluster, through its Job Submission API."""
