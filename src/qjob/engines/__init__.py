"""The engines, one module or package each, imported on demand; none imports another."""
