"""Documents that are made when they are retrieved (ITI TF-1 10.2.9): rules, entries, snapshots.

What a form looks like is for the room :mod:`xds.content`, above; it comes here as rows
(:class:`xds.on_demand.forms.DocumentForm`).
"""
