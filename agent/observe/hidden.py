"""What a caller says while a secret is asked for: only who asked may see it. Pure."""

NOT_SHOWN = "[not shown]"
"""Stands for it in the conversation, in transcripts, records and logs."""


class Hidden:
    """Hides what is said between `open` and `close`. Pure."""

    def __init__(self) -> None:
        self._is_open = False
        self._said = ""

    def open(self) -> None:
        """From now on what is said is secret."""
        self._is_open, self._said = True, ""

    def close(self) -> None:
        """It is no longer; what was said is forgotten here."""
        self._is_open, self._said = False, ""

    def shown(self, text: str) -> str:
        """What others may see of a text."""
        return NOT_SHOWN if self._is_open and text else text

    def hide(self, text: str) -> str:
        """What others may see of a text that is kept for who asked for it."""
        shown = self.shown(text)
        if shown != text:
            self._said = text
        return shown

    def reveal(self, shown: str) -> str:
        """The text behind what is shown; the last one that was hidden."""
        return self._said if self._is_open and shown == NOT_SHOWN else shown
