import json

import numpy as np

from agent.audio.chunk import Int16Array
from tests.core.phone.providers.side import CALLED, CALLER, Audio, Clear, Keys, Mark, Said, Side


class VonageSide(Side):
    name = "vonage"
    rate = 16_000

    def begin(self) -> list[str]:
        connected = {
            "event": "websocket:connected",
            "content-type": "audio/l16;rate=16000",
            "call_id": self.call_id,
            "caller": CALLER,
            "called": CALLED,
        }
        return [json.dumps(connected)]

    def media(self, pcm: Int16Array) -> bytes:
        return pcm.astype("<i2").tobytes()

    def key(self, digit: str) -> str:
        return json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": 260})

    def end(self) -> list[str]:
        return []

    def played(self, mark: str) -> str:
        return json.dumps({"event": "websocket:notify", "payload": {"mark": mark}})

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        if isinstance(data, bytes):
            return Audio(np.frombuffer(data, "<i2").astype(np.int16), len(data))
        message = json.loads(data)
        match message["action"]:
            case "notify":
                return Mark(message["payload"]["mark"])
            case "clear":
                return Clear()
        raise AssertionError(message)
