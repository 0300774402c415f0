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


class GenesysSide(Side):
    name = "genesys"
    has_marks = False
    packet_s = 0.2

    def begin(self) -> list[str]:
        parameters = {
            "organizationId": "d7934305-0972-4844-938e-9060eef73d05",
            "conversationId": self.call_id,
            "participant": {
                "id": "883efee8-3d6c-4537-b500-6d7ca4b92fa0",
                "ani": CALLER,
                "aniName": "John Doe",
                "dnis": CALLED,
            },
            "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
            "language": "en-US",
            "inputVariables": {"queue": "billing"},
        }
        return [self._message("open", parameters)]

    def media(self, pcm: Int16Array) -> bytes:
        return mulaw(pcm)

    def key(self, digit: str) -> str:
        return self._message("dtmf", {"digit": digit})

    def end(self) -> list[str]:
        return [self._message("close", {"reason": "end"})]

    def all_played(self) -> str:
        return self._message("playback_completed", {})

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        if isinstance(data, bytes):
            return Audio(unmulaw(data), len(data))
        message = json.loads(data)
        assert message["version"] == "2" and message["id"] == self.stream_id
        if message["type"] == "event":
            assert message["parameters"]["entities"][0]["type"] == "barge_in"
            return Clear()
        return Said(message)

    def _message(self, kind: str, parameters: dict) -> str:
        return json.dumps(
            {
                "version": "2",
                "id": self.stream_id,
                "type": kind,
                "seq": self._next(),
                "serverseq": 0,
                "position": "PT1.5S",
                "parameters": parameters,
            }
        )
