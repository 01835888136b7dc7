"""What tests compare with and this repository does not hold: official schemas and examples.

`python -m tests.reference` (`make reference`) lists each part, who publishes it, and whether it is
here. A test that needs a part is skipped without it, and its reason names that command.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

SHARED: Final = Path(
    os.environ.get("XDS_TEST_REFERENCE", Path(__file__).resolve().parents[2] / "shared")
)
"""The folder that holds them: beside the repository, or where the variable says."""
REFERENCE: Final = SHARED / "reference"
FHIR: Final = REFERENCE / "fhir"
MESSAGES: Final = SHARED / "spec" / "messages"


def absent(path: Path) -> str:
    """Return the reason for which a test is skipped that needs a path."""
    return f"needs {path.relative_to(SHARED)}, see `make reference`"


def needs(path: Path) -> pytest.MarkDecorator:
    """Return the mark of a test that is skipped where a path is absent."""
    return pytest.mark.skipif(not path.exists(), reason=absent(path))


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    publisher: str
    use: str


_PARTS: Final = (
    _Part(REFERENCE / "schema", "IHE, github.com/IHE/ITI-Info", "verdicts of the SOAP schemas"),
    _Part(REFERENCE / "wsdl", "IHE, github.com/IHE/ITI-Info", "operations of the WSDL"),
    _Part(REFERENCE / "examples", "IHE, github.com/IHE/ITI-Info", "IHE's sample messages"),
    _Part(REFERENCE / "third-party", "github.com/oehf/ipf", "WSDL that IHE does not publish"),
    _Part(REFERENCE / "atna", "github.com/oehf/ipf", "the schema of DICOM audit messages"),
    _Part(FHIR / "fhir.schema.json", "HL7, hl7.org/fhir/R4/fhir.schema.json.zip", "elements of R4"),
    _Part(FHIR / "mhd-4.2.4", "IHE, profiles.ihe.net/ITI/MHD/4.2.4", "examples of MHD"),
    _Part(FHIR / "profiles", "IHE, profiles.ihe.net/ITI/MHD/4.2.4", "StructureDefinitions of MHD"),
    _Part(FHIR / "conformance", "IHE, profiles.ihe.net/ITI/MHD/4.2.4", "CapabilityStatements"),
    _Part(FHIR / "dsubm", "IHE, profiles.ihe.net/ITI/DSUBm", "examples of DSUBm"),
    _Part(MESSAGES, "this project's specification", "example messages of each transaction"),
)


def main() -> None:
    """List the parts and where each is to be had."""
    print(f"Tests look for these in {SHARED} (XDS_TEST_REFERENCE names another folder):\n")
    for part in _PARTS:
        here = "here" if part.path.exists() else "ABSENT"
        print(f"  {here:7}{part.path.relative_to(SHARED)!s:32}{part.publisher}\n{'':41}{part.use}")
    if not all(part.path.exists() for part in _PARTS):
        print("\nTests that need an absent part are skipped; all others run.")


if __name__ == "__main__":
    main()
