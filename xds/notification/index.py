"""The subscriptions of one database in memory, found by what an object has.

Most subscriptions are about one patient, or about exact values of another attribute. They are found
by such a value; only what demands none is decided for each object, and equal filters once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from xds.metadata.criteria import Criterion, comparisons, demanded, evaluate, held
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.searched import searchable
from xds.notification import filters, rights, rows
from xds.notification.model import SubscribedTopic, SubscriptionState
from xds.notification.tables import subscription
from xds.security.caller import Caller

_PAGE: Final = 5_000
_KEPT: Final = 16_384
_PATIENT: Final = "patient_id"
_NOTHING: Final[Mapping[type[MetadataObject], MetadataObject]] = {
    kind: kind.create() for kind in (DocumentEntry, SubmissionSet, Folder)
}
"""Objects that have no attribute."""
_C: Final = subscription.c
_CHANGED: Final = (
    select(
        *(_C.pk, _C.topic, _C.object_kind, _C.changes, _C.is_grouped, _C.filter, _C.begins),
        *(_C.transaction_name, _C.caller, _C.state, _C.revision),
    )
    .where(_C.revision > bindparam("seen"))
    .order_by(_C.revision)
    .limit(_PAGE)
)

_Keys = dict[Criterion, set[int]]
"""Keys of subscriptions by their filter."""


@dataclass(frozen=True, slots=True)
class MatchedSubscription:
    """What matching has to know of a subscription."""

    key: int
    topic: SubscribedTopic
    filter: Criterion
    begins: int | None
    transaction: str
    caller: Caller


@dataclass(slots=True)
class _Bucket:
    """The subscriptions to one change of one kind of object."""

    exact: dict[str, dict[Any, _Keys]] = field(default_factory=dict)
    """Those that demand values of an attribute, by it and each value."""
    others: _Keys = field(default_factory=dict)

    def places(self, one: MatchedSubscription) -> Iterator[_Keys]:
        """Yield where a subscription stands."""
        found = demanded(one.topic.kind, one.filter)
        if not found:
            yield self.others
            return
        attribute = _PATIENT if _PATIENT in found else min(found, key=lambda name: len(found[name]))
        by_value = self.exact.setdefault(attribute, {})
        for value in found[attribute]:
            yield by_value.setdefault(value, {})

    def tidy(self) -> None:
        """Forget places at which nothing stands."""
        for attribute, by_value in list(self.exact.items()):
            kept = {value: keys for value, keys in by_value.items() if keys}
            if kept:
                self.exact[attribute] = kept
            else:
                del self.exact[attribute]


class LiveSubscriptions:
    """All subscriptions that have not ended; belongs to one thread."""

    def __init__(self) -> None:
        self._seen = 0
        self._all: dict[int, MatchedSubscription] = {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._of_patient: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, key: int) -> MatchedSubscription:
        return self._all[key]

    def refresh(self, connection: Connection) -> None:
        """Take over what has changed, in whatever process, up to the state of a transaction."""
        removed = False
        while True:
            found = connection.execute(_CHANGED, {"seen": self._seen}).all()
            for row in found:
                removed = self._remove(row.pk) or removed
                if row.state != SubscriptionState.ENDED:
                    self._add(_matched(row))
                self._seen = row.revision
            if len(found) < _PAGE:
                break
        if removed and not len(self._all) % 64:
            for bucket in self._buckets.values():
                bucket.tidy()

    def _add(self, one: MatchedSubscription) -> None:
        self._all[one.key] = one
        for patient_id in filters.patients_of(one.filter):
            self._of_patient.setdefault(patient_id, set()).add(one.key)
        if one.begins is None:
            return
        for change in one.topic.changes:
            bucket = self._buckets.setdefault((one.topic.kind.KIND, change), _Bucket())
            for keys in bucket.places(one):
                keys.setdefault(one.filter, set()).add(one.key)

    def _remove(self, key: int) -> bool:
        one = self._all.pop(key, None)
        if one is None:
            return False
        for patient_id in filters.patients_of(one.filter):
            self._of_patient[patient_id].discard(key)
            if not self._of_patient[patient_id]:
                del self._of_patient[patient_id]
        for change in one.topic.changes if one.begins is not None else ():
            for keys in self._buckets[one.topic.kind.KIND, change].places(one):
                keys[one.filter].discard(key)
                if not keys[one.filter]:
                    del keys[one.filter]
        return True

    def of_patient(self, patient_id: str) -> frozenset[int]:
        """Return the keys of those whose filter names a patient."""
        return frozenset(self._of_patient.get(searchable(patient_id), ()))

    def may_match(self, kind: str, change: str, patient_ids: Iterator[str] | list[str]) -> bool:
        """Tell, without the object, whether any subscription may ask for a change of it."""
        bucket = self._buckets.get((kind, change))
        if bucket is None:
            return False
        if bucket.others or bucket.exact.keys() - {_PATIENT}:
            return True
        by_patient = bucket.exact.get(_PATIENT, {})
        return any(searchable(one) in by_patient for one in patient_ids)

    def matching(
        self,
        change: str,
        kind: type[MetadataObject],
        known: Mapping[str, str],
        read: Callable[[], MetadataObject | None],
    ) -> Iterator[MatchedSubscription]:
        """Yield the subscriptions that ask for a change of an object; some perhaps twice.

        The object is read where what is ``known`` of it, as for
        :func:`xds.metadata.criteria.evaluate`, does not decide; it may prove to be gone.
        """
        bucket = self._buckets.get((kind.KIND, change))
        if bucket is None:
            return
        places = [bucket.others]
        for attribute, by_value in bucket.exact.items():
            thing = _NOTHING[kind] if attribute in known else read()
            if thing is not None:
                values = held(attribute, thing, known)
                places += [by_value[one] for one in values if one in by_value]
        for keys in places:
            for criterion, found in keys.items():
                thing = _NOTHING[kind] if _attributes(criterion) <= known.keys() else read()
                if thing is not None and evaluate(criterion, thing, known):
                    yield from (self._all[key] for key in found)


@lru_cache(_KEPT)
def _attributes(criterion: Criterion) -> frozenset[str]:
    return frozenset(one.attribute for one in comparisons(criterion))


def _matched(row: Any) -> MatchedSubscription:
    return MatchedSubscription(
        key=row.pk,
        topic=rows.topic_of(row),
        filter=rows.filter_of(row),
        begins=row.begins,
        transaction=row.transaction_name,
        caller=rights.loaded_caller(row.caller),
    )
