"""An answer made before it is sure that the user's turn has ended. Pure."""

from enum import Enum, auto


class _State(Enum):
    PENDING = auto()
    CONFIRMED = auto()
    WITHDRAWN = auto()


class Draft:
    """A speculative response, settled once. Pure.

    The language model writes it and the voice speaks it into a buffer; of a withdrawn draft
    nothing is heard or remembered.
    """

    def __init__(self) -> None:
        self._state = _State.PENDING

    @property
    def is_pending(self) -> bool:
        """Whether the turn it answers may still go on."""
        return self._state is _State.PENDING

    @property
    def is_withdrawn(self) -> bool:
        """Whether it answers a turn that went on, or ended in other words."""
        return self._state is _State.WITHDRAWN

    def confirm(self) -> None:
        """The turn has ended as expected. Means nothing once withdrawn."""
        if self.is_pending:
            self._state = _State.CONFIRMED

    def withdraw(self) -> None:
        """Let nothing of it be heard. Means nothing once confirmed."""
        if self.is_pending:
            self._state = _State.WITHDRAWN
