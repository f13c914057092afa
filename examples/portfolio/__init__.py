"""A portfolio of few assets, chosen by QAOA; the entry point is ``portfolio.optimise:main``."""
