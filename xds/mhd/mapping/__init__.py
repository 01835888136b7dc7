"""XDS metadata as FHIR resources and back (MHD 4.2.4; docs/mhd-mapping.md is made from table.py).

Written: DocumentReference, List, Patient. Read: DocumentReference, List. What comes back of an
object that was written is the same object, but for what the table lists as lost.
"""
