"""open_service(): the one place that builds a store, the engines and a service from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

from qjob.config import Settings, load_settings, prepare_home, submitter_environment
from qjob.engine import Engine
from qjob.errors import EngineError, InvalidInput, SettingsError
from qjob.forks import HoldsStill
from qjob.service import Service
from qjob.store.store import Store

_EngineMaker = Callable[[Settings], Engine]


def open_service(settings: Settings | None = None) -> Service:
    """Return the service over a state directory, which is made when it is not there.

    Raises SettingsError or HomeError.
    """
    settings = settings or load_settings()
    prepare_home(settings)
    store = Store(settings.index_file, settings.jobs)
    return Service(store=store, engine_of=EngineCatalogue(settings), jobs=settings.jobs)


def shared_service(settings: Settings | None = None) -> Service:
    """Return the service of the settings, by default of those that hold now.

    The same object as long as the settings are the same, so that a thousand handles share one connection.
    """
    settings = settings or load_settings()
    prepare_home(settings)
    return _service_by_settings(_Key(settings))


def container_paths_problem() -> str | None:
    """Say why a job here cannot have the paths of Braket's container, as ``/opt/braket``; None if it can."""
    from qjob.runner.container_paths import container_paths_problem

    return container_paths_problem()


@dataclass(frozen=True)
class _Key:
    """Settings as the key of a cache: they hold mappings, which have no hash."""

    settings: Settings

    def __hash__(self) -> int:
        return hash((self.settings.home, self.settings.index))


@lru_cache(maxsize=8)
def _service_by_settings(key: _Key) -> Service:
    return open_service(key.settings)


class EngineCatalogue(HoldsStill):
    """The engines by name, each built when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._built: dict[str, Engine] = {}
        super().__init__()

    def __call__(self, name: str) -> Engine:
        """Return the engine of that name; raises InvalidInput when there is none."""
        with self._lock:
            if name not in self._built:
                self._built[name] = _maker(name)(self._settings)
            return self._built[name]

    def names(self) -> list[str]:
        """Return the names of all engines: ours, and those that installed packages bring."""
        return sorted({*ENGINES, *_installed()})


def _maker(name: str) -> _EngineMaker:
    """Return what builds an engine: one of ours, or the entry point of an installed package."""
    if name in ENGINES:
        return ENGINES[name]
    installed = _installed()
    if name not in installed:
        raise InvalidInput(f"engine {name!r}: there are {', '.join(sorted({*ENGINES, *installed}))}.")
    return partial(_built_by, installed[name])


def _built_by(entry: Any, settings: Settings) -> Engine:
    """Return what an installed package builds; whatever goes wrong in its code must not hide the jobs of others."""
    try:
        engine: Engine = entry.load()(settings)
    except (EngineError, InvalidInput, SettingsError):  # what the engine itself has to say
        raise
    except Exception as error:
        package = entry.dist.name
        raise InvalidInput(
            f"engine {entry.name!r}: the package {package}, which brings it, does not work ({type(error).__name__}: "
            f"{error}); mend that, install it anew, or remove it: pip uninstall {package}."
        ) from error
    return engine


def _installed() -> dict[str, Any]:
    from importlib.metadata import entry_points  # 10 ms, which only those pay who ask for another engine

    return {each.name: each for each in entry_points(group=ENTRY_POINTS)}


def _local(settings: Settings) -> Engine:
    module: Any = import_module("qjob.engines.local.engine")
    engine: Engine = module.LocalEngine(
        settings.local_state,
        settings.jobs,
        slots=settings.slots,
        device_capacities={arn: device.capacity for arn, device in settings.devices.items()},
        idle_s=settings.idle_s,
        warm=settings.warm,
    )
    return engine


def _slurm(settings: Settings) -> Engine:
    module: Any = import_module("qjob.engines.slurm.engine")
    engine: Engine = module.SlurmEngine(
        settings.engine_state("slurm"),
        settings.jobs,
        runners=settings.runners,
        words=settings.engines.get("slurm", {}),
        devices={
            arn: module.SlurmDevice(asks=device.slurm, capacity=device.capacity, lease=device.lease)
            for arn, device in settings.devices.items()
            if device.slurm is not None
        },
        leases=settings.leases,
        environment=submitter_environment(),
    )
    return engine


def _ray(settings: Settings) -> Engine:
    module: Any = import_module("qjob.engines.ray.engine")
    engine: Engine = module.RayEngine(
        settings.engine_state("ray"),
        settings.jobs,
        runners=settings.runners,
        leases=settings.leases,
        words=settings.engines.get("ray", {}),
        devices={
            arn: module.RayDevice(asks=device.ray, lease=device.lease)
            for arn, device in settings.devices.items()
            if device.ray is not None
        },
    )
    return engine


ENTRY_POINTS = "qjob.engines"
"""The group of entry points by which packages bring engines: each names a function of the settings."""
ENGINES: dict[str, _EngineMaker] = {"local": _local, "ray": _ray, "slurm": _slurm}
"""Every engine of ours and how it is built; its module is imported only then."""
