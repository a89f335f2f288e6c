"""The app of a federation and the address of its SuperLink, in the files that `flwr run` reads."""

from __future__ import annotations

import json
from pathlib import Path

_MODULE = "dtkd_app"
# assigned: Flower looks for the names in the text
_APP = """\
from dtkd_opt.federation.flower import client as clients
from dtkd_opt.federation.flower import server as servers

client = clients.client
server = servers.server
"""
_PYPROJECT = """\
[project]
name = "dtkd"
version = "1.0.0"
description = "federated distillation with digital twins"
license = "MIT"
dependencies = []
[tool.flwr.app]
publisher = "dtkd"
[tool.flwr.app.components]
serverapp = "{module}:server"
clientapp = "{module}:client"
[tool.flwr.app.config]
folder = {folder}
tasks = {tasks}
max-in-flight = {max_in_flight}
"""
_CONNECTION = """\
[superlink]
default = "loopback"
[superlink.loopback]
address = "127.0.0.1:{port}"
insecure = true
"""


def flower_home(folder: Path) -> Path:
    """What takes the place of the user's own Flower configuration and installed apps."""
    return folder / "flwr"


def write_project(folder: Path, port: int, tasks: int, max_in_flight: int) -> None:
    """Write the app into `folder`/app, and the SuperLink's address into `folder`/flwr.

    Parameters
    ----------
    folder
        The folder that both sides' data lie in, see `files`.
    port
        Where the SuperLink listens.
    tasks
        How many clients there are.
    max_in_flight
        How many of them have a message at once.
    """
    app = folder / "app"
    for path in (app, flower_home(folder)):
        path.mkdir()
    (app / f"{_MODULE}.py").write_text(_APP)
    text = _PYPROJECT.format(
        module=_MODULE, folder=json.dumps(str(folder)), tasks=tasks, max_in_flight=max_in_flight
    )
    (app / "pyproject.toml").write_text(text)
    (flower_home(folder) / "config.toml").write_text(_CONNECTION.format(port=port))
