from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
from typing import Any

from serve_apps.accounts.docs_page import CONTENT_SECURITY_POLICY, render

EVIL = "<img src=x onerror=alert(1)>\"'"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def document(word: str) -> dict[str, Any]:
    """An OpenAPI document that says `word` wherever a document can say something."""
    schema = {"$ref": f"#/components/schemas/{word}"}
    return {
        "info": {"title": word, "version": word, "description": word},
        "paths": {
            f"/{word}": {
                "post": {
                    "description": word,
                    "security": [{word: []}],
                    "requestBody": {"content": {word: {"schema": schema}}},
                    "responses": {word: {"description": word, "content": {word: {"schema": {"type": word}}}}},
                }
            }
        },
        "components": {"schemas": {word: {"description": word, "properties": {word: {"type": word}}}}},
    }


def test_nothing_of_the_document_becomes_markup() -> None:
    page, plain = parse(render(document(EVIL))), parse(render(document("word")))
    assert page.tags == plain.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in plain.attributes]
    assert page.text.count("onerror") >= 10


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    page = render(document("word"))
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert "style=" not in page


def test_links_lead_to_the_bodies() -> None:
    page = parse(render(document("word")))
    links = {value for name, value in page.attributes if name == "href" and value and value.startswith("#")}
    ids = {f"#{value}" for name, value in page.attributes if name == "id"}
    assert links == {"#word"} <= ids


def test_a_document_with_as_little_as_possible() -> None:
    page = parse(render({"info": {"title": "t", "version": "1"}, "paths": {}}))
    assert page.tags.count("section") == 0


def test_code_in_a_description_looks_like_code() -> None:
    page = parse(render(document("`word`")))
    assert "code" in page.tags
    assert page.tags.count("code") > parse(render(document("word"))).tags.count("code")
