"""Queries that find objects by their attributes, and what they must find in the population.

A new query or parameter needs rows here or in :mod:`tests.registry.cases_of_getting`, and a query a
base in :data:`tests.registry.query_cases.BASES`; tests fail until then.
"""

from dataclasses import replace
from typing import Final

from tests.registry.query_cases import (
    APPROVED,
    CARDIOLOGY,
    DOCUMENTS,
    FOLDERS,
    ON_DEMAND,
    REFERENCE_A,
    REFERENCE_B,
    SETS,
    STABLE,
    SURGERY,
    Case,
    N,
    R,
)
from tests.registry.wire import BOTH_STATUSES, BOTH_TYPES, Parameters, Values, texts
from xds.metadata import vocabulary as v

_NEW: Final = "new, scan, note, signature, snapshot"
"""The documents that have nothing of their own to be found by."""


def _documents(name: str, parameter: str, value: Values, found: str, *shows: str) -> Case:
    given = {**DOCUMENTS, f"$XDSDocumentEntry{parameter}": value}
    return Case(name, "FindDocuments", given, found, tuple(f"behaviour {one}" for one in shows))


def _between(name: str, parameter: str, start: str, stop: str, found: str, *shows: str) -> Case:
    bounds = (("From", start), ("To", stop))
    given = {f"$XDSDocumentEntry{parameter}{end}": text for end, text in bounds if text}
    rows = tuple(f"behaviour {one}" for one in shows)
    return Case(name, "FindDocuments", {**DOCUMENTS, **given}, found, rows)


_FIND_DOCUMENTS: Final = (
    Case("approved", "FindDocuments", DOCUMENTS, f"report, letter, image, lab, {_NEW}"),
    _documents("deprecated", "Status", texts(v.DEPRECATED), "old"),
    _documents("of both statuses", "Status", BOTH_STATUSES, f"report,letter,image,lab,old,{_NEW}"),
    _documents(
        "of a known and an unknown status",
        "Status",
        f"('{v.DEPRECATED}','urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Approved')",
        "old",
        "unknown status",
    ),
    _documents("of another patient", "PatientId", "'P2^^^&2.999.1.1&ISO'", "twin"),
    _documents("of an unknown patient", "PatientId", "'P8^^^&2.999.1.1&ISO'", "", "no result"),
    _documents("class", "ClassCode", "('report^^2.999.5.1')", "report"),
    _documents(
        "the same code of another scheme", "ClassCode", "('report^^2.999.5.99')", "lab", "codes"
    ),
    _documents(
        "either class",
        "ClassCode",
        "('report^^2.999.5.1','image^^2.999.5.1')",
        "report, image",
        "OR",
    ),
    _documents(
        "either class in several Values",
        "ClassCode",
        ("('report^^2.999.5.1')", "('image^^2.999.5.1','poem^^2.999.5.1')"),
        "report, image",
        "several Values",
    ),
    _documents(
        "a class without parentheses", "ClassCode", "'image^^2.999.5.1'", "image", "white space"
    ),
    _documents(
        "white space round values",
        "ClassCode",
        " ( 'report^^2.999.5.1' ,\n 'image^^2.999.5.1' ) ",
        "report, image",
        "white space",
    ),
    _documents("a class in other case", "ClassCode", "('Report^^2.999.5.1')", "", "exact"),
    _documents("type", "TypeCode", "('referral^^2.999.5.2','x-ray^^2.999.5.2')", "letter, image"),
    _documents("practice setting", "PracticeSettingCode", "('radiology^^2.999.5.3')", "image"),
    _documents(
        "facility type", "HealthcareFacilityTypeCode", "('hospital^^2.999.5.4')", "report, image"
    ),
    _documents("format", "FormatCode", f"('text^^{v.IHE_FORMAT_CODES}')", "letter"),
    _documents("event", "EventCodeList", "('admission^^2.999.5.6')", "report, letter"),
    _documents(
        "either event",
        "EventCodeList",
        "('angiography^^2.999.5.6','admission^^2.999.5.6')",
        "report, letter",
        "OR",
    ),
    _documents(
        "both events",
        "EventCodeList",
        ["('angiography^^2.999.5.6')", "('admission^^2.999.5.6')"],
        "report",
        "AND",
    ),
    _documents("confidentiality", "ConfidentialityCode", N, "report, letter"),
    _documents("both confidentialities", "ConfidentialityCode", [N, R], "letter", "AND"),
    _documents(
        "either of two and a third confidentiality",
        "ConfidentialityCode",
        [("('R^^2.16.840.1.113883.5.25')", "('V^^2.16.840.1.113883.5.25')"), N],
        "letter",
        "AND",
        "several Values",
    ),
    _documents("author's name", "AuthorPerson", "('%Ruiz%')", "report, letter", "LIKE"),
    _documents("second author", "AuthorPerson", "('%Okafor%')", "report", "LIKE"),
    _documents("whole author", "AuthorPerson", "('^O''Hara^100%')", "image", "quotes"),
    _documents("author without wildcards", "AuthorPerson", "('Ruiz')", "", "LIKE"),
    _documents("author in other case", "AuthorPerson", "('%ruiz%')", "", "LIKE", "exact"),
    _documents("author by one character", "AuthorPerson", "('^Ruiz_^%')", "letter", "LIKE"),
    _documents("author by any character", "AuthorPerson", "('%^Ruiz_E%')", "report", "LIKE"),
    _documents("author with an apostrophe", "AuthorPerson", "('%''H%')", "image", "quotes"),
    _documents("author with a backslash", "AuthorPerson", r"('%\T\%')", "lab", "LIKE"),
    _documents("a backslash escapes nothing", "AuthorPerson", r"('%100\%')", "", "LIKE"),
    _documents(
        "either author",
        "AuthorPerson",
        ("('%Elena')", "('%Hara%','%Lab')"),
        "report, image, lab",
        "OR",
    ),
    _documents(
        "author in decomposed characters",
        "AuthorPerson",
        "('%Mu\u0308ller^Jo\u0308rg')",
        "new",
        "exact",
    ),
    _documents("On-Demand", "Type", ON_DEMAND, "demand", "default Stable"),
    _documents("Stable", "Type", STABLE, f"report, letter, image, lab, {_NEW}", "default Stable"),
    _documents(
        "both kinds",
        "Type",
        BOTH_TYPES,
        "report, letter, image, lab, new, scan, note, signature, demand, snapshot",
        "default Stable",
    ),
    _between("created from a year", "CreationTime", "2025", "", "report, letter, image, lab"),
    _between(
        "created from a day",
        "CreationTime",
        "20250630",
        "",
        "letter, image, lab",
        "mixed precision",
    ),
    _between("created from a second", "CreationTime", "20250630120000", "", "image, lab", "bounds"),
    _between("created after a second", "CreationTime", "20250630120001", "", "lab", "bounds"),
    _between(
        "created before a second",
        "CreationTime",
        "2025",
        "20250630120000",
        "report, letter",
        "bounds",
    ),
    _between("created before a day", "CreationTime", "", "20250630", f"report, {_NEW}", "bounds"),
    _between(
        "created in a year",
        "CreationTime",
        "2025",
        "2026",
        "report, letter, image",
        "mixed precision",
    ),
    _between("created at no time", "CreationTime", "2025", "2025", "", "bounds"),
    _between("created in quotes", "CreationTime", "'2025'", "'2026'", "report, letter, image"),
    Case(
        "bounds of creation do not concern On-Demand",
        "FindDocuments",
        {
            **DOCUMENTS,
            "$XDSDocumentEntryType": BOTH_TYPES,
            "$XDSDocumentEntryCreationTimeFrom": "2026",
            "$XDSDocumentEntryCreationTimeTo": "2027",
        },
        "lab, demand",
        ("behaviour absent times",),
    ),
    _between(
        "begun from a day or at no time",
        "ServiceStartTime",
        "20250102",
        "",
        "letter, image, lab",
        "absent times",
    ),
    _between(
        "begun before a day or at no time",
        "ServiceStartTime",
        "2021",
        "20250102",
        "report, letter",
        "absent times",
    ),
    _between(
        "ended from a month or at no time",
        "ServiceStopTime",
        "202503",
        "",
        "report, letter, lab",
        "absent times",
        "mixed precision",
    ),
    _between(
        "ended before a day or at no time",
        "ServiceStopTime",
        "2021",
        "20250315",
        "letter, image",
        "absent times",
    ),
)


def _with(query: str, parameter: str, value: str, *found: str) -> tuple[Case, ...]:
    """Return the cases of FindDocuments for a query that has one more parameter."""
    return tuple(
        replace(
            case,
            query=query,
            parameters={**case.parameters, f"$XDSDocumentEntry{parameter}": value},
            found=", ".join(name for name in case.expected if name in found),
        )
        for case in _FIND_DOCUMENTS
    )


def _references(name: str, value: Values, found: str, *shows: str) -> Case:
    given = {**DOCUMENTS, "$XDSDocumentEntryReferenceIdList": value}
    rows = tuple(f"behaviour {one}" for one in shows)
    return Case(name, "FindDocumentsByReferenceId", given, found, rows)


_BY_REFERENCE: Final = (
    *_with(
        "FindDocumentsByReferenceId",
        "ReferenceIdList",
        f"({REFERENCE_A},{REFERENCE_B})",
        "report",
        "letter",
    ),
    _references("a reference", f"({REFERENCE_A})", "report"),
    _references("either reference", f"({REFERENCE_A},{REFERENCE_B})", "report, letter", "OR"),
    _references("both references", [f"({REFERENCE_A})", f"({REFERENCE_B})"], "report", "AND"),
    _references("a part of a reference", "('A')", "", "exact"),
    _references("no pattern", f"('%^{v.REFERENCE_ACCESSION}')", "", "exact"),
)


def _titled(name: str, value: Values, found: str, *shows: str, **other: str) -> Case:
    more = {f"$XDSDocumentEntry{parameter}": given for parameter, given in other.items()}
    given = {**DOCUMENTS, "$XDSDocumentEntryTitle": value, **more}
    rows = tuple(f"behaviour {one}" for one in shows)
    return Case(name, "FindDocumentsByTitle", given, found, rows)


_BY_TITLE: Final = (
    *_with("FindDocumentsByTitle", "Title", "('%')", "report", "letter"),
    _titled("a title", "('Referral letter')", "letter", "LIKE"),
    _titled("a title of any case", "('referral letter')", "", "LIKE", "exact"),
    _titled("a part of a title", "('%report%')", "report", "LIKE"),
    _titled("a part without wildcards", "('report')", "", "LIKE"),
    _titled("a title by one character", "('Referral_letter')", "letter", "LIKE"),
    _titled("a percent sign is wild", "('%100\\%%')", "", "LIKE"),
    _titled("an apostrophe", "('%O''Hara')", "report", "quotes"),
    _titled("decomposed characters", "('%u\u0308ber%')", "report", "exact"),
    _titled("either title", "('%letter','Discharge%')", "report, letter", "OR"),
    _titled("either in several Values", ("('%letter')", "('Discharge%')"), "report, letter"),
    _titled("of one institution", "('%')", "letter", AuthorInstitution="('Heart Practice')"),
    _titled("of institutions", "('%')", "report, letter", AuthorInstitution="('Heart%')"),
    _titled(
        "of its second institution", "('%')", "report", AuthorInstitution="('%^^1.2.276.0.76.4711')"
    ),
    _titled("of a person, no institution", "('%')", "", AuthorInstitution="('%Okafor%')"),
)


def _sets(name: str, parameter: str, value: Values, found: str) -> Case:
    given = {**SETS, f"$XDSSubmissionSet{parameter}": value}
    return Case(name, "FindSubmissionSets", given, found)


_FIND_SETS: Final = (
    Case("approved", "FindSubmissionSets", SETS, "first, second, third, fourth, fifth, sixth"),
    _sets("deprecated", "Status", texts(v.DEPRECATED), ""),
    _sets("of another patient", "PatientId", "'P2^^^&2.999.1.1&ISO'", "seventh"),
    _sets("source", "SourceId", "('2.999.1.9')", "second"),
    _sets("either source", "SourceId", "('2.999.1.9','2.999.1.77')", "second"),
    _sets("submitted from", "SubmissionTimeFrom", "2025", "first, second"),
    _sets("submitted from a second", "SubmissionTimeFrom", "20250701120000", "second"),
    _sets(
        "submitted before",
        "SubmissionTimeTo",
        "20250701120000",
        "first, third, fourth, fifth, sixth",
    ),
    _sets("author", "AuthorPerson", "'%Ruiz%'", "first"),
    _sets("any author", "AuthorPerson", "'%Okafor%'", "first, second"),
    _sets("content type", "ContentType", "('discharge^^2.999.5.7')", "first"),
    _sets(
        "either content type",
        "ContentType",
        "('discharge^^2.999.5.7','consultation^^2.999.5.7')",
        "first, second",
    ),
)


def _folders(name: str, parameter: str, value: Values, found: str, *shows: str) -> Case:
    given = {**FOLDERS, f"$XDSFolder{parameter}": value}
    return Case(name, "FindFolders", given, found, tuple(f"behaviour {one}" for one in shows))


_FIND_FOLDERS: Final = (
    Case("approved", "FindFolders", FOLDERS, "heart, lung"),
    _folders("deprecated", "Status", texts(v.DEPRECATED), ""),
    _folders("of another patient", "PatientId", "'P2^^^&2.999.1.1&ISO'", "foreign"),
    _folders("a code", "CodeList", CARDIOLOGY, "heart"),
    _folders(
        "either code",
        "CodeList",
        "('surgery^^2.999.5.8','pneumology^^2.999.5.8')",
        "heart, lung",
        "OR",
    ),
    _folders("both codes", "CodeList", [CARDIOLOGY, SURGERY], "heart", "AND"),
    _folders("two codes of nobody", "CodeList", [CARDIOLOGY, "('pneumology^^2.999.5.8')"], ""),
    _folders("updated from", "LastUpdateTimeFrom", "202507", "lung", "mixed precision"),
    _folders("updated before", "LastUpdateTimeTo", "20250701120000", "heart", "bounds"),
)

_BOTH_PATIENTS: Final = "('P1^^^&2.999.1.1&ISO','P2^^^&2.999.1.1&ISO')"


def _of_many(name: str, parameters: Parameters, found: str) -> Case:
    given = {"$XDSDocumentEntryPatientId": _BOTH_PATIENTS, "$XDSDocumentEntryStatus": APPROVED}
    return Case(name, "FindDocumentsForMultiplePatients", {**given, **parameters}, found)


_HERE: Final = "('here^^2.999.4.7')"
"""A code of a scheme that only this population has, so that no patient need be named."""


def _of_anyone(name: str, parameter: str, found: str) -> Case:
    given = {"$XDSDocumentEntryStatus": APPROVED, f"$XDSDocumentEntry{parameter}": _HERE}
    return Case(name, "FindDocumentsForMultiplePatients", given, found)


_MULTIPLE: Final = (
    *(replace(case, query="FindDocumentsForMultiplePatients") for case in _FIND_DOCUMENTS),
    *(replace(case, query="FindFoldersForMultiplePatients") for case in _FIND_FOLDERS),
    _of_many("patients", {}, f"report, letter, image, lab, {_NEW}, twin"),
    _of_many("class", {"$XDSDocumentEntryClassCode": "('letter^^2.999.5.1')"}, "letter, twin"),
    _of_anyone("class of any patient", "ClassCode", "note"),
    _of_anyone("event of any patient", "EventCodeList", "note, twin"),
    _of_anyone("facility type of any patient", "HealthcareFacilityTypeCode", "note"),
    Case(
        "Folders of patients",
        "FindFoldersForMultiplePatients",
        {**FOLDERS, "$XDSFolderPatientId": _BOTH_PATIENTS},
        "heart, lung, foreign",
    ),
    Case(
        "Folders of a code and of any patient",
        "FindFoldersForMultiplePatients",
        {"$XDSFolderStatus": APPROVED, "$XDSFolderCodeList": _HERE},
        "heart, foreign",
    ),
)

CASES: Final = (
    *_FIND_DOCUMENTS,
    *_BY_REFERENCE,
    *_BY_TITLE,
    *_FIND_SETS,
    *_FIND_FOLDERS,
    *_MULTIPLE,
)
