"""Servers that make forms of documents, shared by the tests of this folder."""

import pytest

from tests.forms.served import with_forms
from tests.servers.shared import SharedServers
from tests.serving import Server

LAWFUL = {"metadata_update": "yes", "remove_metadata": "yes", "fhir_update": "yes"}
RULES = """
[[on_demand]]
form = "xds-sd"
rule = [{ mime_type = ["text/plain", "application/pdf"] }]
"""


@pytest.fixture
def server(shared_servers: SharedServers) -> Server:
    """A server that has texts and PDFs as XDS-SD on demand."""
    return shared_servers("forms", lambda data: with_forms(data, RULES, **LAWFUL))


@pytest.fixture
def keeping(shared_servers: SharedServers) -> Server:
    """A server that keeps what is retrieved, and records it."""
    return shared_servers(
        "forms kept",
        lambda data: with_forms(data, RULES, on_demand_snapshots="yes", audit="on", **LAWFUL),
    )
