"""Pages of CDA documents: what processor time and memory the server takes for one (ITI-68).

The yardstick is the style sheet of HL7 under libxslt in one process, with the same parsing; it
comes with a package of npm, and without that there is no yardstick.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from lxml import etree

from bench import machine
from bench.deployment import Deployment
from bench.figures import Figure
from tests.fhir.asked import ask, provide
from tests.pages.documents import BROWSER, cda, with_text
from tests.pages.style_sheet import style_sheet

_PAGES: Final = 20
_MEGABYTE: Final = 1_000_000
_ROWS: Final = 20
_ROW: Final = (
    '<tr ID="r{n}"><td>Haemoglobin {n}</td><td align="right">13.{n}</td><td>g/dL</td>'
    '<td>12.0 - 16.0</td><td><content styleCode="Bold">H</content></td></tr>'
)
_MARKUP: Final = '<content styleCode="Bold">a</content><br/><sub>2</sub>'
_ENTRY: Final = (
    '<entry typeCode="DRIV"><observation classCode="OBS" moodCode="EVN">'
    '<templateId root="2.16.840.1.113883.10.20.22.4.2" extension="2015-08-01"/>'
    '<id root="2.999.4.1" extension="{n}"/><code code="718-7" codeSystem="2.16.840.1.113883.6.1" '
    'displayName="Hemoglobin [Mass/volume] in Blood"><originalText><reference value="#r{n}"/>'
    '</originalText></code><statusCode code="completed"/><effectiveTime value="20260312"/>'
    '<value xsi:type="PQ" value="13.{n}" unit="g/dL"/><interpretationCode code="H" '
    'codeSystem="2.16.840.1.113883.5.83"/><referenceRange><observationRange>'
    '<value xsi:type="IVL_PQ"><low value="12.0" unit="g/dL"/><high value="16.0" unit="g/dL"/>'
    "</value></observationRange></referenceRange></observation></entry>"
)


def document(size: int, rows: int = _ROWS) -> bytes:
    """Return a CDA of about that size: sections of a table and of as many coded results."""
    sections: list[str] = []
    length = 0
    while length < size:
        numbers = range(len(sections) * rows, (len(sections) + 1) * rows)
        table, entries = ("".join(part.format(n=n) for n in numbers) for part in (_ROW, _ENTRY))
        sections.append(
            f"<component><section><title>Results {len(sections)}</title><text><table><thead><tr>"
            "<th>Test</th><th>Value</th><th>Unit</th><th>Range</th><th>Flag</th></tr></thead>"
            f"<tbody>{table}</tbody></table></text>{entries}</section></component>"
        )
        length += len(sections[-1])
    return cda(f"<structuredBody>{''.join(sections)}</structuredBody>")


def markup(size: int) -> bytes:
    """Return a CDA of about that size which is nearly nothing but tags of its one narrative."""
    return with_text(_MARKUP * (size // len(_MARKUP)))


def pages(
    size: int, deployment: Deployment, make: Callable[[int], bytes] = document
) -> Sequence[Figure]:
    """Measure the processor time of a page in milliseconds, and the memory that it takes in MB.

    ``make`` returns a document of a size.
    """
    data = make(size)
    path = f"/document/{provide(deployment.server, data, 'text/xml')}"

    def had() -> None:
        assert ask(deployment.server, "GET", path, {"Accept": BROWSER}).status == 200

    had()
    sizes = {pid: machine.resident(pid) for pid in deployment.processes}
    for pid in sizes:
        machine.forget_peak(pid)
    before = machine.cpu_seconds(deployment.processes)
    for _ in range(_PAGES):
        had()
    used = (machine.cpu_seconds(deployment.processes) - before) / _PAGES
    growth = max(machine.resident_peak(pid) - was for pid, was in sizes.items())
    return [Figure(used * 1000, _yardstick(data)), Figure(growth / _MEGABYTE, 0)]


def _yardstick(data: bytes) -> float:
    """Measure the page that the style sheet of HL7 makes, in milliseconds of processor time."""
    transform = style_sheet()
    if transform is None:
        return 0.0
    began = time.process_time()
    bytes(transform(etree.fromstring(data)))
    return (time.process_time() - began) * 1000
