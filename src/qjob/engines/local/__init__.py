"""The local engine: jobs as processes on this machine, queued by a dispatcher that starts on demand."""
