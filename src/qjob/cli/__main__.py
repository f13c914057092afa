"""``python -m qjob.cli`` is ``qjob``."""

from __future__ import annotations

import sys

from qjob.cli.main import main

sys.exit(main())
