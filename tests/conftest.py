"""Make ``import citytwin`` work from a clone that is not installed, whatever the clone's folder is called."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

if importlib.util.find_spec("citytwin") is None:
    spec = importlib.util.spec_from_file_location(
        "citytwin", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["citytwin"] = package
    spec.loader.exec_module(package)


# the first example may wait for numba to compile
settings.register_profile("citytwin", deadline=None)
settings.load_profile("citytwin")


@pytest.fixture(scope="session")
def import_path(tmp_path_factory):
    """Environment variables under which a new process imports the same citytwin as the tests."""
    package = Path(importlib.import_module("citytwin").__file__).parent
    folder = tmp_path_factory.mktemp("import")
    (folder / "citytwin").symlink_to(package, target_is_directory=True)
    return os.environ | {"PYTHONPATH": str(folder)}
