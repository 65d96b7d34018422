"""Files that citytwin writes where a user says: told by their suffix, and never over a file of somebody else's."""

from pathlib import Path

from ..storage.atomic import write_atomic
from ..storage.tables import StoreError

PAGES = (".html",)
PICTURES = (".png", ".svg", ".pdf")
TABLES = (".parquet",)
GENERATOR = '<meta name="generator" content="citytwin">'
METADATA = {"png": {"Software": "citytwin"}, "svg": {"Creator": "citytwin"}, "pdf": {"Creator": "citytwin"}}
"""What matplotlib writes into a picture of each format, by which :func:`check_target` knows it."""
ANALYSIS = b"citytwin.analysis"
"""Key in the footer of a table that was made from results, other than a map."""

_SIGNS = {  # how a file begins, and what it may say of its maker
    ".html": (b"<!doctype html>", (GENERATOR.encode(),)),
    ".png": (b"\x89PNG", (b"Software\0citytwin",)),
    ".svg": (b"<?xml", (b"<dc:title>citytwin</dc:title>",)),
    ".pdf": (b"%PDF", (b"/Creator (citytwin)",)),
    ".parquet": (b"PAR1", (b"citytwin.map", ANALYSIS)),
    ".gpkg": (b"SQLite format 3\0", (b"citytwin.map",)),
    ".gif": (b"GIF89a", (b"citytwin",)),
}


def check_target(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that must not be written; one that citytwin wrote may be replaced.

    Args:
        path: the file to write.
        suffixes: what its name may end with.

    Raises:
        StoreError: if the name ends otherwise, or something stands there that citytwin did not write.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise StoreError(f"{path}: the name must end with {' or '.join(suffixes)}")
    if path.is_dir():
        raise StoreError(f"{path}: is a directory; choose another name")
    try:
        content = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error})") from None
    head, makers = _SIGNS[suffix]
    if content is not None and not (content.startswith(head) and any(maker in content for maker in makers)):
        raise StoreError(f"{path}: exists and was not made by citytwin; choose another name or remove it first")


def write_target(path: Path, content: bytes) -> Path:
    """Write a file that :func:`check_target` allows, whole or not at all, and return its path.

    Raises:
        StoreError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
