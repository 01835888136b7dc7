"""An IHE XDS.b Document Registry and Document Repository."""

__version__ = "0.2.0"

PRODUCT = "IHE XDS registry"
"""How a document that is made here names the program that made it."""
