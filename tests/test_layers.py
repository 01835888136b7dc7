"""Imports point down only, and each library has its room: read from the syntax tree.

An import counts wherever it stands, also within a function or for types only.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.sources import parsed, statements

# From the top down. A room may import itself and the rooms of the lines below it, no other room of
# its own line. A new module or folder of xds/ needs its place here. The options of a room, in its
# module ``options``, stand in the room of that name, for the configuration is made of them.
LAYERS: Final = (
    ("__main__",),
    ("commands",),
    ("server",),
    ("app", "websocket"),
    ("console",),
    ("channels", "subscribers"),
    ("dsubm", "fhir_messages", "fhir_forms"),
    ("mhd", "messaging"),
    ("content",),
    ("soap", "fhir", "hl7v2", "rendering"),
    ("transactions", "http"),
    ("affinity_domain",),
    ("dsub", "on_demand"),
    ("client", "notification"),
    ("registry", "repository", "audit", "telemetry", "accounts", "refusals", "feeds"),
    ("config", "schema_validation"),
    ("options",),
    ("security",),
    ("outgoing",),
    ("database",),
    ("logs", "tracing", "wire"),
    ("metadata", "sqlite_file", "url_allowlist", "tls"),
    (
        *("base64_blocks", "cache", "closing", "one_at_a_time", "parsing", "private_folder"),
        *("sockets", "trace_context"),
    ),
    ("errors",),
)

# What a room may import of those below, where that is less than all.
LESS: Final = {
    # what the APIs and the commands call, and no way of its own to what is stored
    "console": (
        "accounts",
        "affinity_domain",
        "audit",
        "client.answers",
        "client.consumer",
        "client.parameters",
        "config",
        "content.pages",
        "content.reading.deployment",
        "database.errors",
        "database.plans",
        "errors",
        "fhir.exchange",
        "fhir.facade",
        "fhir.http.failures",
        "fhir.interactions",
        "fhir.r4",
        "fhir.search",
        "fhir.vocabulary",
        "hl7v2.acknowledgement",
        "hl7v2.described",
        "hl7v2.message",
        "hl7v2.spooled",
        "http.request_body",
        "logs",
        "messaging.doors.judging",
        "messaging.flavours.reading",
        "messaging.flavours.table",
        "messaging.incoming",
        "messaging.operations",
        "messaging.outbound.destination",
        "messaging.outbound.documents",
        "messaging.outbound.operations",
        "messaging.outbound.records",
        "messaging.outbound.sending",
        "messaging.raw_messages",
        "messaging.records",
        "messaging.v2.reading",
        "metadata",
        "mhd.document_pages",
        "mhd.document_references",
        "mhd.served_documents",
        "notification.model",
        "notification.operations",
        "notification.subscriptions",
        "outgoing.delivery",
        "outgoing.operations",
        "outgoing.overview",
        "parsing",
        "feeds",
        "refusals",
        "registry.events",
        "registry.patient_links",
        "registry.queries",
        "registry.storage.fragments",
        "repository.maintenance",
        "repository.store",
        "schema_validation.XDS_ACTORS",
        "schema_validation.packaged_folder",
        "security",
        "telemetry.server_metrics",
        "tls.contexts",
        "tls.expiry",
        "tls.material",
        "transactions.iti18_registry_stored_query",
        "transactions.iti51_multi_patient_stored_query",
        "transactions.messages",
        "transactions.transaction",
        "url_allowlist",
        "wire.envelope",
    ),
    "client": (
        "closing",
        "outgoing",
        "wire",
        "repository.registering",
        "config",
        "tls.contexts",
        "parsing",
        "tracing",
        "logs",
        "metadata",
        "errors",
    ),
    "wire": ("base64_blocks", "metadata", "errors"),
    "accounts": (
        "database",
        "security",
        "outgoing.fetching",
        "outgoing.transport",
        "logs",
        "metadata",
        "url_allowlist",
        "errors",
    ),
    "refusals": ("database", "security", "logs", "metadata", "errors"),
    "feeds": ("database", "security", "metadata", "errors"),
    "on_demand": (
        "client.administrator",
        "client.submitting",
        "security",
        "registry",
        "repository",
        "config",
        "database",
        "logs",
        "metadata",
        "one_at_a_time",
        "errors",
    ),
    "audit": (
        "config",
        "database",
        "private_folder",
        "logs",
        "outgoing",
        "security",
        "url_allowlist",
        "tls",
        "metadata",
        "errors",
        "sockets",
    ),
    "notification": (
        "audit",
        "config",
        "telemetry.database_metrics",
        "telemetry.metrics",
        "registry",
        "security",
        "outgoing",
        "database",
        "logs",
        "tracing",
        "metadata",
        "url_allowlist",
        "options.tls",
        "tls",
        "errors",
    ),
    "registry": ("database", "logs", "parsing", "metadata", "errors"),
    "repository": (
        "closing",
        "database",
        "tracing",
        "logs",
        "sqlite_file",
        "metadata",
        "errors",
        "private_folder",
    ),
    "transactions": (
        "feeds.paused",
        "affinity_domain",
        "dsub",
        "on_demand",
        "notification",
        "registry",
        "repository",
        "schema_validation",
        "security",
        "database",
        "logs",
        "metadata",
        "one_at_a_time",
        "errors",
    ),
    "security": ("cache", "outgoing", "logs", "metadata", "url_allowlist", "errors"),
    "outgoing": (
        "closing",
        "database",
        "logs",
        "tracing",
        "trace_context",
        "metadata",
        "url_allowlist",
        "tls",
        "errors",
        "sockets",
    ),
    "http": (
        "affinity_domain",
        "repository.store",
        "config",
        "schema_validation",
        "security.interceptors",
        "database",
        "logs",
        "metadata.catalogue",
        "parsing",
        "errors",
    ),
    "schema_validation": ("metadata",),
    "database": ("logs", "sqlite_file", "sockets", "tracing", "errors"),
    "config": ("options",),
    "options": (
        "metadata",
        "security.requirements",
        "sqlite_file",
        "url_allowlist",
    ),
    "telemetry": (
        "config",
        "database",
        "logs",
        "private_folder",
        "security",
        "tracing",
        "metadata",
        "errors",
    ),
    "tracing": ("trace_context",),
}

# The rooms that may import a library.
LIBRARIES: Final = {
    "spyne": ("soap.spyne_adapter",),
    "six": ("soap.spyne_adapter",),
    "argon2": ("accounts.passwords",),
    "sqlalchemy": (
        "accounts",
        "refusals",
        "feeds",
        "channels",
        "telemetry.database_metrics",
        "websocket.source",
        "content.observations.filling",
        "dsub.pull_points",
        "dsub.recorder",
        "hl7v2.persons",
        "on_demand.tables",
        "database",
        "registry",
        "notification",
        "messaging.outbound",
        "repository.index",
        "audit.activity",
        "audit.chain",
        "audit.searching",
        "audit.table",
        "audit.shipping",
        "messaging.registering",
        "messaging.fragments",
        "messaging.filing",
        "messaging.operations",
        "messaging.raw_messages",
        "messaging.records",
        "messaging.tables",
        "outgoing.dispatcher",
        "outgoing.leases",
        "outgoing.operations",
        "outgoing.overview",
        "outgoing.queue",
        "outgoing.tables",
    ),
    "alembic": ("registry",),
    "pybase64": ("base64_blocks",),
    "zstandard": ("registry.storage.packing",),
    "psycopg": ("database",),
    "pypdf": ("content.reading.pdf", "content.forms.pdf"),
    "PIL": ("rendering.pictures",),
    "fpdf": ("rendering",),
    "fontTools": ("rendering",),
    "pymupdf_fonts": ("rendering",),
    "obstore": ("repository.object_storage",),
    "falcon": ("app", "http.pages", "fhir", "console"),
    "granian": ("http.granian_worker",),
    "websockets": ("websocket.server",),
    "cryptography": ("tls", "server.certificates", "security", "soap.assertions"),
    "prometheus_client": ("telemetry.metrics", "telemetry.shared_values"),
    "opentelemetry": ("tracing",),
    "click": ("__main__", "commands"),
    "rich": ("commands",),
    "structlog": ("logs",),
    "pydantic": (
        "config",
        "commands",
        "options",
        "security.policy_file",
        "messaging.flavours.reading",
        "messaging.outbound.destinations_file",
    ),
    "pydantic_settings": ("config",),
    "jinja2": ("content.pages", "console"),
    "markupsafe": ("content.pages", "console"),
    "nh3": ("content.pages",),
    "lxml": (
        "dsub",
        "wire",
        "soap",
        "fhir",
        "content",
        "mhd",
        "messaging.rendering",
        "rendering",
        "transactions",
        "schema_validation",
        "parsing",
        "metadata",
        "client",
    ),
    "orjson": (
        "content.observations.stored",
        "fhir",
        "mhd",
        "fhir_messages",
        "security.key_sets",
        "audit.record",
    ),
    "signxml": ("soap.assertions",),
    "jwt": ("security.key_sets", "security.tokens", "accounts.id_tokens"),
}

# One parser reads what comes from outside; the contract reads files of its own.
PARSERS: Final = ("parsing", "schema_validation")
PARSING: Final = frozenset(
    {"fromstring", "fromstringlist", "parse", "iterparse", "XML", "XMLParser", "XMLPullParser"}
)

PACKAGE: Final = Path(__file__).parent.parent / "xds"


@dataclass(frozen=True, slots=True)
class Import:
    """An import: the module that has it, in which line, and what it names."""

    module: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"xds.{self.module}:{self.line} imports {self.target}"


def violations(package: Path) -> list[str]:
    """Give every import and every use of lxml's parser that is out of its place."""
    trees = {_name(path, package): parsed(path) for path in package.rglob("*.py")}
    rooms = {module.partition(".")[0] for module in trees} - {""}
    unknown = rooms - {room for layer in LAYERS for room in layer}
    return [
        *(f"xds.{room} has no place in LAYERS" for room in sorted(unknown)),
        *(str(one) for one in _imports(trees) if not _allowed(one)),
        *_parsers(trees),
    ]


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(trees: Mapping[str, ast.Module]) -> Iterator[Import]:
    for module, tree in trees.items():
        for node in statements(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                for alias in node.names:
                    # of xds, a name may be a module; of others, the library is enough
                    within = origin.partition(".")[0] in ("xds", "")
                    target = f"{origin.rstrip('.')}.{alias.name}" if within else origin
                    yield Import(module, node.lineno, target)


def _allowed(one: Import) -> bool:
    if one.target.startswith("."):
        return False  # relative imports are not used, so that a search finds every import
    library, _, target = one.target.partition(".")
    if library != "xds":
        return library not in LIBRARIES or _within(_placed(one.module), LIBRARIES[library])
    module, target = _placed(one.module), _placed(target)
    if _within(target, (f"options.{module.partition('.')[0]}",)):
        return True  # a room may import its own options
    room, target_room = module.partition(".")[0], target.partition(".")[0]
    if target_room == room or _depth(target_room) is None:
        return True  # its own room, or a name of xds/__init__.py
    return _below(room, target_room) and _within(target, LESS.get(room, (target_room,)))


def _placed(module: str) -> str:
    """Return a module by its place in LAYERS: ``audit.options`` is in the room of the options."""
    room, _, rest = module.partition(".")
    return f"options.{room}" if rest.partition(".")[0] == "options" else module


def _within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{room}.") for room in rooms)


def _below(room: str, target: str) -> bool:
    upper, lower = _depth(room), _depth(target)
    return upper is not None and lower is not None and upper < lower


def _depth(room: str) -> int | None:
    return next((depth for depth, layer in enumerate(LAYERS) if room in layer), None)


def _parsers(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    for module, tree in trees.items():
        if _within(module, PARSERS) or not _uses_lxml(module, tree):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in PARSING and _is_etree(node.value):
                yield f"xds.{module}:{node.lineno} parses XML by etree.{node.attr}"
            elif isinstance(node, ast.ImportFrom) and node.module == "lxml.etree":
                yield f"xds.{module}:{node.lineno} imports from lxml.etree: say etree.NAME"


def _uses_lxml(module: str, tree: ast.Module) -> bool:
    return any(one.target.partition(".")[0] == "lxml" for one in _imports({module: tree}))


def _is_etree(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "etree"


def test_imports_point_down_only() -> None:
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("module", "line", "finding"),
    [
        (
            "metadata/objects.py",
            "from xds.registry.tables import document_entry",
            "xds.registry.tables.document_entry",
        ),
        ("registry/registry.py", "from xds.repository import store", "xds.repository.store"),
        ("repository/repository.py", "import xds.registry.registry", "xds.registry.registry"),
        ("transactions/iti18.py", "from xds.wire.mtom import encode", "xds.wire.mtom.encode"),
        ("soap/application.py", "from xds.fhir import application", "xds.fhir.application"),
        ("errors.py", "from xds.metadata import vocabulary", "xds.metadata.vocabulary"),
        ("errors.py", "from xds import metadata", "xds.metadata"),
        ("registry/registry.py", "from xds.config import Config", "xds.config.Config"),
        ("client.py", "from xds.soap import application", "xds.soap.application"),
        ("transactions/iti18.py", "import spyne.model", "spyne.model"),
        ("repository/repository.py", "from sqlalchemy import select", "sqlalchemy"),
        ("registry/registry.py", "import obstore", "obstore"),
        ("soap/application.py", "import falcon", "falcon"),
        ("metadata/objects.py", "from . import ebrim", ".ebrim"),
        ("audit/options.py", "from xds.audit import table", "xds.audit.table"),
        ("config.py", "from xds.audit import table", "xds.audit.table"),
        ("app.py", "def f():\n    from granian import Granian", "granian"),
    ],
)
def test_an_import_out_of_its_place_is_found(
    tmp_path: Path, module: str, line: str, finding: str
) -> None:
    _write(tmp_path / module, line)
    (found,) = violations(tmp_path)
    assert found.startswith("xds.")
    assert found.endswith(f" imports {finding}")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("registry/registry.py", "from sqlalchemy import select\nfrom xds.metadata import objects"),
        ("repository/index.py", "from sqlalchemy import select"),
        (
            "app.py",
            "from xds import __version__, logs\nfrom xds.soap.application import create",
        ),
        ("client.py", "from xds.wire.mtom import encode\nimport ssl"),
        ("config.py", "from xds.audit.options import AuditOptions"),
        ("audit/options.py", "from xds.options.values import Url\nimport pydantic"),
        ("soap/spyne_adapter.py", "from spyne.protocol.soap import Soap12\nimport six"),
    ],
)
def test_an_import_in_its_place_is_not(tmp_path: Path, module: str, line: str) -> None:
    _write(tmp_path / module, line)
    assert violations(tmp_path) == []


def test_a_room_without_a_place_is_found(tmp_path: Path) -> None:
    _write(tmp_path / "attic.py", "")
    assert violations(tmp_path) == ["xds.attic has no place in LAYERS"]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("from lxml import etree\netree.fromstring(b'')", "parses XML by etree.fromstring"),
        ("from lxml.etree import parse", "imports from lxml.etree: say etree.NAME"),
    ],
)
def test_a_second_parser_is_found(tmp_path: Path, line: str, finding: str) -> None:
    _write(tmp_path / "soap" / "envelope.py", line)
    (found,) = violations(tmp_path)
    assert found.endswith(finding)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_no_fhir_transaction_imports_another() -> None:
    for path in (PACKAGE / "mhd").glob("iti*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        named = [one.module or "" for one in nodes if isinstance(one, ast.ImportFrom)]
        assert not [name for name in named if name.startswith("xds.mhd.iti")], path.name
