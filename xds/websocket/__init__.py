"""Websockets of subscriptions: clients that have no endpoint are told by a connection of theirs."""
