"""The command line: each command parses, makes one call of the service, and renders what comes back."""
