"""The options by sections, and what their values are; :mod:`xds.config` makes one of them."""
