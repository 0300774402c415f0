"""Opus, by libopus: speech of 8 kHz of bandwidth in a third of G.711's bits (RFC 6716).

The library is the extra's (`opus`), else the machine's own. Without one a call has G.711.
"""

import ctypes
import importlib.util
import sys
from ctypes import POINTER, c_char_p, c_int, c_int16, c_int32, c_void_p
from ctypes.util import find_library
from functools import cache
from pathlib import Path

import numpy as np

from agent.audio.chunk import Int16Array
from agent.transports.sip.codecs import OpusTerms

_FILES = {"win32": "opus.dll", "darwin": "libopus.dylib"}
"""The library's name in the extra's package, by platform."""

_LONGEST_PACKET_S = 0.12
_LARGEST_PACKET = 1275
"""Bytes of one frame, RFC 6716 3.2.1."""

_BIT_RATE = 24_000
"""Wideband speech without audible loss in Opus' own listening tests is at 20 to 28 kbit/s."""

_EXPECTED_LOSS_PERCENT = 10
"""Buys the copies of lost packets: below a few per cent the encoder writes none."""

_COMPLEXITY = 5
"""Of 0 to 10: the level from which speech is hardly better; half the time of the highest."""

_VOIP = 2048
_VOICE = 3001
_NARROWBAND = 1101
# Numbers of opus_defines.h, which are part of the library's stable interface.
_SET_BITRATE, _SET_MAX_BANDWIDTH, _SET_VBR, _SET_COMPLEXITY = 4002, 4004, 4006, 4010
_SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_SIGNAL = 4012, 4014, 4024


@cache
def library() -> ctypes.CDLL | None:
    """libopus; None where there is none."""
    path = _of_the_extra() or find_library("opus")
    if path is None:
        return None
    try:
        opus = ctypes.CDLL(path)
        # Only the fixed arguments are named: the rest of a variadic call travels another way on
        # some processors, and this is how ctypes knows.
        opus.opus_encoder_ctl.argtypes = [c_void_p, c_int]
        opus.opus_encoder_init.argtypes = [c_void_p, c_int32, c_int, c_int]
        opus.opus_decoder_init.argtypes = [c_void_p, c_int32, c_int]
        opus.opus_encode.argtypes = [c_void_p, POINTER(c_int16), c_int, c_char_p, c_int32]
        opus.opus_decode.argtypes = [c_void_p, c_char_p, c_int32, POINTER(c_int16), c_int, c_int]
        opus.opus_encode.restype = opus.opus_decode.restype = c_int32
    except (OSError, AttributeError):
        return None
    return opus


def _of_the_extra() -> str | None:
    spec = importlib.util.find_spec("opuslib_next")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "_native" / _FILES.get(sys.platform, "libopus.so")
        if path.is_file():
            return str(path)
    return None


class Opus:
    """Both directions of one call, mono.

    Args:
        sample_rate: Of the samples, 8000 or 16000 Hz; on the wire a packet has none.
        terms: What the peer wants to receive.
    """

    clock_rate = 48_000

    def __init__(self, sample_rate: int, terms: OpusTerms) -> None:
        opus = library()
        assert opus is not None
        self._opus = opus
        self.sample_rate = sample_rate
        # Memory of Python's, so that nothing is left to be freed.
        self._encoder = ctypes.create_string_buffer(opus.opus_encoder_get_size(1))
        self._decoder = ctypes.create_string_buffer(opus.opus_decoder_get_size(1))
        _check(opus.opus_encoder_init(self._encoder, sample_rate, 1, _VOIP))
        _check(opus.opus_decoder_init(self._decoder, sample_rate, 1))
        self._set(_SET_SIGNAL, _VOICE)
        self._set(_SET_COMPLEXITY, _COMPLEXITY)
        self._set(_SET_BITRATE, min(_BIT_RATE, terms.most_bits_per_s))
        self._set(_SET_VBR, int(not terms.is_constant))
        self._set(_SET_INBAND_FEC, int(terms.has_copies))
        self._set(_SET_PACKET_LOSS, _EXPECTED_LOSS_PERCENT if terms.has_copies else 0)
        if terms.playback_rate < 12_000:
            self._set(_SET_MAX_BANDWIDTH, _NARROWBAND)
        self._packet = ctypes.create_string_buffer(_LARGEST_PACKET)
        self._decoded = np.zeros(round(_LONGEST_PACKET_S * sample_rate), np.int16)

    def encode(self, pcm: Int16Array) -> bytes:
        """Turn 20 ms, shape (n,), int16, into a packet."""
        pcm = np.ascontiguousarray(pcm)
        samples = pcm.ctypes.data_as(POINTER(c_int16))
        size = self._opus.opus_encode(
            self._encoder, samples, len(pcm), self._packet, _LARGEST_PACKET
        )
        return self._packet.raw[: _check(size)]

    def decode(self, payload: bytes) -> Int16Array:
        """Turn a packet into shape (n,), int16; empty if it is none."""
        return self._decode(payload, len(self._decoded), from_copy=False)

    def recover(self, payload: bytes, count: int) -> Int16Array:
        """Make up what was lost just before a packet that came.

        A packet may hold a coarse copy of the one before; what lies before that is guessed.

        Args:
            payload: Of the packet that came; decode it afterwards.
            count: Samples lost, a multiple of 2.5 ms.

        Returns:
            Shape (count,), int16; empty if the packet is none.
        """
        return self._decode(payload, min(count, len(self._decoded)), from_copy=True)

    def _decode(self, payload: bytes, count: int, *, from_copy: bool) -> Int16Array:
        if not payload:
            return np.zeros(0, np.int16)  # To libopus nothing is a loss, to be guessed.
        into = self._decoded.ctypes.data_as(POINTER(c_int16))
        got = self._opus.opus_decode(
            self._decoder, payload, len(payload), into, count, int(from_copy)
        )
        return self._decoded[: max(0, got)].copy()

    def _set(self, request: int, value: int) -> None:
        _check(self._opus.opus_encoder_ctl(self._encoder, request, c_int32(value)))


def _check(result: int) -> int:
    """Pass on what is no error. Ours alone reach this: a peer's packets only `_decode`."""
    if result < 0:
        raise RuntimeError(f"libopus says {result}")
    return result
