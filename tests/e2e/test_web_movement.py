"""The browser library's prediction and interpolation, in real Chromium, with a clock of the test's own."""

from __future__ import annotations

import math

import pytest

from tests.e2e.conftest import RunScript


def walk_script(body: str) -> str:
    """A prediction in a zone of 100 by 100 m, and steps of a 60th of a second."""
    return f"""
      const {{ Prediction }} = await load("prediction");
      const player = new Prediction({{ position: {{ x: 50, y: 0, z: 50 }}, yaw: 0, maxSpeed: 8, sequence: 41,
        bounds: {{ min_x: 0, min_z: 0, max_x: 100, max_z: 100 }} }});
      let now = 10;
      const sent = [];
      const steps = (count, x, z) => {{
        for (let index = 0; index < count; index += 1) {{
          now += 1 / 60;
          const move = player.step(now, {{ x, z }});
          if (move) sent.push({{ ...move, at: now }});
        }}
      }};
      player.step(now, {{ x: 0, z: 0 }});
      {body}
    """


def test_walking_is_shown_at_once_and_sent_ten_times_a_second(run_script: RunScript) -> None:
    first, east, rested, turns = run_script(
        walk_script("""
          steps(1, 1, 0);
          const first = [player.shown.x, sent.length];
          steps(119, 1, 0);
          const east = [player.position.x, sent.length, sent.map((move) => move.sequence)];
          steps(60, 0, 0);
          const rested = [sent.length - east[1], sent.at(-1).x - player.position.x];
          player.acknowledge(sent.at(-1).sequence);
          const before = sent.length;
          for (let index = 0; index < 60; index += 1) steps(1, index % 2 ? 1 : -1, 0);
          return [first, east, rested, sent.length - before];
        """)
    )
    assert first == [pytest.approx(50 + 5 / 60), 1]
    assert east[0] == pytest.approx(60)
    assert 20 <= east[1] <= 22
    assert east[2] == list(range(42, 42 + east[1]))
    assert rested == [1, 0]
    assert 10 <= turns <= 15


def test_speed_stays_below_what_the_zone_allows(run_script: RunScript) -> None:
    walked, slow, wall = run_script(
        walk_script("""
          steps(60, 1, 1);
          const walked = Math.hypot(player.position.x - 50, player.position.z - 50);
          const snail = new Prediction({ position: { x: 5, y: 0, z: 5 }, yaw: 0, maxSpeed: 2, sequence: 0,
            bounds: { min_x: 0, min_z: 0, max_x: 100, max_z: 100 } });
          const slow = snail.speed;
          steps(60 * 20, -1, 0);
          return [walked, slow, player.position.x];
        """)
    )
    assert walked == pytest.approx(5)
    assert slow == pytest.approx(1.8)
    assert wall == pytest.approx(0.4)


def test_a_correction_shifts_what_came_after_it(run_script: RunScript) -> None:
    found = run_script(
        walk_script("""
          steps(60, 0, 1);
          const refused = sent[3];
          const before = { ...player.shown };
          const ahead = player.position.z - refused.z;
          const kept = player.pending.filter((move) => move.sequence > refused.sequence).map((move) => move.z - refused.z);
          player.correct({ sequence: refused.sequence, position: { x: 48, y: 0, z: refused.z - 1 }, yaw: 0, reason: "too_fast" });
          player.acknowledge(refused.sequence);
          const after = player.pending.map((move) => move.z - (refused.z - 1));
          const jump = Math.hypot(player.shown.x - before.x, player.shown.z - before.z);
          const offset = [player.position.x - 48, player.position.z - (refused.z - 1) - ahead];
          steps(30, 0, 0);
          const error = Math.hypot(player.shown.x - player.position.x, player.shown.z - player.position.z);
          player.correct({ sequence: sent.at(-1).sequence, position: { x: 10, y: 0, z: 10 }, yaw: 1, reason: "too_fast" });
          return { kept, after, jump, offset, error, far: [player.shown.x, player.shown.z] };
        """)
    )
    assert found["kept"] == pytest.approx(found["after"])
    assert len(found["kept"]) >= 5
    assert found["offset"] == pytest.approx([0, 0], abs=1e-9)
    assert found["jump"] == pytest.approx(0, abs=1e-9), "what is drawn glides"
    assert found["error"] < 0.05
    assert found["far"] == [10, 10], "a far correction is taken over at once"


def test_later_moves_are_walked_again_though_the_newest_judged_one_is_long_gone(run_script: RunScript) -> None:
    """The zone may put a player elsewhere at any time: the sequence is that of a move that was acknowledged before."""
    found = run_script(
        walk_script("""
          steps(60, 1, 0);
          const judged = sent[4];
          player.acknowledge(judged.sequence);
          const ahead = player.position.x - judged.x;
          const waiting = player.pending.length;
          const place = { x: 20, y: 2, z: 70 };
          for (const again of [1, 2]) {
            player.correct({ sequence: judged.sequence, position: place, yaw: 0, reason: "blocked" });
          }
          return [player.position.x - 20 - ahead, player.position.y, player.position.z, player.pending.length - waiting];
        """)
    )
    assert found == pytest.approx([0, 2, 70, 0], abs=1e-9)


def test_after_a_correction_the_zone_is_told_anew(run_script: RunScript) -> None:
    sent, settled = run_script(
        walk_script("""
          steps(30, 1, 0);
          steps(30, 0, 0);
          player.correct({ sequence: sent.at(-1).sequence, position: { x: 51, y: 0, z: 50 }, yaw: 0, reason: "too_fast" });
          player.acknowledge(700);
          const before = sent.length;
          steps(30, 0, 0);
          player.acknowledge(701);
          steps(60 * 5, 0, 0);
          return [sent.slice(before).map(({ sequence, x, z }) => [sequence, x, z]), player.settled];
        """)
    )
    assert sent == [[701, 51, 50]], "once, above what the zone has judged"
    assert settled is True


def test_coming_back_starts_from_where_the_zone_says(run_script: RunScript) -> None:
    found = run_script(
        walk_script("""
          steps(60, 0, 1);
          const before = { ...player.shown };
          const newest = player.sequence;
          player.rebase({ x: 50, y: 0, z: 53 }, 0, 44);
          const jump = Math.hypot(player.shown.x - before.x, player.shown.z - before.z);
          const old = [player.pending.length, player.sequence - newest, player.position.z];
          player.rebase({ x: 50, y: 0, z: 53 }, 0, 500);
          steps(30, 1, 0);
          return { jump, old, next: sent.find((move) => move.sequence > newest).sequence };
        """)
    )
    assert found["jump"] == pytest.approx(0, abs=1e-9), "what is drawn glides"
    assert found["old"] == [0, 0, 53]
    assert found["next"] == 501


def test_a_move_that_nobody_judges_is_sent_again(run_script: RunScript) -> None:
    counts = run_script(
        walk_script("""
          steps(30, 1, 0);
          steps(30, 0, 0);
          const moving = sent.length;
          steps(60 * 5, 0, 0);
          const repeated = sent.length - moving;
          player.acknowledge(sent.at(-1).sequence);
          const settled = player.settled;
          steps(60 * 5, 0, 0);
          return [repeated, settled, sent.length - moving - repeated];
        """)
    )
    assert 4 <= counts[0] <= 5
    assert counts[1:] == [True, 0]


def test_interpolation_between_gaps_and_ahead(run_script: RunScript) -> None:
    found = run_script("""
      const { Interpolation } = await load("interpolation");
      const others = new Interpolation();
      const at = (time, x, yaw = 0) => others.add("a", { time, x, y: 0, z: 0, yaw });
      at(1.0, 0, 6.2); at(1.1, 0.5, 0.1);
      const middle = others.sample("a", 1.05, 1.1);
      const early = others.sample("a", 0.5, 1.1).x;
      const guessed = [0.05, 0.1, 0.2, 0.35, 5].map((late) => others.sample("a", 1.1 + late, 1.1).x);
      const stands = others.sample("a", 1.15, 1.3).x;
      at(3.0, 1.0); // stood until just before
      const stood = [others.sample("a", 2.5, 3).x, others.sample("a", 2.95, 3).x];
      at(3.1, 60); // a jump is not walked
      const jump = [others.sample("a", 3.09, 3.1).x, others.sample("a", 3.1, 3.1).x];
      at(3.05, 7); // late and out of order: ignored
      const after = others.sample("a", 3.2, 3.2).x;
      others.forget("a");
      return { middle, early, guessed, stands, stood, jump, after, gone: others.sample("a", 3, 3) };
    """)
    assert found["middle"]["x"] == pytest.approx(0.25)
    assert math.cos(found["middle"]["yaw"]) == pytest.approx(math.cos((6.2 - 2 * math.pi + 0.1) / 2))
    assert found["middle"]["speed"] == pytest.approx(5)
    assert found["early"] == 0
    assert 0.5 < found["guessed"][0] < found["guessed"][1] <= 0.76
    assert found["guessed"][1] > found["guessed"][2] > found["guessed"][3] - 1e-9
    assert found["guessed"][3:] == pytest.approx([0.5, 0.5])
    assert found["stands"] == 0.5
    assert found["stood"] == pytest.approx([0.5, 0.75])
    assert found["jump"] == [1, 60]
    assert found["after"] == 60
    assert found["gone"] is None


def test_the_tick_clock_follows_jitter_and_restarts(run_script: RunScript) -> None:
    found = run_script("""
      const { TickClock } = await load("tick_clock");
      const clock = new TickClock({ tickHz: 20 });
      const empty = clock.renderTime(0);
      let now = 0;
      const play = (count, first, late) => {
        let least = Infinity;
        let most = -Infinity;
        let before = NaN;
        for (let index = 0; index < count; index += 1) {
          clock.observe(first + index, first / 20 + index / 20 + 7 + late(index));
          for (let frame = 0; frame < 3; frame += 1) {
            now = first / 20 + index / 20 + 7 + late(index) * 0 + frame / 60;
            const time = clock.renderTime(now);
            if (index > 10) {
              least = Math.min(least, (time - before) * 60);
              most = Math.max(most, (time - before) * 60);
            }
            before = time;
          }
        }
        return { least, most, behind: now - 7 - before, delay: clock.delay };
      };
      const calm = play(100, 100, () => 0);
      const rough = play(200, 200, (index) => (index % 5 === 0 ? 0.12 : 0));
      const awful = play(200, 400, (index) => (index % 2 ? 2 : 0));
      const calmAgain = play(400, 600, () => 0);
      clock.observe(3, 1000);
      const restarted = clock.renderTime(1000);
      return { empty, calm, rough, awful, calmAgain, restarted };
    """)
    assert found["empty"] is None or math.isnan(found["empty"])
    assert found["calm"]["delay"] == pytest.approx(0.15)
    assert found["calm"]["behind"] == pytest.approx(0.15, abs=0.01)
    assert found["rough"]["delay"] == pytest.approx(0.24)
    assert found["rough"]["behind"] == pytest.approx(0.24, abs=0.02)
    assert found["rough"]["least"] >= 0.89
    assert found["rough"]["most"] <= 1.11
    assert found["awful"]["delay"] == pytest.approx(0.4)
    assert found["calmAgain"]["delay"] == pytest.approx(0.15)
    assert found["calmAgain"]["behind"] == pytest.approx(0.15, abs=0.01)
    assert found["restarted"] == pytest.approx(3 / 20 - 0.15)
