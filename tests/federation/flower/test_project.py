"""The files that `flwr run` reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

from dtkd_opt.federation.flower.project import flower_home, write_project


def test_the_app_and_its_superlink_are_written(tmp_path: Path) -> None:
    folder = tmp_path / 'a "name"'  # which TOML must escape
    folder.mkdir()
    write_project(folder, 8123, tasks=3, max_in_flight=4)
    project = tomllib.loads((folder / "app" / "pyproject.toml").read_text())
    app = project["tool"]["flwr"]["app"]
    assert app["config"] == {"folder": str(folder), "tasks": 3, "max-in-flight": 4}
    assert project["project"]["dependencies"] == []  # nothing to install
    module, name = app["components"]["clientapp"].split(":")
    assert f"{name} = " in (folder / "app" / f"{module}.py").read_text()
    links = tomllib.loads((flower_home(folder) / "config.toml").read_text())["superlink"]
    assert links[links["default"]] == {"address": "127.0.0.1:8123", "insecure": True}
