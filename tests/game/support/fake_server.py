"""A process with the name, the arguments and the port of the game server."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAM = """
import socket, sys
port = int(sys.argv[-1])
sys.stdout.write("up\\n"); sys.stdout.flush()
listener = None
for line in sys.stdin:
    if line == "listen\\n":
        listener = socket.create_server(("127.0.0.1", port))
    elif line == "close\\n":
        listener.close()
    sys.stdout.write("done\\n"); sys.stdout.flush()
"""


class FakeServer:
    """A running fake; `send` takes `listen` and `close` and returns after the fake has obeyed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._wait_for_reply()

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        self._wait_for_reply()

    def _wait_for_reply(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline()


@contextlib.contextmanager
def run_fake_server(folder: Path, port: int, data_dir: Path | None, dotnet: bool = True) -> Iterator[FakeServer]:
    """Run Python under the name of `dotnet` (or of the native launcher) with the arguments of a game server."""
    script = folder / "server" / "VintagestoryServer.dll"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(PROGRAM)
    arguments = ["dotnet", str(script)] if dotnet else [str(folder / "server" / "VintagestoryServer"), "-c", PROGRAM]
    arguments += ["--dataPath", str(data_dir)] if data_dir else []
    process = subprocess.Popen([*arguments, str(port)], executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield FakeServer(process)
    finally:
        process.kill()
        process.communicate()


def remove_install(folder: Path) -> None:
    shutil.rmtree(folder / "server")
