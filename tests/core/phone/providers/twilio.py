import base64
import json

from agent.audio.chunk import Int16Array
from tests.core.phone.providers.side import Audio, Clear, Keys, Mark, Said, Side, mulaw, unmulaw


class TwilioSide(Side):
    name = "twilio"

    def begin(self) -> list[str]:
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self.stream_id,
            "callSid": self.call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"campaign": "spring"},
        }
        return [
            json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            self._event("start", start=start),
        ]

    def media(self, pcm: Int16Array) -> str:
        self._chunk += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str((self._chunk - 1) * 20),
            "payload": base64.b64encode(mulaw(pcm)).decode(),
        }
        return self._event("media", media=media)

    def key(self, digit: str) -> str:
        return self._event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def end(self) -> list[str]:
        stop = {"accountSid": "AC" + "0" * 32, "callSid": self.call_id}
        return [self._event("stop", stop=stop)]

    def played(self, mark: str) -> str:
        return self._event("mark", mark={"name": mark})

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        message = json.loads(data)
        assert message["streamSid"] == self.stream_id
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
            {"event": event, "sequenceNumber": number, "streamSid": self.stream_id, **rest}
        )
