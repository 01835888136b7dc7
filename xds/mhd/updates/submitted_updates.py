"""Updates that come with a submission: PATCH entries of a Provide Document Bundle (ITI-65).

They are an ITI-57 of its own, with its own decision of the policy and its own record, in the commit
of the submission.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.interactions import PATCH
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.resource import Resource
from xds.metadata.catalogue import ITI_57
from xds.mhd.provide.publishing import ALONE, FurtherRegistrations
from xds.mhd.updates.transaction import Updatables, read_entries
from xds.mhd.updates.writing import update_of
from xds.security.access import Access
from xds.security.details import PatientDetails, distinct
from xds.security.errors import AccessDenied
from xds.security.scopes import grant, permissions

_NEEDED: Final = permissions(DocumentReference="u")


@contextmanager
def submitted_updates(
    types: Updatables,
    facade: Facade,
    call: Call,
    entries: Sequence[tuple[int, Resource]],
    issues: IssueCollector,
) -> Iterator[FurtherRegistrations]:
    """Read the updates of a Bundle, each with the index of its entry, and open the block for them.

    Raises Refused with all that is wrong, also what ``issues`` has, and AccessDenied.
    """
    if not entries:
        issues.raise_if_any()
        yield ALONE
        return
    _check_scopes(facade, call)
    access = Access(
        transaction=ITI_57.name,
        caller=call.access.caller,
        visible=call.access.visible,
        interaction=PATCH,
        checks=list(call.access.checks),
    )
    with facade.domain.interceptors.passing(access):
        own = replace(call, access=access)
        found = read_entries(types, facade, own, iter(entries), issues)
        issues.raise_if_any()
        changes = [one.change for one in found if one.change and not one.change.is_nothing]
        if not changes:
            patients = distinct(one.current.thing.patient_id for one in found)
            access.details = PatientDetails(patients)
            yield ALONE
            return
        update = update_of(changes, facade.domain.repository.unique_id)
        access.submits(update.whole)
        yield FurtherRegistrations(update.registrations, update.places, access.commit)


def _check_scopes(facade: Facade, call: Call) -> None:
    """Deny updates to a token that is for submissions alone."""
    user = call.access.caller.user
    if user is None or facade.config.token_scopes != "require":
        return
    if not grant(user.scopes, ITI_57.name, _NEEDED).granted:
        raise AccessDenied(f"the token has not the scope {ITI_57.name}")
