"""What goes out: nothing but to where the options allow (:mod:`xds.url_allowlist`).

Messages that must arrive are put into the delivery queue (:mod:`xds.outgoing.queue`), in the commit
of what they are about, and sent by the dispatcher of any process (:mod:`xds.outgoing.dispatcher`):
at least once, in order for each target, with retries by the schedule of their channel
(:mod:`xds.outgoing.delivery`). Documents that are only pointed at are fetched
(:mod:`xds.outgoing.fetching`).
"""
