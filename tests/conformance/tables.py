"""Every table, in the order in which docs/braket-users.md lists what differs."""

from __future__ import annotations

from conformance.configuration_rows import CONFIGURATION, ENUMERATIONS, NAMES, SERVICE
from conformance.environment_rows import ENVIRONMENT
from conformance.file_rows import CHECKPOINTS, RESULTS
from conformance.interface_rows import DECORATOR, INTERFACE
from conformance.metric_rows import PIVOT, READ, WRITTEN
from conformance.script_rows import BINDING, ENTRY_POINT, INPUTS, SOURCE

TABLES = (
    INTERFACE,
    DECORATOR,
    NAMES,
    CONFIGURATION,
    ENUMERATIONS,
    ENTRY_POINT,
    SOURCE,
    INPUTS,
    BINDING,
    ENVIRONMENT,
    WRITTEN,
    READ,
    PIVOT,
    RESULTS,
    CHECKPOINTS,
    SERVICE,
)
