"""Where processes listen, by Linux's /proc."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

Address = IPv4Address | IPv6Address


def listeners() -> dict[str, Address]:
    """The addresses that somebody listens at, by the number of the socket."""
    found = {}
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # listens
                words = re.findall("........", fields[1].split(":")[0])
                address = ip_address(b"".join(bytes.fromhex(word)[::-1] for word in words))
                mapped = getattr(address, "ipv4_mapped", None)
                found[fields[9]] = mapped or address
    return found


def listening(word: str) -> set[Address]:
    """Where the processes listen that have `word` in their environment."""
    addresses, found = listeners(), set[Address]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another's
            if word.encode() in (process / "environ").read_bytes():
                for file in (process / "fd").iterdir():
                    match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file))
                    if match and match[1] in addresses:
                        found.add(addresses[match[1]])
    return found


class Watch:
    """Within this block looks all the time; `found` is where the processes have listened."""

    def __init__(self, word: str):
        self.found: set[Address] = set()
        self._word, self._end = word, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._end.wait(0.2):
            self.found |= listening(self._word)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()
