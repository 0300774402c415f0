"""A metadata service, as clouds give their machines one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Metadata:
    """Answers by path, until told otherwise with 404; wants the headers of the path, if any."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.wanted: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("GET")

            def do_PUT(self) -> None:
                self._answer("PUT")

            def _answer(self, method: str) -> None:
                service.asked.append((method, self.path))
                headers = service.wanted.get(self.path, {})
                if any(self.headers.get(name) != value for name, value in headers.items()):
                    status, body = 401, ""
                elif (answer := service.answers.get(self.path)) is None:
                    status, body = 404, ""
                else:
                    status, body = 200, answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
