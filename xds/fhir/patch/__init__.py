"""The three forms of a patch (FHIR R4, 3.1.0.6): JSON Patch, XML Patch and FHIRPath Patch.

A patch that was read is a function from a resource to the changed one. It raises Refused where it
is not well-formed (400) and where it cannot be applied (422).
"""
