"""The upgrade request: what is read from it, and what it is refused for."""

from __future__ import annotations

from http import HTTPStatus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.messages import Framing
from serve_apps.gateway.upgrade import Refusal, Upgrade, parse_head, read
from tests.unit.serve_apps.gateway.fakes import KEY

HANDSHAKE = [("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", KEY)]


def asked(target: str = "/ws", *headers: tuple[str, str]) -> Upgrade | Refusal:
    return read("GET", target, [*HANDSHAKE, *headers])


def taken(target: str = "/ws", *headers: tuple[str, str]) -> Upgrade:
    upgrade = asked(target, *headers)
    assert isinstance(upgrade, Upgrade), upgrade
    return upgrade


def refused(upgrade: Upgrade | Refusal) -> tuple[int, str]:
    assert isinstance(upgrade, Refusal)
    return upgrade.status.value, upgrade.reason


AUTHORIZATION = ("authorization", "Bearer one")
PROTOCOL = ("sec-websocket-protocol", "rayrealm.v1+json, rayrealm.token.two")
COOKIE = ("cookie", "rayrealm_token=three")


class TestTokens:
    def test_the_first_place_that_has_one_counts(self) -> None:
        target = "/ws?token=four"
        assert taken(target, COOKIE, PROTOCOL, AUTHORIZATION).token == "one"
        assert taken(target, COOKIE, PROTOCOL).token == "two"
        assert taken(target, COOKIE).token == "three"
        assert taken(target).token == "four"

    def test_without_any_it_is_401(self) -> None:
        assert refused(asked()) == (401, "token_missing")

    @pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "", "one"])
    def test_an_authorization_that_is_no_bearer_token_is_passed_over(self, value: str) -> None:
        assert taken("/ws?token=four", ("authorization", value)).token == "four"

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
    def test_the_scheme_is_compared_without_case(self, scheme: str) -> None:
        assert taken("/ws", ("authorization", f"{scheme}  one ")).token == "one"

    @pytest.mark.parametrize(
        "cookie",
        [
            "rayrealm_token=three",
            "a=b; rayrealm_token=three; c=d",
            'prefs={"a":1,"b":[2]}; rayrealm_token=three',
            "broken; =; rayrealm_token=three",
            'rayrealm_token="three"',
            "rayrealm_token=; rayrealm_token=three",
            "xrayrealm_token=no;rayrealm_token = three ",
        ],
    )
    def test_a_cookie_is_found_among_others_whatever_they_are(self, cookie: str) -> None:
        assert taken("/ws", ("cookie", cookie)).token == "three"

    def test_several_cookie_headers_are_one(self) -> None:
        assert taken("/ws", ("cookie", "a=b"), COOKIE, ("cookie", "c=d")).token == "three"

    def test_an_empty_token_is_none(self) -> None:
        assert refused(asked("/ws?token=", ("cookie", "rayrealm_token="))) == (401, "token_missing")


class TestFraming:
    @pytest.mark.parametrize(
        ("offered", "framing"),
        [
            ("rayrealm.v1+json", Framing.JSON),
            ("rayrealm.v1+proto", Framing.PROTO),
            ("other, rayrealm.v1+proto,rayrealm.v1+json", Framing.PROTO),
            ("rayrealm.token.x, rayrealm.v1+json", Framing.JSON),
            ("other", None),
            ("rayrealm.token.x", None),
            ("RAYREALM.V1+JSON", None),
            ("", None),
        ],
    )
    def test_the_first_known_one_is_chosen(self, offered: str, framing: Framing | None) -> None:
        upgrade = taken("/ws?token=t", ("sec-websocket-protocol", offered))
        assert upgrade.framing is framing
        assert upgrade.subprotocol == (framing.value if framing else "")

    def test_a_token_is_never_chosen_as_the_subprotocol(self) -> None:
        assert taken("/ws", ("sec-websocket-protocol", "rayrealm.token.x")).subprotocol == ""

    def test_several_headers_are_one_list(self) -> None:
        upgrade = taken(
            "/ws", ("sec-websocket-protocol", "rayrealm.token.x"), ("sec-websocket-protocol", "rayrealm.v1+proto")
        )
        assert (upgrade.token, upgrade.framing) == ("x", Framing.PROTO)


class TestSession:
    def test_it_is_taken_from_the_query(self) -> None:
        assert taken("/ws?token=t&session=ses_0a1B-_").session_id == "ses_0a1B-_"

    @pytest.mark.parametrize(
        "query", ["", "&session=", "&session=abc", "&session=ses_", "&session=ses_a%00", "&session=ses_a:b",
                  "&session=ses_" + "x" * 61, "&session=%ff", "&session=ses_a%0a", "&session=usr_1"]
    )  # fmt: skip
    def test_one_that_cannot_exist_is_none(self, query: str) -> None:
        assert taken("/ws?token=t" + query).session_id == ""


class TestPaths:
    @pytest.mark.parametrize("target", ["/ws", "/ws/", "/ws?x=1", "/ws?", "/ws#part", "http://realm/ws"])
    def test_the_endpoint(self, target: str) -> None:
        assert isinstance(asked(target, AUTHORIZATION), Upgrade)

    @pytest.mark.parametrize(
        "target", ["/", "", "*", "/wss", "/WS", "/v1/ws", "/ws/x", "/w%73", "//[x", "http://[/ws", "ws", "//ws"]
    )
    def test_anything_else_is_404_whatever_the_token(self, target: str) -> None:
        assert refused(asked(target, AUTHORIZATION)) == (404, "not_found")
        assert refused(asked(target)) == (404, "not_found")


class TestHandshake:
    @pytest.mark.parametrize("version", [None, "8", "12", "14", "", "13, 13"])
    def test_another_version_is_400(self, version: str | None) -> None:
        headers = [("sec-websocket-key", KEY), AUTHORIZATION]
        headers += [("sec-websocket-version", version)] if version is not None else []
        assert refused(read("GET", "/ws", headers)) == (400, "bad_request")

    @pytest.mark.parametrize("key", [None, "", "AAAA", "not base64 at all!!!!!!!", KEY + KEY, "é" * 24, "AAAA" * 6])
    def test_a_missing_or_wrong_key_is_400(self, key: str | None) -> None:
        headers = [("sec-websocket-version", "13"), AUTHORIZATION]
        headers += [("sec-websocket-key", key)] if key is not None else []
        assert refused(read("GET", "/ws", headers)) == (400, "bad_request")

    @pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "get"])
    def test_another_method_is_400(self, method: str) -> None:
        assert refused(read(method, "/ws", [*HANDSHAKE, AUTHORIZATION])) == (400, "bad_request")

    def test_the_library_is_given_only_what_it_needs(self) -> None:
        upgrade = taken("/ws?token=t", ("connection", "keep-alive, Upgrade"), ("cookie", "x" * 20_000))
        method, target, headers = parse_head(upgrade.handshake())
        assert (method, target) == ("GET", "/ws")
        assert dict(headers) == {
            "host": "gateway",
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-version": "13",
            "sec-websocket-key": KEY,
        }
        assert upgrade.handshake().endswith(b"\r\n\r\n")


class TestHeads:
    def test_a_head_is_taken_apart(self) -> None:
        head = b"GET /ws?a=b HTTP/1.1\r\nHost: x:1\r\nX-Odd:  a: b \r\nempty:\r\n\r\n"
        assert parse_head(head) == ("GET", "/ws?a=b", [("host", "x:1"), ("x-odd", "a: b"), ("empty", "")])

    def test_bytes_beyond_ascii_are_no_problem(self) -> None:
        _, _, headers = parse_head(b"GET /ws HTTP/1.1\r\nCookie: \xff\xfe\r\n\r\n")
        assert headers == [("cookie", "\xff\xfe")]

    @given(
        st.text(st.characters(max_codepoint=255, exclude_characters=" \r\n"), max_size=30),
        st.lists(
            st.tuples(
                st.sampled_from(["authorization", "cookie", "sec-websocket-protocol", "origin", "x"]),
                st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40),
            ),
            max_size=5,
        ),
    )
    def test_no_request_raises(self, rest: str, headers: list[tuple[str, str]]) -> None:
        for target in (rest, "/ws?" + rest, "//" + rest):
            asked(target, *headers)


def test_a_refusal_is_a_problem() -> None:
    body = orjson.loads(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full", "this gateway is full", 5).body())
    assert body == {
        "type": "urn:rayrealm:problem:full",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "this gateway is full",
        "reason": "full",
    }
