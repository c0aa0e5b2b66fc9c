"""deploy/grafana is what the export command makes, and is what Grafana takes for dashboards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.export import grafana
from cluster.export.dashboards_outside import DASHBOARDS

FOLDER = Path(__file__).parents[3] / "deploy" / "grafana"
BOARDS = {name: json.loads(text) for name, text in grafana.files().items()}
SOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}
# What Grafana's kind `dashboard` (github.com/grafana/grafana, kinds/dashboard) asks for, and what these use of it.
SCHEMA = {
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "panels", "templating", "time", "tags"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        "title": {"type": "string", "minLength": 1},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "panels": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "type", "title", "gridPos", "datasource", "fieldConfig", "options", "targets"],
                "properties": {
                    "id": {"type": "integer", "minimum": 1},
                    "type": {"enum": ["timeseries", "stat", "table"]},
                    "title": {"type": "string", "minLength": 1},
                    "datasource": SOURCE,
                    "gridPos": {
                        "type": "object",
                        "required": ["x", "y", "w", "h"],
                        "additionalProperties": False,
                        "properties": {
                            "x": {"type": "integer", "minimum": 0, "maximum": 23},
                            "y": {"type": "integer", "minimum": 0},
                            "w": {"type": "integer", "minimum": 1, "maximum": 24},
                            "h": {"type": "integer", "minimum": 1},
                        },
                    },
                    "fieldConfig": {
                        "type": "object",
                        "required": ["defaults", "overrides"],
                        "properties": {
                            "defaults": {
                                "type": "object",
                                "required": ["unit"],
                                "properties": {"unit": {"enum": ["short", "s", "bytes", "ops", "percentunit", "Bps"]}},
                            }
                        },
                    },
                    "targets": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["refId", "expr", "datasource"],
                            "properties": {
                                "refId": {"type": "string", "pattern": "^[A-Z]$"},
                                "expr": {"type": "string", "minLength": 1},
                                "datasource": SOURCE,
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_what_is_there_is_what_the_command_makes() -> None:
    there = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert there == grafana.files(), "run: rayrealm export grafana --out deploy/grafana"


def test_there_is_one_for_each_subject() -> None:
    uids = [board.uid.removeprefix("rayrealm-") for board in DASHBOARDS]
    assert uids == ["overview", "gateways", "zones", "sessions", "dependencies", "abuse", "nodes"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
class TestBoard:
    def test_it_has_the_shape(self, board: dict[str, Any]) -> None:
        jsonschema.validate(board, SCHEMA)

    def test_panels_are_beside_each_other(self, board: dict[str, Any]) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= grafana.COLUMNS
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells

    def test_names_are_unique(self, board: dict[str, Any]) -> None:
        titles = [panel["title"] for panel in board["panels"]]
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(titles)) == len(titles)
        assert len(set(ids)) == len(ids)
        for panel in board["panels"]:
            letters = [target["refId"] for target in panel["targets"]]
            assert len(set(letters)) == len(letters)

    def test_variables_that_are_used_are_there(self, board: dict[str, Any]) -> None:
        variables = {variable["name"] for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$(\w+)", " ".join(t["expr"] for p in board["panels"] for t in p["targets"])))
        assert used <= variables
        assert variables == used | {"datasource"}

    def test_lines_that_may_be_many_are_told_apart(self, board: dict[str, Any]) -> None:
        for panel in board["panels"]:
            if panel["type"] == "timeseries":
                assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


class TestCommand:
    def test_prints_all(self) -> None:
        printed = CliRunner().invoke(app, ["export", "grafana"])
        assert printed.exit_code == 0
        assert json.loads(printed.output) == BOARDS

    def test_writes_all(self, tmp_path: Path) -> None:
        assert CliRunner().invoke(app, ["export", "grafana", "--out", str(tmp_path)]).exit_code == 0
        assert {path.name for path in tmp_path.iterdir()} == set(BOARDS)

    def test_a_folder_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        refused = CliRunner().invoke(app, ["export", "grafana", "--out", str(tmp_path / "file")])
        assert refused.exit_code != 0
