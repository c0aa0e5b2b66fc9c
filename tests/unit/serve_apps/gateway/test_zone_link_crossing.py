"""What goes to zones beside moves, and clients whose entity was handed over to another zone (row 7.2)."""

from __future__ import annotations

import numpy as np

from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from tests.unit.serve_apps.gateway.test_zone_link import Link, a_world, moved, out


class TestCalls:
    async def test_they_go_with_the_next_batch_of_their_zone(self) -> None:
        realm = Link()
        await realm.listen("zon_a", "zon_b")
        realm.link.move("zon_a", moved(1, 1))
        for number, zone in ((1, "zon_a"), (2, "zon_b"), (3, "zon_a")):
            realm.link.call(zone, internal_pb2.ZoneCall(id=number))
        realm.flush()
        sent = {zone: [call.id for call in batch.calls] for zone, batch in realm.batches}
        assert sent == {"zon_a": [1, 3], "zon_b": [2]}
        assert len(realm.batches) == 2
        realm.flush()
        assert len(realm.batches) == 2

    async def test_a_burst_is_not_one_message_of_any_size(self) -> None:
        realm = Link()
        await realm.listen("zon_a")
        for number in range(20):
            realm.link.call("zon_a", internal_pb2.ZoneCall(id=number, params_json=bytes(60_000)))
        realm.flush()
        assert [call.id for _, batch in realm.batches for call in batch.calls] == list(range(20))
        assert max(batch.ByteSize() for _, batch in realm.batches) < 600_000


class TestCrossing:
    """The entity was handed over to another zone: its first view there says whose it is."""

    def reset(self, number: int, transfer: int, tick: int = 1, attach: int = 1, session: str = "ses_1") -> bytes:
        made = internal_pb2.ZoneOutput.FromString(out(tick, number, zone="zon_b", reset=True, attach=attach))
        for event in made.events:
            event.session_id, event.transfer = session, transfer
        return made.SerializeToString()

    def realm(self) -> tuple[Link, Client, list[tuple[str, int]]]:
        realm, crossed = Link(), []
        client = realm.client(7)
        realm.link._find = {"ses_1": client}.get

        def note(who: Client, zone_id: str, number: int) -> None:
            crossed.append((zone_id, number))
            who.world = a_world(number, zone_id)

        realm.link._crossed = note
        return realm, client, crossed

    async def test_the_client_is_bound_to_the_new_zone_and_the_zone_is_told(self) -> None:
        realm, client, crossed = self.realm()
        await realm.listen("zon_a", "zon_b")
        realm.link.receive(self.reset(3, transfer=5))
        assert (crossed, client.zone_id, client.number, client.transfer) == ([("zon_b", 3)], "zon_b", 3, 5)
        assert [session for session, _ in realm.views] == ["ses_1"]
        realm.link.receive(out(9, 7))  # the old zone has nothing to say to it any more
        assert len(realm.views) == 1
        realm.flush()
        assert [(zone, np.frombuffer(batch.shown, "<u2").tolist()) for zone, batch in realm.batches] == [("zon_b", [3])]

    async def test_it_is_said_again_until_it_is_heard(self) -> None:
        realm, _, crossed = self.realm()
        await realm.listen("zon_b")
        for tick in (1, 2):
            realm.link.receive(self.reset(3, transfer=5, tick=tick))
        realm.flush()
        assert crossed == [("zon_b", 3)]
        assert len(realm.views) == 2
        assert [np.frombuffer(batch.shown, "<u2").tolist() for _, batch in realm.batches] == [[3, 3]]

    async def test_one_from_where_it_was_before_is_not_believed(self) -> None:
        realm, client, crossed = self.realm()
        client.transfer = 6
        realm.link.receive(self.reset(3, transfer=5))
        assert (crossed, client.zone_id, realm.views) == ([], "zon_a", [])

    async def test_one_for_another_attach_or_for_nobody_here(self) -> None:
        realm, client, crossed = self.realm()
        realm.link.receive(self.reset(3, transfer=5, attach=2))
        realm.link.receive(self.reset(4, transfer=5, session="ses_9"))
        assert (crossed, client.zone_id, realm.views) == ([], "zon_a", [])
