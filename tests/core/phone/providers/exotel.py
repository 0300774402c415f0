import base64
import json

import numpy as np

from agent.audio.chunk import Int16Array
from tests.core.phone.providers.side import CALLED, CALLER, Audio, Clear, Keys, Mark, Said, Side


class ExotelSide(Side):
    name = "exotel"
    packet_s = 0.2

    def begin(self) -> list[str]:
        start = {
            "stream_sid": self.stream_id,
            "call_sid": self.call_id,
            "account_sid": "exo1",
            "from": CALLER,
            "to": CALLED,
            "custom_parameters": {"key1": "value1"},
            "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"},
        }
        return [json.dumps({"event": "connected"}), self._event("start", start=start)]

    def media(self, pcm: Int16Array) -> str:
        self._chunk += 1
        media = {
            "chunk": str(self._chunk),
            "timestamp": str(self._chunk * 100),
            "payload": base64.b64encode(pcm.astype("<i2").tobytes()).decode(),
        }
        return self._event("media", media=media)

    def key(self, digit: str) -> str:
        return self._event("dtmf", dtmf={"digit": digit, "duration": "100"})

    def end(self) -> list[str]:
        stop = {"call_sid": self.call_id, "account_sid": "exo1", "reason": "callended"}
        return [self._event("stop", stop=stop)]

    def played(self, mark: str) -> str:
        return self._event("mark", mark={"name": mark})

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        message = json.loads(data)
        assert message["stream_sid"] == self.stream_id
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"], validate=True)
                assert 3200 <= len(audio) <= 100_000 and len(audio) % 320 == 0
                return Audio(np.frombuffer(audio, "<i2").astype(np.int16), len(audio))
            case "mark":
                return Mark(message["mark"]["name"])
            case "clear":
                return Clear()
        raise AssertionError(message)

    def _event(self, event: str, **rest: object) -> str:
        number = str(self._next())
        return json.dumps(
            {"event": event, "sequence_number": number, "stream_sid": self.stream_id, **rest}
        )
