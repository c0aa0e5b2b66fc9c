"""The API's page: plain HTML made from the OpenAPI document; no scripts, no requests to anyone else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from serve_apps.accounts.limits import NO_CONTENT_ALLOWED

_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
section { border: 1px solid var(--line); border-radius: 8px; margin: 1rem 0; padding: 0 1rem 1rem; }
code, pre { font: 14px/1.5 ui-monospace, monospace; background: var(--soft); border-radius: 4px; }
code { padding: 0.1em 0.3em; }
pre { padding: 0.7em; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.3em 0.6em; border-top: 1px solid var(--line); vertical-align: top; }
.method { font-weight: 700; text-transform: uppercase; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"{NO_CONTENT_ALLOWED}; style-src 'sha256-{_STYLE_HASH}'"


def render(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI 3.1 document."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{escape(info.get('description', ''))}</p>",
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>',
        "<h2>Calls</h2>",
        *_operations(document),
        "<h2>Bodies</h2>",
        *_schemas(document),
        "</body></html>",
    ]
    return "".join(parts)


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(path, method, item[method])


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    needs_token = " Needs <code>Authorization: Bearer</code>." if operation.get("security") else ""
    body = operation.get("requestBody", {}).get("content", {})
    takes = f"<p>Body: {_content(body)}</p>" if body else ""
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{_prose(answer.get('description', ''))}</td>"
        f"<td>{_content(answer.get('content', {}))}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<section><h3><span class="method">{escape(method)}</span> <code>{escape(path)}</code></h3>'
        f"<p>{_prose(operation.get('description') or operation.get('summary', ''))}{needs_token}</p>{takes}"
        f"<table><tr><th>Answer</th><th>When</th><th>Body</th></tr>{answers}</table></section>"
    )


def _prose(text: str) -> str:
    """Text with `code` in it, as Markdown has it."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _content(content: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{_schema_name(each.get('schema', {}))} <code>{escape(media_type)}</code>"
        for media_type, each in content.items()
    )


def _schema_name(schema: Mapping[str, Any]) -> str:
    name = escape(schema.get("$ref", "").rpartition("/")[2])
    return f'<a href="#{name}">{name}</a>' if name else escape(str(schema.get("type", "")))


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        text = escape(json.dumps(schema.get("properties", schema), indent=2, ensure_ascii=False))
        about = _prose(schema.get("description", ""))
        yield f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{about}</p><pre>{text}</pre></section>'
