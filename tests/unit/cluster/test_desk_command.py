"""How commands work with a realm: what is waited for, cancelled, and said of what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from cluster import running
from cluster.adapters.memory.bus import MemoryBus
from cluster.beats import Beats
from cluster.cli import desk, hearing
from cluster.cli.desk import Here
from cluster.cli.hearing import Hearing, hear
from cluster.cli.main import main
from cluster.cli.remote import TOKEN
from cluster.errors import StartRefused
from cluster.operations.all import registry
from cluster.process_control import ProcessControl
from cluster.running import RunningRealm
from tests.unit.cluster.operations.world_rig import ADA, SUBJECTS, Rig, beat

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


async def no_beats(_rounds: int) -> None:
    """Nothing is waited for."""


class TestCancelling:
    async def interrupted(self, rig: Rig, name: str, **params: Any) -> list[str]:
        """What Ctrl-C in the middle of it prints."""
        said: list[str] = []
        shell = Here(rig.desk, registry(), no_beats, ADA)
        begun = asyncio.create_task(shell.act(name, params, lambda step, _: said.append(step), None))
        while len(said) < 2:  # noqa: ASYNC110 - it is told by the command itself
            await asyncio.sleep(0)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        return said

    async def test_what_can_be_is(self) -> None:
        rig = Rig()
        rig.supervisor.looks = 1_000_000
        said = await self.interrupted(rig, "zones.split", zone="zon_a")
        assert said[-1] == "cancelled"
        assert rig.supervisor.cancels == 1

    async def test_what_is_too_late_is_told(self) -> None:
        rig = Rig()
        rig.supervisor.looks, rig.supervisor.too_late = 1_000_000, True
        said = await self.interrupted(rig, "zones.split", zone="zon_a")
        assert said[-1].startswith("not cancelled: ")

    async def test_what_never_can_be_goes_on(self) -> None:
        rig = Rig()
        rig.hear(beat("gateway", "gtw_a"))
        rig.on_pause = lambda: rig.hear(beat("gateway", "gtw_a"))
        said = await self.interrupted(rig, "gateways.scale", count=3)
        assert said[-1] == "this cannot be cancelled: what has begun goes on"

    async def test_giving_up_to_wait_cancels_nothing(self) -> None:
        rig = Rig()
        rig.supervisor.looks = 1_000_000
        shell = Here(rig.desk, registry(), no_beats, ADA)
        with pytest.raises(TimeoutError):
            await shell.act("zones.split", {"zone": "zon_a"}, lambda *_: None, 0.05)
        assert rig.supervisor.cancels == 0


class TestHearing:
    async def listen(self, names: Collection[str], expected: Collection[str], rounds: int) -> tuple[Beats, list[str]]:
        """The beats, and who was asked."""
        bus, asked = MemoryBus(), list[str]()
        beats = Beats(lambda: 0.0)
        heard = Hearing(beats)
        await bus.subscribe(SUBJECTS.beats(), heard.take)
        for number, name in enumerate(names):

            def say(name: str = name, pid: int = number + 1) -> None:
                asked.append(name)
                bus.publish(SUBJECTS.beats(), beat("zone", name, pid=pid, at=1_000.0 + len(asked)).dump())

            await bus.respond(SUBJECTS.process_control(), ProcessControl(name, False, say).respond)

        async def registered() -> Collection[str]:
            return expected

        await hear(bus, SUBJECTS, heard, registered, rounds)
        return beats, asked

    async def test_until_all_that_are_expected_were_heard(self) -> None:
        beats, asked = await self.listen(["a", "b"], ["a", "b"], 1)
        assert [known.name for known in beats.living()] == ["a", "b"]
        assert sorted(asked) == ["a", "b"]

    async def test_twice_for_rates(self, monkeypatch: Patch) -> None:
        monkeypatch.setattr(hearing, "RATE_OVER_S", 0.0)
        _, asked = await self.listen(["a"], ["a"], 2)
        assert asked == ["a", "a"]

    async def test_one_that_has_ended_is_not_waited_for_for_ever(self, monkeypatch: Patch) -> None:
        monkeypatch.setattr(hearing, "LONGEST_S", 0.1)
        beats, _ = await self.listen(["a"], ["a", "gone"], 2)
        assert [known.name for known in beats.living()] == ["a"]

    async def test_nobody_is_asked_if_no_beats_are_wanted(self) -> None:
        _, asked = await self.listen(["a"], ["a"], 0)
        assert asked == []

    def test_one_of_another_version_is_passed_over(self) -> None:
        beats = Beats(lambda: 0.0)
        Hearing(beats).take(b'{"kind": "zone"}')
        assert beats.living() == []


class TestWhichRealm:
    def test_one_that_is_just_stopping(self, monkeypatch: Patch, tmp_path: Path, capsys: Captured) -> None:
        monkeypatch.delenv(TOKEN, raising=False)
        realm = RunningRealm.of_this_process("http://127.0.0.1:8000", tmp_path, "rayrealm-realm")
        monkeypatch.setattr(running, "find", lambda *_: realm)
        monkeypatch.setattr("sys.argv", ["rayrealm", "zones", "plan"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        assert "http://127.0.0.1:8000, which is just stopping, is not available" in capsys.readouterr().err

    async def test_a_token_needs_an_address(self, monkeypatch: Patch) -> None:
        monkeypatch.setenv(TOKEN, "opt_secret")
        with pytest.raises(StartRefused, match="--url or RAYREALM_URL"):
            async with desk.opened(None):
                raise AssertionError("it was opened")
