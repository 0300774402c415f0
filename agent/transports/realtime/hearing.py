"""The user's side: the input buffer, its turns, and what was understood of them. Pure."""

from collections import deque
from collections.abc import Callable
from typing import Any

from agent.transports.realtime.events import Event, new_id
from agent.transports.realtime.items import Item, Items

_TRANSCRIPTION = "conversation.item.input_audio_transcription"

_CLOSING = {"HOLD", "BACKCHANNEL", "REPEAT"}
"""Decisions after which what was said is no turn to be answered."""

Send = Callable[[Event], None]


class Hearing:
    """Tells the client of speech, turns and their text. Pure.

    While the agent speaks, a sound is told only once it has taken the floor: clients fall silent
    at the first word of speech, and a cough must not cost the answer.
    """

    def __init__(self, items: Items, send: Send) -> None:
        self._items = items
        self._send = send
        self._open: str | None = None
        self._told = self._latest = ""
        self._since_s = 0.0
        self._awaited: deque[tuple[Item, str, float]] = deque()
        self.finds_turns = True
        """Whether speech is looked for; otherwise the client says what is a turn."""
        self.holding = frozenset({"thinking", "speaking", "paused"})
        """What of the agent's doing means that speech has to take the floor first."""
        self.shows_text = True
        """Whether the client wants to see what was understood."""

    @property
    def is_open(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._open is not None

    @property
    def awaited(self) -> int:
        """Turns that have ended and whose text is not known yet."""
        return len(self._awaited)

    def floor(self, user: str, agent: str, at_s: float) -> None:
        """Somebody has begun or ceased to speak."""
        if self.finds_turns and user == "speaking" and agent not in self.holding:
            self._begin(at_s)

    def decision(self, kind: str, at_s: float, silence_s: float) -> bool:
        """Something was decided about the floor.

        Returns:
            Whether a turn was dropped whose text was still awaited.
        """
        if kind == "BARGE_IN" and self.finds_turns:
            self._begin(at_s)
        elif kind == "COMMIT" and self.finds_turns:
            self._begin(at_s - silence_s)
            self._stop(at_s - silence_s)
            self.commit(max(0.0, at_s - silence_s - self._since_s))
        elif kind in _CLOSING:
            if self._open and self.finds_turns:
                self._stop(at_s - silence_s)
            self._forget()
            return self._lose()
        return False

    def commit(self, length_s: float) -> None:
        """The turn has ended: it is an item, whose text follows."""
        item = Item("message", self._open or new_id("item"), role="user", is_audio=True)
        previous = self._items.add(item)
        self._awaited.append((item, self._told, length_s))
        self._forget()
        self._send(
            {
                "type": "input_audio_buffer.committed",
                "item_id": item.id,
                "previous_item_id": previous,
            }
        )
        for kind in ("added", "done"):
            self._send(
                {
                    "type": f"conversation.item.{kind}",
                    "previous_item_id": previous,
                    "item": {**item.described(), "content": [_untold()]},
                }
            )

    def text(self, text: str, *, is_final: bool) -> bool:
        """What was understood so far, or in the end.

        Returns:
            Whether this was the text of a turn that had ended.
        """
        if not is_final:
            self._partial(text)
            return False
        if not self._awaited:
            return False
        item, told, length_s = self._awaited.popleft()
        item.text = text
        self._complete(item, told, length_s)
        return True

    def _lose(self) -> bool:
        was_awaited = bool(self._awaited)
        while self._awaited:
            self._complete(*self._awaited.popleft())
        return was_awaited

    def _complete(self, item: Item, told: str, length_s: float) -> None:
        if not self.shows_text:
            return
        rest = item.text[len(told) :] if item.text.startswith(told) else ""
        if rest:
            self._delta(item.id, rest)
        self._send(
            {
                "type": f"{_TRANSCRIPTION}.completed",
                "item_id": item.id,
                "content_index": 0,
                "transcript": item.text,
                "usage": {"type": "duration", "seconds": round(length_s, 3)},
            }
        )

    def _partial(self, text: str) -> None:
        """Tell what two texts in a row agree on: a delta cannot be taken back."""
        agreed = _agreed(self._latest, text)
        self._latest = text
        # Without a turn it may be somebody talking over the agent, and no turn at all.
        if not (self._open and self.shows_text):
            return
        if len(agreed) > len(self._told) and agreed.startswith(self._told):
            news, self._told = agreed[len(self._told) :], agreed
            self._delta(self._open, news)

    def _delta(self, item_id: str, delta: str) -> None:
        self._send(
            {
                "type": f"{_TRANSCRIPTION}.delta",
                "item_id": item_id,
                "content_index": 0,
                "delta": delta,
            }
        )

    def _begin(self, at_s: float) -> None:
        if self._open is None:
            self._open, self._since_s = new_id("item"), at_s
            self._send(
                {
                    "type": "input_audio_buffer.speech_started",
                    "audio_start_ms": round(at_s * 1000),
                    "item_id": self._open,
                }
            )

    def _stop(self, at_s: float) -> None:
        self._send(
            {
                "type": "input_audio_buffer.speech_stopped",
                "audio_end_ms": round(at_s * 1000),
                "item_id": self._open,
            }
        )

    def _forget(self) -> None:
        self._open = None
        self._told = self._latest = ""


def _agreed(before: str, now: str) -> str:
    """Return the words two texts begin with."""
    same = 0
    for one, other in zip(before.split(), now.split(), strict=False):
        if one != other:
            break
        same += 1
    return " ".join(now.split()[:same])


def _untold() -> dict[str, Any]:
    return {"type": "input_audio", "transcript": None}
