"""Several large summaries at once: they are made in turn, and too many are told to come back."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.fhir.asked import Reply, ask, new_patient
from tests.forms.ips import breaches
from tests.forms.served import entry, provide, retrieve, with_forms
from tests.forms.test_summary import DISCHARGE, by_identifier
from tests.forms.test_summary_on_demand import RULES
from tests.servers.shared import SharedServers
from tests.serving import Server
from xds.client import TransactionRefused

AT_ONCE: Final = 12
LARGE: Final = DISCHARGE.replace(
    b"<item>Latex</item>",
    b"<item>Latex</item>" + b"<item>Nothing else that is known</item>" * 40_000,
)


@pytest.fixture
def one_worker(shared_servers: SharedServers) -> Server:
    """A server of one process, which handles as many requests at once as there are."""
    options = {"workers": "1", "threads": str(AT_ONCE)}
    return shared_servers("one worker", lambda data: with_forms(data, RULES, **options))


def at_once(call: Callable[[], str]) -> Counter[str]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(lambda _: call(), range(AT_ONCE)))


@pytest.mark.slow
def test_too_many_large_summaries_are_told_to_come_back(one_worker: Server) -> None:
    patient = new_patient()
    provide(one_worker, LARGE, "text/xml", patient_id=patient)
    of_entry = entry(one_worker, patient, "summary")
    path = f"/Patient/$summary?identifier={by_identifier(patient)}"

    def by_fhir() -> str:
        reply = ask(one_worker, "GET", path)
        if reply.status == 200:
            assert breaches(reply.json()) == []
            return "made"
        return _refused(reply)

    def by_soap() -> str:
        try:
            retrieve(one_worker, of_entry)
        except TransactionRefused as refused:
            return ", ".join(one.code for one in refused.response.errors)
        return "made"

    # one is made, and five may wait for it
    for call, refusal in ((by_fhir, "503 transient"), (by_soap, "XDSRepositoryBusy")):
        found = at_once(call)
        assert found["made"] >= 1
        assert {*found} == {"made", refusal}
    # afterwards all is as it was
    assert by_fhir() == by_soap() == "made"


def _refused(reply: Reply) -> str:
    assert int(reply.headers["retry-after"]) > 0
    (issue,) = reply.json()["issue"]
    return f"{reply.status} {issue['code']}"
