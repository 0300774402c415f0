import base64
import json

from agent.audio.chunk import Int16Array
from tests.core.phone.providers.side import (
    CALLED,
    CALLER,
    Audio,
    Clear,
    Keys,
    Mark,
    Said,
    Side,
    mulaw,
    unmulaw,
)


class TelnyxSide(Side):
    name = "telnyx"

    def begin(self) -> list[str]:
        start = {
            "user_id": "3E6F995F-85F7-4705-9741-53B116D28237",
            "call_control_id": self.call_id,
            "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
            "from": CALLER,
            "to": CALLED,
            "tags": [],
            "client_state": "",
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        }
        return [
            json.dumps({"event": "connected", "version": "1.0.0"}),
            self._event("start", start=start),
        ]

    def media(self, pcm: Int16Array) -> str:
        self._chunk += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(self._chunk * 20),
            "payload": base64.b64encode(mulaw(pcm)).decode(),
        }
        return self._event("media", media=media)

    def key(self, digit: str) -> str:
        return self._event("dtmf", occurred_at="2026-11-24T10:00:00Z", dtmf={"digit": digit})

    def end(self) -> list[str]:
        return [self._event("stop", stop={"user_id": "3E6F", "call_control_id": self.call_id})]

    def played(self, mark: str) -> str:
        return self._event("mark", mark={"name": mark})

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        message = json.loads(data)
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"], validate=True)
                return Audio(unmulaw(audio), len(audio))
            case "mark":
                return Mark(message["mark"]["name"])
            case "clear":
                return Clear()
        raise AssertionError(message)

    def _event(self, event: str, **rest: object) -> str:
        number = str(self._next())
        return json.dumps(
            {"event": event, "sequence_number": number, "stream_id": self.stream_id, **rest}
        )
