"""As much of JSON Schema as HL7's schema of R4 uses: another opinion on what is wrong."""

import re
from typing import Any, Final

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "array": (list,),
}


def accepts(definitions: dict[str, Any], resource: dict[str, Any]) -> bool:
    """Tell whether the schema takes a resource."""
    return resource.get("resourceType") in definitions and _fits(
        definitions, definitions[resource["resourceType"]], resource
    )


def _fits(definitions: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference == "ResourceList":
        return isinstance(value, dict) and accepts(definitions, value)
    if reference:
        return _fits(definitions, definitions[reference], value)
    if "properties" in schema:
        return isinstance(value, dict) and _object_fits(definitions, schema, value)
    if schema.get("type") == "array":
        return isinstance(value, list) and all(
            _fits(definitions, schema["items"], one) for one in value
        )
    return _primitive_fits(schema, value)


def _object_fits(
    definitions: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]
) -> bool:
    properties = schema["properties"]
    return set(schema.get("required", ())) <= set(value) <= set(properties) and all(
        _fits(definitions, properties[name], one) for name, one in value.items()
    )


def _primitive_fits(schema: dict[str, Any], value: Any) -> bool:
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    if "type" not in schema:
        return True
    if isinstance(value, bool) != (schema["type"] == "boolean"):
        return False
    right = isinstance(value, _TYPES[schema["type"]])
    pattern = schema.get("pattern")
    return right and (
        pattern is None or isinstance(value, bool) or bool(re.search(pattern, str(value)))
    )
