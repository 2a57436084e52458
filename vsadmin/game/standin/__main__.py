"""`python -m vsadmin.game.standin --port N --folder PATH`: serves until SIGTERM; prints `ready` when it accepts connections."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from vsadmin.game.standin.sample_folder import build_sample
from vsadmin.game.standin.server import StandIn


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vsadmin.game.standin", description="Simulate the two upstream services of Vintage Story.")
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1; 0 chooses a free one")
    parser.add_argument("--folder", type=Path, help="create a sample server in this folder")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        if arguments.folder:
            build_sample(arguments.folder)
        with StandIn(arguments.port) as server:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            server.serve_forever()
    except OSError as error:
        parser.exit(1, f"stand-in: {error}\n")
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
