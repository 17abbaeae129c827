"""Runs one command, and ends it when whoever holds our standard input is gone.

The suite keeps the other end of that pipe. However the suite ends, Ctrl-C and SIGKILL included, the
system closes the pipe, so no server outlives it. Usage: python leash.py COMMAND [ARGUMENT ...]
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

SECONDS_TO_END = 3.0


def main(command: list[str]) -> int:
    # A group of its own: helpers of the server end with it, and Ctrl-C reaches the suite alone.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    ended = threading.Event()

    def signal_group(number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    def end_with_owner() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        signal_group(signal.SIGTERM)
        if not ended.wait(SECONDS_TO_END):
            signal_group(signal.SIGKILL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal_group(signal.SIGTERM))
    threading.Thread(target=end_with_owner, daemon=True).start()
    code = child.wait()
    ended.set()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
