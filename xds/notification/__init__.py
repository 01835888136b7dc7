"""The engine of notifications: who has asked to be told of what, and what each is told.

A subscription is a row with a filter, a :mod:`criterion <xds.metadata.criteria>`. The matcher reads
the registry's events in their order and gives each that a subscription asks for a number of this
subscription; the numbers have no holes. A notification is put into the delivery queue in the same
commit, and goes out at least once, in order, with the same id each time. How it looks on the wire
is the affair of a protocol, a row of ``PROTOCOLS`` in :mod:`xds.channels`.
"""
