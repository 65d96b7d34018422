"""``ro-crate-metadata.json``: what results are and how they came to be, for programs, in words that many projects share.

The file follows RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) and its profile Process Run Crate 0.5
(https://w3id.org/ro/wfrun/process/0.5): the results are a dataset with files, made by an action with an instrument
(this program, with versions). The description of the action is the command that does it again, to be given in a folder
that holds what the crate lists under ``object``.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.manifest import PACKAGE
from ..run import SINGLE
from ..storage.atomic import write_atomic
from ..storage.stage import MANIFEST, TASKS, read_tasks
from ..storage.store import table_names
from ..storage.tables import StoreError
from ..trust import own_classes
from .labels import cities_of, headline

if TYPE_CHECKING:
    from ..results import Results

CRATE = "ro-crate-metadata.json"
_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_PAGE = "report.html"
_CHUNK = 1 << 20
_KINDS = {".json": "application/json", ".jsonl": "application/jsonl", ".html": "text/html"}
_PARQUET = "application/vnd.apache.parquet"

Entity = dict[str, Any]


def write_crate(results: "Results") -> Path:
    """Write the metadata into the directory of results; what stood there is replaced.

    Raises:
        StoreError: if the results are in memory, or the file cannot be written.
    """
    if results.directory is None:
        raise StoreError("the results are in memory; run with out=… to describe them")
    path = results.directory / CRATE
    content = {"@context": _CONTEXT, "@graph": crate_of(results)}
    try:
        write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def crate_of(results: "Results") -> list[Entity]:
    """Return the graph of the metadata."""
    info = results.info
    assert results.directory is not None
    cities = [
        {"@id": f"#city-{number}", "@type": "Dataset", "name": Path(path).name, "sha256": digest or "unknown"}
        for number, (path, digest) in enumerate(info.get("cities", {}).items())
    ]
    files = list(_files(results.directory))
    inputs = [entity for entity in files if entity["@id"] in (MANIFEST, TASKS)]
    outputs = [entity for entity in files if entity not in inputs]
    program = _program(info)
    parameters = _parameters(info)
    how = "Completed" if len(results.summary) == info["runs"] else "Failed"
    action = {
        "@id": "#sweep",
        "@type": "CreateAction",
        "name": f"{len(results.summary)} of {info['runs']} runs of {results.name}",
        "description": command_of(results) or f"calls of {info['execute']}",
        "instrument": {"@id": program[0]["@id"]},
        "object": _references([*inputs, *cities, *parameters]),
        "result": _references(outputs),
        "startTime": info["started"],
        "actionStatus": {"@id": f"http://schema.org/{how}ActionStatus"},
    }
    if info.get("ended"):
        action["endTime"] = info["ended"]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": _PROFILE},
        "name": results.name,
        "description": f"{headline(results)}, simulated by {PACKAGE} {info['versions'].get(PACKAGE, '')}",
        "datePublished": (info.get("ended") or info["started"])[:10],
        "license": {"@id": "#licence"},
        "hasPart": _references(files),
        "mentions": [{"@id": action["@id"]}],
    }
    licence = {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "not stated by those who ran it",
        "description": "; ".join(_source_licences(results)) or "The city is invented; it brings no licence of its own.",
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _SPECIFICATION},
        "about": {"@id": root["@id"]},
    }
    profile = {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    return [descriptor, root, licence, profile, action, *program, *files, *cities, *parameters]


def command_of(results: "Results") -> str:
    """Return the command that makes results again, beside their ``sweep.json``; empty for models or classes of one's own."""
    if not results.is_of_city or results.directory is None or own_classes(results.info):
        return ""
    task = read_tasks(results.directory)[0]
    if task["run_id"] == SINGLE:
        return f"{PACKAGE} run {MANIFEST} --seed {task['seed']} --out again"
    command = "calibrate" if "stage" in task else "optimise" if "batch" in task else "sweep"
    return f"{PACKAGE} {command} {MANIFEST} --out again"


def _references(entities: list[Entity]) -> list[dict[str, str]]:
    return [{"@id": entity["@id"]} for entity in entities]


def _files(directory: Path) -> Iterator[Entity]:
    """Yield the files of results that a reader needs."""
    tables = sorted(path for table in table_names(directory) for path in (directory / table).glob("*.parquet"))
    for path in [directory / MANIFEST, directory / TASKS, *tables, directory / _PAGE]:
        try:
            with path.open("rb") as stream:
                digest, size = hashlib.sha256(), 0
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            continue  # a report that was not written here, or a shard that was joined to another meanwhile
        yield {
            "@id": path.relative_to(directory).as_posix(),
            "@type": "File",
            "name": path.name,
            "encodingFormat": _KINDS.get(path.suffix, _PARQUET),
            "contentSize": str(size),
            "sha256": digest.hexdigest(),
        }


def _program(info: dict[str, Any]) -> list[Entity]:
    """Return the program that made the results, followed by what it needs."""
    versions = dict(info["versions"])
    code, version = versions.pop("code", ""), versions.pop(PACKAGE, "")
    needs = [
        {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": number}
        for name, number in versions.items()
    ]
    git = info.get("git") or {}
    source = f"git commit {git['commit']}{' with changes' * bool(git['changed'])}, " if git else ""
    program = {
        "@id": f"#{PACKAGE}",
        "@type": "SoftwareApplication",
        "name": PACKAGE,
        "softwareVersion": version,
        "description": f"{source}code {code}",
        "operatingSystem": platform.system(),
        "softwareRequirements": _references(needs),
    }
    return [program, *needs]


def _parameters(info: dict[str, Any]) -> list[Entity]:
    """Return the swept parameters with their values."""
    found = []
    for number, name in enumerate(info["parameters"]):
        values = {json.dumps(point["parameters"].get(name)) for point in info["points"]}
        found.append(
            {
                "@id": f"#parameter-{number}",
                "@type": "PropertyValue",
                "name": name,
                "value": sorted(values, key=lambda text: (len(text), text)),
            }
        )
    return found


def _source_licences(results: "Results") -> list[str]:
    sources = [source for city in cities_of(results) for source in city.get("sources", [])]
    return list(dict.fromkeys(f"{source['name']}: {source['licence']}" for source in sources))
