"""Each provider's side of its stream, as its documentation shows it, and a telephone behind.

Shapes are those of the recorded sessions in the providers' own references, named in
`agent/transports/phone/providers`. No provider was called.
"""

import asyncio
import audioop
import base64
import json
import uuid
from dataclasses import dataclass, field

import numpy as np

from agent.audio.chunk import Int16Array

CALLER, CALLED = "+491701234567", "+493012345678"


def mulaw(pcm: Int16Array) -> bytes:
    return audioop.lin2ulaw(pcm.astype("<i2").tobytes(), 2)


def unmulaw(data: bytes) -> Int16Array:
    return np.frombuffer(audioop.ulaw2lin(data, 2), np.int16)


@dataclass
class Audio:
    pcm: Int16Array
    size: int


@dataclass
class Mark:
    name: str


@dataclass
class Clear:
    pass


@dataclass
class Keys:
    digits: str


@dataclass
class Said:
    message: dict


class Side:
    """What a provider sends and understands."""

    name = ""
    rate = 8_000
    has_marks = True
    packet_s = 0.02

    def __init__(self, call_id: str = "") -> None:
        self.stream_id = uuid.uuid4().hex
        self.call_id = call_id or f"call-{self.stream_id[:8]}"
        self._sequence = 0
        self._chunk = 0

    def begin(self) -> list[str]:
        raise NotImplementedError

    def media(self, pcm: Int16Array) -> str | bytes:
        raise NotImplementedError

    def key(self, digit: str) -> str:
        raise NotImplementedError

    def end(self) -> list[str]:
        raise NotImplementedError

    def played(self, mark: str) -> str:
        raise NotImplementedError

    def all_played(self) -> str | None:
        return None

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        raise NotImplementedError

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


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


SIDES: list[type[Side]] = [
    TwilioSide,
    TelnyxSide,
    PlivoSide,
    ExotelSide,
    VonageSide,
    GenesysSide,
]


@dataclass
class Telephone:
    """Plays what it is sent, one after the other, and says so where its provider does.

    Attributes:
        side: Its provider.
        network_s: One way to the ear.
        arrivals: When each audio message came, and its size.
        events: All else that was sent, with its time.
    """

    side: Side
    network_s: float = 0.05
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, object]] = field(default_factory=list)
    _pieces: list[tuple[float, Int16Array]] = field(default_factory=list)
    _free_at: float = 0.0
    _marks: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _idle: asyncio.TimerHandle | None = None
    says: asyncio.Queue = field(default_factory=asyncio.Queue)

    def take(self, data: str | bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        heard = self.side.heard(data)
        match heard:
            case Audio():
                self.arrivals.append((now, heard.size))
                start = max(self._free_at, now + self.network_s)
                self._pieces.append((start, heard.pcm))
                self._free_at = start + len(heard.pcm) / self.side.rate
                if self._idle:
                    self._idle.cancel()
                self._idle = loop.call_at(self._free_at, self._ran_out)
            case Mark():
                self.events.append((now, heard))
                due = max(self._free_at, now)
                self._marks[heard.name] = loop.call_at(due, self._passed, heard.name)
            case Clear():
                self.events.append((now, heard))
                self._drop(now)
            case _:
                self.events.append((now, heard))

    def of(self, kind: type) -> list:
        return [event for _, event in self.events if isinstance(event, kind)]

    def track(self, since_s: float, until_s: float) -> Int16Array:
        """What was heard between two times of the loop's clock."""
        rate = self.side.rate
        track = np.zeros(round((until_s - since_s) * rate), np.int16)
        for start_s, pcm in self._pieces:
            at = round((start_s - since_s) * rate)
            piece = pcm[: max(0, len(track) - at)]
            track[at : at + len(piece)] = piece
        return track

    def _drop(self, now: float) -> None:
        rate = self.side.rate
        kept = []
        for start_s, pcm in self._pieces:
            left = round((now - start_s) * rate)
            if left > 0:
                kept.append((start_s, pcm[:left]))
        self._pieces = kept
        self._free_at = now
        for name in list(self._marks):
            self._passed(name)

    def _passed(self, name: str) -> None:
        self._marks.pop(name).cancel()
        self.says.put_nowait(self.side.played(name))

    def _ran_out(self) -> None:
        if message := self.side.all_played():
            self.says.put_nowait(message)


class MemoryLine:
    """A socket between the transport and a telephone in one process."""

    def __init__(self, telephone: Telephone) -> None:
        self._telephone = telephone
        self.closed_at: float | None = None

    async def receive(self) -> str | bytes | None:
        return await self._telephone.says.get()

    async def send(self, data: str | bytes) -> bool:
        if self.closed_at is not None:
            return False
        self._telephone.take(data)
        if isinstance(data, str) and '"type": "disconnect"' in data:
            # Genesys closes, and waits for our word on it.
            for message in self._telephone.side.end():
                self._telephone.says.put_nowait(message)
        return True

    async def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
            self._telephone.says.put_nowait(None)
