"""Violations of what holds for On-Demand DocumentEntries (ITI TF-2 3.61.4.1.3)."""

from functools import partial
from typing import Final

from tests.registry import edits
from tests.registry.edits import SUBMISSION_SET, attribute, identifier, replace
from tests.registry.violations import METADATA, MISMATCH, UNRESOLVED, Violation, registered
from xds.metadata import vocabulary as v

_ON_DEMAND: Final = "urn:uuid:00000000-0000-4000-8000-000000000061"
_ENTRY: Final = f"//rim:ExtrinsicObject[@id='{_ON_DEMAND}']"

_violation = partial(
    Violation,
    fixture="iti61/on_demand_document",
    transaction="ITI-61",
    code=METADATA,
    at=_ON_DEMAND,
)

VIOLATIONS: Final = (
    *(
        _violation(
            name=f"an On-Demand document with {name}",
            rule="forbidden",
            edit=edits.add_slot(_ENTRY, name, value),
            words=(name, "On-Demand DocumentEntry"),
        )
        for name, value in (("creationTime", "2026"), ("hash", "f" * 40), ("size", "1"))
    ),
    _violation(
        name="a Stable document in ITI-61",
        rule="object_types",
        edit=attribute(_ENTRY, "objectType", v.STABLE_DOCUMENT_ENTRY),
        words=("objectType", "On-Demand", "ITI-61"),
    ),
    _violation(
        name="an On-Demand document without typeCode",
        rule="required",
        edit=edits.remove(edits.classification(_ENTRY, v.DOCUMENT_ENTRY_TYPE_CODE)),
        words=("typeCode is required",),
    ),
    _violation(
        name="an On-Demand document with the uniqueId of a Stable one",
        rule="no_stable_twin",
        before=(registered("iti42/preassigned_uuids"),),
        edit=replace("2.999.3.61", "2.999.3.10"),
        words=("2.999.3.10", "Stable"),
    ),
    _violation(
        name="an On-Demand document of another patient",
        rule="one_patient",
        edit=attribute(
            identifier(SUBMISSION_SET, v.SUBMISSION_SET_PATIENT_ID),
            "value",
            "P2^^^&2.999.1.1&ISO",
        ),
        code=MISMATCH,
        words=("DocumentEntry", "P2^^^&2.999.1.1&ISO"),
        also=(MISMATCH,),
    ),
    _violation(
        name="the replacement of an On-Demand document that nobody has",
        rule="references_resolve",
        fixture="iti61/replacement_on_demand",
        edit=edits.nothing,
        code=UNRESOLVED,
        words=(_ON_DEMAND,),
        at="relation",
    ),
    _violation(
        name="a snapshot that is On-Demand itself",
        rule="snapshots",
        fixture="iti61/replacement_on_demand",
        before=(registered("iti61/on_demand_document"),),
        edit=replace(v.RPLC, v.IS_SNAPSHOT_OF),
        words=("source", "Stable"),
        at="relation",
    ),
)
