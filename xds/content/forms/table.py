"""The forms of one deployment: a row for each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xds import __version__
from xds.content.forms import settings as form_settings
from xds.content.forms.settings import FormSettings, FormSettingsError
from xds.content.forms.xds_sd import ScannedDocumentMaker
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import DocumentForm, DocumentForms, FormRequest, NotConvertible

NAMES: Final = ("xds-sd",)
"""Of all forms that there are."""


def read(path: Path | None) -> DocumentForms:
    """Return the forms as the file of the option document_forms has them; FormSettingsError."""
    found = form_settings.read(path, dict.fromkeys(NAMES))
    rows = {one.name: one for one in _rows(found)}
    if asked := {one.form for one in found.rules} - rows.keys():
        why = "needs the table organisation, with name, id and country, and xds_sd.patient_country"
        raise FormSettingsError(f"form {asked.pop()} {why}")
    return DocumentForms(rows, f"{__version__} {found.digest}", found.rules)


def _rows(settings: FormSettings) -> Iterator[DocumentForm]:
    if settings.organisation.is_whole and settings.xds_sd.patient_country:
        wrapping = ScannedDocumentMaker(settings, _no_pdf, _never)
        yield DocumentForm(
            name="xds-sd",
            title="as XDS-SD",
            type_of=wrapping.type_of,
            build=wrapping.build,
        )


def _never(_: DocumentEntry) -> bool:
    return False


def _no_pdf(_: FormRequest) -> bytes:
    raise NotConvertible("the document cannot be had as PDF")
