"""Import what scripts for Braket begin with, and do nothing more."""

import braket.devices  # noqa: F401
