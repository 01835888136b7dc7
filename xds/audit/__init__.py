"""Audit (ATNA, ITI TF-2 3.20): a record of every access, and where records go.

What has happened is a value (:mod:`xds.audit.record`), made from what the interceptors know of a
request (:mod:`xds.audit.trail`). A change and its record are one commit; the record of anything
else is on this machine's disk (:mod:`xds.audit.spool`) before the answer leaves, and soon after in
the table that all processes share (:mod:`xds.audit.table`). From there records go to an Audit
Record Repository as DICOM's XML (:mod:`xds.audit.message`, :mod:`xds.audit.shipping`).
"""
