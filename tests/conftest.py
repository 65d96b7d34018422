"""Make ``import citytwin`` work from a clone that is not installed, whatever the clone's folder is called."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if importlib.util.find_spec("citytwin") is None:
    spec = importlib.util.spec_from_file_location(
        "citytwin", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["citytwin"] = package
    spec.loader.exec_module(package)
