"""The files of pages: styles, by names that tell their content, so that browsers keep them."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, as it is sent."""

    content_type: str
    plain: bytes
    compressed: bytes
    """The same in gzip."""


def static_files() -> tuple[Mapping[str, str], Mapping[str, StaticFile]]:
    """Return what the files are called in templates and by URLs, and the files by the latter."""
    names: dict[str, str] = {}
    files: dict[str, StaticFile] = {}
    for path in sorted(_FOLDER.iterdir()):
        if content_type := _TYPES.get(path.suffix):
            data = path.read_bytes()
            name = f"{path.stem}.{sha256(data).hexdigest()[:12]}{path.suffix}"
            names[path.name] = name
            files[name] = StaticFile(content_type, data, gzip.compress(data, 9, mtime=0))
    return names, files
