"""Talk to a SuperLink: is it up, start a run, how does the run go. Internals of flwr 1.42."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from dtkd_opt.errors import DtkdError
from dtkd_opt.federate.flower.processes import QUIET

_MODULE = "dtkd_app"
# assigned: Flower looks for the names in the text
_APP = """\
from dtkd_opt.federate.flower import client as clients
from dtkd_opt.federate.flower import server as servers

client = clients.client
server = servers.server
"""
_PROJECT = f"""\
[project]
name = "dtkd"
version = "1.0.0"
description = "federated distillation with digital twins"
license = "MIT"
dependencies = []
[tool.flwr.app]
publisher = "dtkd"
[tool.flwr.app.components]
serverapp = "{_MODULE}:server"
clientapp = "{_MODULE}:client"
[tool.flwr.app.config]
folder = ""
tasks = 0
most = 0
"""


def is_up(link: str) -> bool:
    """Whether a SuperLink answers at an address such as 127.0.0.1:8000."""
    connection = http.client.HTTPConnection(link, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Control:
    """A run at a SuperLink.

    Parameters
    ----------
    link
        The SuperLink's address.
    config
        The values of the server app's configuration: folder, tasks, most.
    simulated, cpus
        How many clients Flower's simulation engine has, and on how many cores; 0 of them where
        SuperNodes are clients.

    Raises
    ------
    DtkdError
        When the SuperLink does not answer; so does :meth:`end`.
    """

    def __init__(self, link: str, config: dict[str, str | int], simulated: int, cpus: int):
        with _quietly(), _answering(link):
            serde, protocol = import_module("flwr.common.serde"), _protocol("control")
            bundle = serde.fab_to_proto(_bundle())
            values = serde.user_config_to_proto(config)
            request = protocol.StartRunRequest(fab=bundle, override_config=values)
            if simulated:
                request.override_federation_config.CopyFrom(_simulation(simulated, cpus))
            client = import_module("flwr.supercore.control.control_http_client").ControlHttpClient
            self._control = client.from_server_address(
                server_address=link, insecure=True, root_certificates=None, interceptors=[]
            )
            self._link = link
            self._run: int = self._control.StartRun(request).run_id
            self._ask = protocol.ListRunsRequest(run_id=self._run)

    def close(self) -> None:
        """Close the connection."""
        self._control._client.close()

    def end(self) -> str | None:
        """How the run ended, in words; None while it goes on."""
        with _answering(self._link):
            runs = self._control.ListRuns(self._ask).run_dict
        status = runs[self._run].status
        return f"{status.sub_status} {status.details}" if status.status == "finished" else None


def _bundle() -> Any:
    """The app as Flower takes it: a module that names what this package has."""
    files = {"pyproject.toml": _PROJECT.encode(), f"{_MODULE}.py": _APP.encode()}
    data: bytes = import_module("flwr.cli.build").build_fab_from_files(files)[0]
    return import_module("flwr.supercore.fab").Fab(hashlib.sha256(data).hexdigest(), data, {})


def _simulation(clients: int, cpus: int) -> Any:
    return _protocol("federation_config").SimulationConfig(
        num_supernodes=clients,
        client_resources_num_cpus=1,
        client_resources_num_gpus=0.0,
        init_args_num_cpus=cpus,
        init_args_log_to_driver=False,
    )


def _protocol(name: str) -> Any:
    return import_module(f"flwr.proto.{name}_pb2")


@contextmanager
def _answering(link: str) -> Iterator[None]:
    try:
        yield
    except import_module("httpx").HTTPError as error:
        words = f"{type(error).__name__}: {error}"
        raise DtkdError(f"Flower's SuperLink at {link}: {words}") from None


@contextmanager
def _quietly() -> Iterator[None]:
    """Flower asks nobody, and its imports do not warn of what they themselves need."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
