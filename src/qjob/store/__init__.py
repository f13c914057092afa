"""The index over all job folders; ``qjob reindex`` rebuilds it from them."""
