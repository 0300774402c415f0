"""The way from the caller's mouth to the agent: room, echo, telephone, network. Pure.

Time is a number of packets of 20 ms.
"""

import heapq

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.conceal import GapFiller
from agent.audio.resample import StreamResampler
from agent.eval.impairment import Impairment
from agent.eval.scenario import CallerPart, Faults
from agent.transports.jitter import AudioPacket, JitterBuffer
from agent.transports.sip.g711 import PCMU

PACKET_S = 0.02
PACKET = samples(PACKET_S)
TELEPHONE_RATE = 8_000


class Line:
    """Carries the caller's audio to the agent, with everything that happens to it. Pure."""

    def __init__(
        self, faults: Faults, caller: CallerPart, noise: Int16Array, *, agent_rate: int, seed: int
    ) -> None:
        """Open a line.

        Args:
            faults: What goes wrong.
            caller: Whose room it is.
            noise: Of the room, 16 kHz, at the level it has; repeated.
            agent_rate: Of the agent's audio as it sounds, in Hz.
            seed: Of everything left to chance.
        """
        self.sample_rate = TELEPHONE_RATE if faults.telephone else SAMPLE_RATE
        self._echo = _Echo(faults, agent_rate) if faults.echo else None
        self._noise = noise
        self._narrow = StreamResampler(SAMPLE_RATE, TELEPHONE_RATE) if faults.telephone else None
        self._network = _Network(faults, self.sample_rate, seed) if faults.network else None
        self._sent = 0
        room = 32768 * 10 ** (caller.room_dbfs / 20)
        self._room = np.random.default_rng(seed).normal(0.0, room, SAMPLE_RATE)

    def sounds(self, at_s: float, pcm: Int16Array) -> None:
        """The agent's audio, as it leaves the caller's loudspeaker."""
        if self._echo:
            self._echo.sounds(at_s, pcm)

    def push(self, speech: Int16Array) -> Int16Array:
        """Carry one packet of the caller's speech; return what reaches the agent now."""
        start = self._sent * PACKET
        self._sent += 1
        where = np.arange(start, start + len(speech))
        mixed = speech + self._room[where % len(self._room)]
        if len(self._noise):
            mixed = mixed + self._noise[where % len(self._noise)]
        if self._echo:
            mixed = mixed + self._echo.at(start, len(speech))
        pcm: Int16Array = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        if self._narrow:
            pcm = PCMU.decode(PCMU.encode(self._narrow.push(pcm)))
        return self._network.push(pcm) if self._network else pcm


class _Echo:
    """A quiet, late copy of what the agent says."""

    def __init__(self, faults: Faults, agent_rate: int) -> None:
        assert faults.echo
        self._gain = 10 ** (faults.echo.level_db / 20)
        self._delay = faults.echo.delay_s
        self._rate = agent_rate
        self._track = np.zeros(0, np.float64)
        self._resampler = StreamResampler(agent_rate, SAMPLE_RATE)
        self._end = 0

    def sounds(self, at_s: float, pcm: Int16Array) -> None:
        start = samples(at_s + self._delay)
        if start > self._end + PACKET:  # After a silence: another stretch of speech.
            self._resampler = StreamResampler(self._rate, SAMPLE_RATE)
        else:
            start = self._end
        copy = self._gain * self._resampler.push(pcm).astype(np.float64)
        self._end = start + len(copy)
        if self._end > len(self._track):
            grown = np.zeros(2 * self._end, np.float64)
            grown[: len(self._track)] = self._track
            self._track = grown
        self._track[start : self._end] = copy

    def at(self, start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        part = self._track[start : start + count]
        return np.pad(part, (0, count - len(part)))


class _Network:
    """Packets that come late, in another order, or never; mended as our receivers mend them."""

    def __init__(self, faults: Faults, sample_rate: int, seed: int) -> None:
        assert faults.network
        network = faults.network
        impairment = Impairment(network.loss, network.delay_s, network.jitter_s, seed=seed)
        self._fates = impairment.fates()
        self._underway: list[tuple[float, int, Int16Array]] = []
        self._buffer = JitterBuffer()
        self._filler = GapFiller(sample_rate)
        self._number = 0

    def push(self, pcm: Int16Array) -> Int16Array:
        now_s = self._number * PACKET_S
        for late_s in next(self._fates):
            heapq.heappush(self._underway, (now_s + late_s, self._number, pcm))
        self._number += 1
        arrived = [np.zeros(0, np.int16)]
        while self._underway and self._underway[0][0] <= now_s:
            _, number, payload = heapq.heappop(self._underway)
            packet = AudioPacket(1, number % 65536, number * len(pcm), 0, payload.tobytes())
            for ordered in self._buffer.push(packet):
                mono = np.frombuffer(ordered.packet.payload, np.int16)
                arrived.append(self._filler.push(ordered.timestamp, mono))
        return np.concatenate(arrived)


def noise_track(faults: Faults, level_dbfs: float, seed: int, babble: Int16Array) -> Int16Array:
    """Return ten seconds or so of a scenario's noise, 16 kHz, at its level; empty without any.

    Args:
        faults: Of the scenario.
        level_dbfs: Of the caller's speech.
        seed: Of the noise.
        babble: Several people talking, or the recording that was named.
    """
    noise = faults.noise
    if noise is None:
        return np.zeros(0, np.int16)
    chance = np.random.default_rng(seed)
    if noise.wav or noise.kind == "babble":
        signal = babble.astype(np.float64)
    else:
        signal = chance.normal(0.0, 1.0, 10 * SAMPLE_RATE)
        if noise.kind == "pink":
            spectrum = np.fft.rfft(signal)
            spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
            spectrum[0] = 0
            signal = np.fft.irfft(spectrum, len(signal))
    rms = max(float(np.sqrt(np.mean(signal**2))), 1e-9)
    wanted = 32768 * 10 ** ((level_dbfs - noise.snr_db) / 20)
    track: Int16Array = np.clip(np.rint(signal * wanted / rms), -32768, 32767).astype(np.int16)
    return track
