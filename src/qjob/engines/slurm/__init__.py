"""The engine ``slurm``: jobs of a Slurm cluster, by its own commands. See docs/clusters.md."""
