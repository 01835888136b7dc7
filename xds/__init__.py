"""An IHE XDS.b Document Registry and Document Repository."""

__version__ = "0.2.0"
