"""A realm that is attacked in every way stands, and nobody honest notices; `scripts/attack` does the same for longer."""

from __future__ import annotations

import json

import pytest

from tests.attack.drill import NAMES, run


@pytest.mark.realm
@pytest.mark.slow
def test_every_attack_is_refused_and_nobody_honest_notices() -> None:
    result = run(1.5, calm_s=20.0)
    assert {attack["name"] for attack in result["attacks"]} == set(NAMES)
    assert result["good"], json.dumps(result, indent=1)
