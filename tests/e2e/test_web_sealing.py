"""Sealed messages between the Python client and the browser, both ways and in all suites (row 6.4)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cluster.security.sealed_items import suite_of
from rayrealm_client.key_records import ECDH, RSA, BadRecord, read_device, read_identity
from rayrealm_client.sealing import BadSeal, Curve, OwnKeys, read, safety_number, say, seal, unseal
from tests.e2e.conftest import RunScript

SUITES: list[tuple[str, Curve]] = [(RSA, "X25519"), (ECDH, "X25519"), (ECDH, "P-256")]
PRELUDE = """
  const sealing = await load("sealing");
  const records = await load("key_records");
  const now = Date.now() / 1000;
  const why = (work) => work.then(() => "nothing is wrong", (error) => error.reason ?? String(error));
"""


@pytest.fixture
def run(run_script: RunScript) -> Any:
    return lambda script, given=None: run_script(PRELUDE + script, given)


def ann(curve: Curve = "X25519") -> OwnKeys:
    return OwnKeys.create("usr_ann", time.time(), curve=curve, rsa_bits=2_048)


@pytest.mark.parametrize(("suite", "curve"), SUITES)
def test_what_python_seals_the_browser_opens_and_back(run: Any, suite: str, curve: Curve) -> None:
    own = ann(curve)
    bob = run(
        """
        window.bob = await sealing.createKeys("usr_bob", now, { curve: given, rsaBits: 2048 });
        const loose = [window.bob.signing, ...Object.values(window.bob.private)].filter((key) => key.extractable);
        return { identity: window.bob.identity.record, device: window.bob.device.record, loose: loose.length };
        """,
        curve,
    )
    assert bob["loose"] == 0, "private keys cannot be taken out"
    identity = read_identity(bob["identity"], "usr_bob")
    device = read_device(bob["device"], identity)
    assert device.keys[ECDH]["crv"] == curve
    item = seal(say(own, "usr_bob", "grüße 🙂", "id-1", time.time()), device, suite)
    given = {"identity": own.identity.record, "device": own.device.record, "suite": suite, "jwe": item["jwe"]}
    there = run(
        """
        const ann = await records.readIdentity(given.identity, "usr_ann");
        const device = await records.readDevice(given.device, ann);
        const opened = await sealing.read(await sealing.unseal(given.jwe, window.bob), ann, "usr_bob", now);
        const said = await sealing.say(window.bob, "usr_ann", "zurück 🙃", "id-2", now);
        const item = await sealing.seal(said, device, given.suite);
        return { opened, item, safety: await sealing.safetyNumber(ann, window.bob.identity) };
        """,
        given,
    )
    assert (there["opened"]["text"], there["opened"]["messageId"]) == ("grüße 🙂", "id-1")
    back = there["item"]
    assert suite_of(back["jwe"], own.device.device, own.device.version) == suite, "and the realm takes it"
    opened = read(unseal(back["jwe"], own), identity, "usr_ann", time.time())
    assert (opened.text, opened.message_id) == ("zurück 🙃", "id-2")
    assert there["safety"] == safety_number(identity, own.identity)


def test_the_browser_refuses_what_is_not_meant_for_it(run: Any) -> None:
    own, eve = ann(), OwnKeys.create("usr_eve", time.time(), rsa_bits=2_048)
    bob = run(
        """
        window.bob = await sealing.createKeys("usr_bob", now, { rsaBits: 2048 });
        return { identity: window.bob.identity.record, device: window.bob.device.record };
        """
    )
    device = read_device(bob["device"], read_identity(bob["identity"], "usr_bob"))
    good = seal(say(own, "usr_bob", "hello", "id", time.time()), device)["jwe"]
    header, *rest = good.split(".")
    sealed = {
        "tampered": ".".join([header, *rest[:-1], ("A" if rest[-1][0] != "A" else "B") + rest[-1][1:]]),
        "other_device": seal(say(own, "usr_eve", "hello", "id", time.time()), eve.device)["jwe"],
        "readdressed": seal(say(own, "usr_eve", "hello", "id", time.time()), device)["jwe"],
        "forged": seal(say(eve, "usr_bob", "hello", "id", time.time()), device)["jwe"],
        "old": seal(say(own, "usr_bob", "hello", "id", time.time() - 16 * 86_400), device)["jwe"],
        "good": good,
    }
    told = run(
        """
        const ann = await records.readIdentity(given.identity, "usr_ann");
        const open = async (jwe) => sealing.read(await sealing.unseal(jwe, window.bob), ann, "usr_bob", now);
        const said = {};
        for (const [name, jwe] of Object.entries(given.sealed)) said[name] = await why(open(jwe));
        said.identity = await why(records.readIdentity(given.identity, "usr_eve"));
        said.device = await why(records.readDevice(given.eve, ann));
        said.type = await why(records.readDevice(given.identity, ann));
        return said;
        """,
        {"identity": own.identity.record, "eve": eve.device.record, "sealed": sealed},
    )
    assert told == {
        "tampered": "cannot_open",
        "other_device": "not_for_this_device",
        "readdressed": "wrong_receiver",
        "forged": "bad_signature",
        "old": "wrong_time",
        "good": "nothing is wrong",
        "identity": "wrong_user",
        "device": "bad_signature",
        "type": "wrong_type",
    }


def test_python_refuses_records_that_the_browser_signed_for_something_else(run: Any) -> None:
    bob = run(
        """
        const bob = await sealing.createKeys("usr_bob", now, { suites: ["ECDH-ES+A256KW"] });
        const said = await sealing.say(bob, "usr_ann", "x", "id", now);
        return { identity: bob.identity.record, device: bob.device.record, said };
        """
    )
    identity = read_identity(bob["identity"], "usr_bob")
    assert list(read_device(bob["device"], identity).keys) == [ECDH]
    for record in (bob["said"], bob["identity"]):
        with pytest.raises(BadRecord, match="wrong_type"):
            read_device(record, identity)
    with pytest.raises(BadSeal, match="bad_signature"):
        read(bob["device"], identity, "usr_ann", time.time())
