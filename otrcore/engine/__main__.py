"""The engine as a process: `python -m otrcore.engine`, started by a chat client's script."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import OtrcoreError
from .server import PATIENCE, Engine


def main() -> None:
    """Serve one chat client until it has ended, or asks for the end."""
    parser = argparse.ArgumentParser("otrcore.engine", description="Does the OTR of one chat client.")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--client-pid", type=int, required=True, help="whose engine this is")
    parser.add_argument("--client-start", required=True, help="when that process began")
    parser.add_argument("--data-dir", type=Path, help="where keys lie")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, help="seconds to wait for a client that is not connected"
    )
    given = parser.parse_args()
    try:
        engine = Engine(given.socket, given.client_pid, given.client_start, given.data_dir, given.patience)
    except (OtrcoreError, OSError) as error:
        sys.exit(str(error))
    engine.run()


if __name__ == "__main__":
    main()
