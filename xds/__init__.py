"""An IHE XDS.b Document Registry and Document Repository."""

__version__ = "0.1.0"
