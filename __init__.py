"""citytwin: what would happen in this city if…

Citizens, vehicles and responders as Mesa agents on a geospatial city, moved and infected by numba kernels, swept over
policies into Parquet.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agents.authorities import Policy
    from .agents.citizens import Citizen
    from .agents.responders import Responder
    from .agents.response.decisions import Dispatcher
    from .agents.rows import Column
    from .agents.rules import rule
    from .agents.vehicles import Vehicle
    from .environment.city import City, CityError
    from .runners.calibrate.fit import calibrate
    from .runners.mesa_adapter import sweep_mesa
    from .runners.mesa_store import ParquetStore
    from .runners.model import CityModel
    from .runners.results import Results
    from .runners.run import run
    from .runners.scenarios.scenario import Scenario, ScenarioError
    from .runners.sweep import sweep

__version__ = "0.1.0"

# Loaded when first used, so that `import citytwin` and `citytwin --help` stay quick.
_HOME = {
    "City": ".environment.city",
    "CityError": ".environment.city",
    "Citizen": ".agents.citizens",
    "Column": ".agents.rows",
    "Dispatcher": ".agents.response.decisions",
    "Policy": ".agents.authorities",
    "Responder": ".agents.responders",
    "Vehicle": ".agents.vehicles",
    "rule": ".agents.rules",
    "CityModel": ".runners.model",
    "ParquetStore": ".runners.mesa_store",
    "Results": ".runners.results",
    "Scenario": ".runners.scenarios.scenario",
    "ScenarioError": ".runners.scenarios.scenario",
    "calibrate": ".runners.calibrate.fit",
    "run": ".runners.run",
    "sweep": ".runners.sweep",
    "sweep_mesa": ".runners.mesa_adapter",
}

__all__ = [
    "Citizen",
    "City",
    "CityError",
    "CityModel",
    "Column",
    "Dispatcher",
    "ParquetStore",
    "Policy",
    "Responder",
    "Results",
    "Scenario",
    "ScenarioError",
    "Vehicle",
    "calibrate",
    "rule",
    "run",
    "sweep",
    "sweep_mesa",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'citytwin' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
