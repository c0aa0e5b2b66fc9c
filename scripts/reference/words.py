"""JSON schemas in words."""

from __future__ import annotations

from typing import Any

WORDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "nothing",
    "value": "any JSON",
}
LIMITS = (
    ("minimum", ">= {:g}"),
    ("exclusiveMinimum", "> {:g}"),
    ("maximum", "<= {:g}"),
    ("exclusiveMaximum", "< {:g}"),
    ("minLength", "at least {} long"),
    ("maxLength", "at most {} long"),
    ("minItems", "at least {} of them"),
    ("maxItems", "at most {} of them"),
)


def kind(said: dict[str, Any]) -> str:
    """A JSON schema in words, with its limits."""
    if "anyOf" in said:
        return " or ".join(dict.fromkeys(kind(one) for one in said["anyOf"]))
    if "$ref" in said:
        return str(said["$ref"].rpartition("/")[2])
    if "enum" in said:
        return "one of " + ", ".join(f"`{value}`" if value else "empty" for value in said["enum"])
    if said.get("type") == "array":
        word = f"list of {kind(said.get('items', {}))}"
    else:
        word = WORDS.get(str(said.get("type", "value")), str(said.get("type", "value")))
    if said.get("writeOnly"):
        word += ", secret"
    limits = [form.format(said[key]) for key, form in LIMITS if key in said and (key != "minLength" or said[key] > 0)]
    return f"{word} ({', '.join(limits)})" if limits else word
