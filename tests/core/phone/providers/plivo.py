import base64
import json

from agent.audio.chunk import Int16Array
from tests.core.phone.providers.side import Audio, Clear, Keys, Mark, Said, Side, mulaw, unmulaw


class PlivoSide(Side):
    name = "plivo"

    def begin(self) -> list[str]:
        start = {
            "callId": self.call_id,
            "streamId": self.stream_id,
            "accountId": "MAXXXXXXXXXXXXXXXXXX",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        }
        return [self._event("start", start=start, extra_headers="userId=12345;team=abc")]

    def media(self, pcm: Int16Array) -> str:
        self._chunk += 1
        media = {
            "track": "inbound",
            "timestamp": str(1705312200000 + self._chunk * 20),
            "chunk": self._chunk,
            "payload": base64.b64encode(mulaw(pcm)).decode(),
        }
        return self._event("media", streamId=self.stream_id, media=media, extra_headers="")

    def key(self, digit: str) -> str:
        dtmf = {"track": "inbound", "digit": digit, "timestamp": "1705312205000"}
        return self._event("dtmf", streamId=self.stream_id, dtmf=dtmf)

    def end(self) -> list[str]:
        return []

    def played(self, mark: str) -> str:
        return self._event("playedStream", streamId=self.stream_id, name=mark)

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        message = json.loads(data)
        match message["event"]:
            case "playAudio":
                media = message["media"]
                assert (media["contentType"], media["sampleRate"]) == ("audio/x-mulaw", 8000)
                audio = base64.b64decode(media["payload"], validate=True)
                return Audio(unmulaw(audio), len(audio))
            case "checkpoint":
                return Mark(message["name"])
            case "clearAudio":
                assert message["streamId"] == self.stream_id
                return Clear()
            case "sendDTMF":
                return Keys(message["dtmf"])
        raise AssertionError(message)

    def _event(self, event: str, **rest: object) -> str:
        return json.dumps({"event": event, "sequenceNumber": self._next(), **rest})
