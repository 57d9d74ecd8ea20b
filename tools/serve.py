"""Show the built book in a browser: python tools/serve.py FOLDER [PORT]"""

import http.server
import sys
import webbrowser
from functools import partial


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> int:
    """Serve until Ctrl-C; the exit status is 1 if the port is taken."""
    folder, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    address = f"http://localhost:{port}/"
    try:
        handler = partial(Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("localhost", port), handler)
    except OSError as error:
        print(f"{address}: {error}. Try: make serve PORT={port + 1}", file=sys.stderr)
        return 1
    print(f"{address}  (stop with Ctrl-C)", flush=True)
    webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
