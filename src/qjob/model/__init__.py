"""Plain data: what a job is, what was asked and what is known. No I/O, no clock, no environment."""
