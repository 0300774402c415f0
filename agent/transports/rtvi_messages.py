"""RTVI, the protocol of Pipecat's client SDKs, said in our own vocabulary and back. Pure.

A client is told only of speech that takes the floor, and of words that were heard: it falls silent
at the first and shows the others.
"""

from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

LABEL = "rtvi-ai"
VERSION = "2.1.0"
"""Of the protocol, as the client libraries of this year speak it."""

_OURS = frozenset({"text", "interrupt", "push_to_talk", "mute"})
"""What a client may also ask for in our vocabulary, as `sendClientMessage(type, data)`."""

_SPOKEN = {
    "output_type": "sentence",
    "aggregated_by": "sentence",
    "will_be_spoken": True,
    "spoken_status": "completed",
}
"""What the client is shown has been heard."""

_ENDING = {"COMMIT", "HOLD", "BACKCHANNEL", "REPEAT"}


class RtviProtocol:
    """One session's translation. Pure.

    Args:
        library: How the bot names itself.
        now: The time of day, as ISO 8601 writes it.
    """

    def __init__(self, library: str, now: Callable[[], str]) -> None:
        self._library = library
        self._now = now
        self._said = ""
        self._user_speaks = self._bot_speaks = False
        self._count = 0

    def read(self, message: object) -> tuple[list[Message], Message | None]:
        """Take a message of the client's.

        Returns:
            What it is answered, and what it means in our vocabulary, if anything.
        """
        if not isinstance(message, dict) or message.get("label") != LABEL:
            return [self._error("a message of RTVI's has a label, a type, an id and data")], None
        named, data = message.get("id"), message.get("data")
        data = data if isinstance(data, dict) else {}
        asked = data.get("t") if isinstance(data.get("t"), str) else None
        match message.get("type"):
            case "client-ready":
                ready = {"version": VERSION, "about": {"library": self._library}}
                return [self._message("bot-ready", ready, named)], None
            case "send-text" if isinstance(data.get("content"), str):
                return [], {"type": "text", "text": data["content"]}
            case "client-message" if asked in _OURS and isinstance(named, str):
                given = data.get("d")
                answer = {"t": asked, "d": {"taken": True}}
                ours = {**(given if isinstance(given, dict) else {}), "type": asked}
                return [self._message("server-response", answer, named)], ours
            case "disconnect-bot":
                return [], {"type": "end"}
            case kind:
                why = f"this server does not know {str(kind)[:80]!r} with such data"
                return [self._message("error-response", {"error": why}, named)], None

    def told(self, event: Message) -> list[Message]:
        """Say one event of ours as RTVI does; most have no word there."""
        match event:
            case {"type": "floor", "user": user, "agent": agent}:
                return self._floor(user == "speaking", agent)
            case {"type": "decision", "kind": "BARGE_IN"}:
                return self._user(speaks=True)
            case {"type": "decision", "kind": kind} if kind in _ENDING:
                return self._user(speaks=False)
            case {"type": "transcript", "role": "user", "text": text, "final": final} if text:
                heard = {"text": text, "final": final, "user_id": "user", "timestamp": self._now()}
                return [self._message("user-transcription", heard)]
            case {"type": "transcript", "role": "assistant", "text": text, "final": final}:
                return self._spoken(text, is_final=final)
            case {"type": "error", "message": why}:
                return [self._error(why)]
        return []

    def called(self, call_id: str) -> Message:
        """The agent runs a tool. Which one is its own affair."""
        return self._message("llm-function-call-in-progress", {"tool_call_id": call_id})

    def returned(self, call_id: str) -> Message:
        """A tool has given its result."""
        data = {"tool_call_id": call_id, "cancelled": False}
        return self._message("llm-function-call-stopped", data)

    def _floor(self, user_speaks: bool, agent: str) -> list[Message]:
        told = []
        if agent in ("speaking", "silent") and self._bot_speaks != (agent == "speaking"):
            self._bot_speaks = agent == "speaking"
            kind = "bot-started-speaking" if self._bot_speaks else "bot-stopped-speaking"
            told.append(self._message(kind))
        if user_speaks and agent == "silent":
            told += self._user(speaks=True)
        return told

    def _user(self, *, speaks: bool) -> list[Message]:
        if speaks == self._user_speaks:
            return []
        self._user_speaks = speaks
        return [self._message("user-started-speaking" if speaks else "user-stopped-speaking")]

    def _spoken(self, text: str, *, is_final: bool) -> list[Message]:
        told = []
        news = text[len(self._said) :].strip() if text.startswith(self._said) else ""
        self._said = "" if is_final else text
        if news:
            told.append(self._message("bot-tts-text", {"text": news}))
        if is_final and text:
            told.append(self._message("bot-transcription", {"text": text}))
            told.append(self._message("bot-output", {"text": text, **_SPOKEN}))
        return told

    def _error(self, why: str) -> Message:
        return self._message("error", {"error": why, "message": why, "fatal": False})

    def _message(self, kind: str, data: Message | None = None, named: object = None) -> Message:
        self._count += 1
        name = named if isinstance(named, str) else f"duplex-{self._count}"
        message: Message = {"label": LABEL, "type": kind, "id": name}
        return message if data is None else {**message, "data": data}
