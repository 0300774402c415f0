"""This machine's microphone and loudspeaker, through PortAudio."""

import asyncio
from collections.abc import Callable
from typing import Any

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame, StartFrame
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.errors import SettingsError
from agent.transports.straight import StraightInput, StraightOutput

_BLOCK_S = 0.02
_DTYPE = "int16"
_IN_RATE, _OUT_RATE = 16_000, 24_000
_DRIVER_S = 0.1
"""What the driver may hold. With PortAudio's own choice, 0.04 s, speech breaks up while the models
keep all cores busy: our callback is Python."""

_QUEUE_S = 0.06
"""Speech waiting for the loudspeaker. Full, the sender waits."""


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise SettingsError(
            "PortAudio is missing; install it (Debian, Ubuntu: apt install libportaudio2)"
        ) from error
    return sounddevice


class SoundCardInput(StraightInput):
    """The microphone."""

    def __init__(self, params: TransportParams, device: str | None) -> None:
        super().__init__(params)
        self._device = device
        self._stream: Any = None

    async def start(self, frame: StartFrame) -> None:
        """Open the microphone."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        loop = asyncio.get_running_loop()

        def on_block(block: Any, _frames: int, _time: Any, status: Any) -> None:
            if status:
                logger.debug("microphone: {}", status)
            audio = bytes(block)
            loop.call_soon_threadsafe(
                lambda: self.create_task(self._take(audio), "microphone-block")
            )

        self._stream = _open(
            _sounddevice().RawInputStream, self.sample_rate, self._device, on_block
        )

    async def cleanup(self) -> None:
        """Close the microphone."""
        await super().cleanup()
        if self._stream:
            self._stream.close()
            self._stream = None

    async def _take(self, audio: bytes) -> None:
        await self.push_audio_frame(
            InputAudioRawFrame(audio=audio, sample_rate=self.sample_rate, num_channels=1)
        )


class SoundCardOutput(StraightOutput):
    """The loudspeaker. PortAudio pulls; an empty queue sounds as silence."""

    def __init__(self, params: TransportParams, device: str | None) -> None:
        super().__init__(params)
        self._device = device
        self._stream: Any = None
        self._waiting = bytearray()
        self._room = asyncio.Event()

    async def start(self, frame: StartFrame) -> None:
        """Open the loudspeaker."""
        await super().start(frame)
        loop = asyncio.get_running_loop()

        def on_block(block: Any, _frames: int, _time: Any, _status: Any) -> None:
            part = bytes(self._waiting[: len(block)])
            del self._waiting[: len(part)]
            block[:] = part.ljust(len(block), b"\0")
            loop.call_soon_threadsafe(self._room.set)

        self._stream = _open(
            _sounddevice().RawOutputStream, self.sample_rate, self._device, on_block
        )
        await self.set_transport_ready(frame)

    async def cleanup(self) -> None:
        """Close the loudspeaker."""
        await super().cleanup()
        if self._stream:
            self._stream.close()
            self._stream = None

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Queue a packet once there is room."""
        limit = int(_QUEUE_S * self.sample_rate) * 2
        while len(self._waiting) > limit:
            self._room.clear()
            await self._room.wait()
        self._waiting += frame.audio
        return True


def _open(
    kind: Callable[..., Any], rate: int, device: str | None, callback: Callable[..., None]
) -> Any:
    stream = kind(
        samplerate=rate,
        blocksize=int(rate * _BLOCK_S),
        device=_number(device),
        channels=1,
        dtype=_DTYPE,
        latency=_DRIVER_S,
        callback=callback,
    )
    stream.start()
    return stream


def _number(device: str | None) -> int | str | None:
    return int(device) if device and device.isdecimal() else device


def _require(name: str, check: Callable[..., None], device: str | None, rate: int) -> None:
    try:
        check(device=_number(device), channels=1, dtype=_DTYPE, samplerate=rate)
    except (_sounddevice().PortAudioError, ValueError) as error:
        raise SettingsError(f"no usable {name}: {error}; run: duplex doctor") from error


class SoundCardTransport(BaseTransport):
    """Microphone and loudspeaker of this machine."""

    def __init__(self, input_device: str | None, output_device: str | None) -> None:
        """Choose devices, by PortAudio's name or number; None is the system's choice.

        Raises:
            SettingsError: There is no such device, or PortAudio itself is missing. Told here,
                since a pipeline would only log what its transports cannot open.
        """
        super().__init__()
        portaudio = _sounddevice()
        _require("microphone", portaudio.check_input_settings, input_device, _IN_RATE)
        _require("loudspeaker", portaudio.check_output_settings, output_device, _OUT_RATE)
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
        )
        self._input = SoundCardInput(params, input_device)
        self._output = SoundCardOutput(params, output_device)

    def input(self) -> SoundCardInput:
        """The microphone."""
        return self._input

    def output(self) -> SoundCardOutput:
        """The loudspeaker."""
        return self._output
