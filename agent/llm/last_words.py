"""Why llama.cpp's process did not start, from what it said. Pure."""

import re

_ERROR = re.compile(r"[\d.]+ E +(?P<text>\S.*)")
"""A line of llama.cpp's log: time since its start, level, text."""


class LastWords:
    """What a process said on standard error, as far as somebody will ask for it.

    Attributes:
        latest: Its latest line that was not empty; empty if there was none.
    """

    def __init__(self) -> None:
        self.latest = ""
        self._error = ""

    def push(self, line: str) -> None:
        """Take the next line."""
        line = line.strip()
        self.latest = line or self.latest
        if not self._error and (error := _ERROR.match(line)):
            self._error = error["text"]

    @property
    def cause(self) -> str:
        """Llama.cpp's first error, else the latest line of whoever else spoke; empty if nobody did.

        It names the cause first and then every function that passes it on. Other lines may stand
        anywhere: warnings before it, and Python's last word behind a traceback.
        """
        return self._error or self.latest
