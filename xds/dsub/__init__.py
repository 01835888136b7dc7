"""DSUB: subscriptions and notifications by SOAP (ITI TF-2 3.52, 3.53, 3.54; DSUB Extensions 2.1).

What subscribers ask for in the terms of WS-BaseNotification becomes a subscription of
:mod:`xds.notification`, and what that finds becomes a ``wsnt:Notify``. Nothing here knows SOAP.
"""
