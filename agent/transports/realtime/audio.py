"""Audio as the protocol carries it: base64 of PCM16 at 24 kHz, or of G.711. Pure."""

import base64
import binascii

import numpy as np

from agent.audio.resample import StreamResampler
from agent.transports.realtime.configuration import FORMATS
from agent.transports.realtime.events import EventError
from agent.transports.sip.g711 import PCMA, PCMU

_LAWS = {"audio/pcmu": PCMU, "audio/pcma": PCMA}

_RATE = FORMATS["audio/pcm"]


def read_audio(audio: object, kind: str) -> bytes:
    """Return PCM16 at the format's own rate.

    Raises:
        EventError: It is no audio of this format.
    """
    if not isinstance(audio, str):
        raise EventError("audio is base64, as text", "invalid_type", "audio")
    try:
        data = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise EventError("audio is not base64", "invalid_value", "audio") from None
    if kind in _LAWS:
        return _LAWS[kind].decode(data).tobytes()
    if len(data) % 2:
        raise EventError("audio ends within a sample", "invalid_value", "audio")
    return data


class AudioWriter:
    """Writes the agent's audio in a client's format. Pure."""

    def __init__(self) -> None:
        self._resampler: StreamResampler | None = None

    def write(self, pcm: bytes, kind: str) -> str:
        """Return a packet of PCM16 at 24 kHz as it travels."""
        if kind not in _LAWS:
            self._resampler = None
            return base64.b64encode(pcm).decode()
        law = _LAWS[kind]
        self._resampler = self._resampler or StreamResampler(_RATE, FORMATS[kind])
        return base64.b64encode(
            law.encode(self._resampler.push(np.frombuffer(pcm, np.int16)))
        ).decode()

    def cut(self) -> None:
        """What comes next does not follow what was."""
        self._resampler = None
