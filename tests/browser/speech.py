"""A person's voice for the tests, and ears for what the agent answers."""

from __future__ import annotations

import base64
import functools
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from playwright.sync_api import Page

from tests.speech import understood

RECORDED_RATE = 24_000
"""Of `recorder.js`, in Hz; also the voice's own."""

WINDOW = RECORDED_RATE // 50
AUDIBLE = 10 ** (-45 / 20)
"""RMS of full scale; the agent speaks at about -25 dB, and codecs leave noise below -60 dB."""

Pcm = npt.NDArray[np.int16]


@functools.cache
def synthesise(text: str) -> Pcm:
    """Speak `text`: int16 mono at 24 kHz, with no silence around it."""
    from hibari import Hibari

    voice = np.asarray(Hibari(threads=1)(text), np.float32).squeeze()
    loud = np.flatnonzero(np.abs(voice) > 0.01)
    voice = voice[loud[0] : loud[-1] + 1]
    return (voice * (0.5 / np.abs(voice).max()) * 32767).astype(np.int16)


def write_microphone(path: Path, text: str, lead_s: float, tail_s: float) -> Path:
    """A file for Chromium's fake microphone: 48 kHz, from when the device is opened."""
    speech = soxr.resample(synthesise(text), RECORDED_RATE, 48_000)
    silence = [np.zeros(int(seconds * 48_000), np.int16) for seconds in (lead_s, tail_s)]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.concatenate([silence[0], speech, silence[1]]).tobytes())
    return path


def speak(page: Page, text: str) -> int:
    """Speak into the scripted microphone; returns how many samples that will take."""
    pcm = synthesise(text)
    page.evaluate("(pcm) => recorder.speak(pcm)", base64.b64encode(pcm.tobytes()).decode())
    return len(pcm)


def recording(page: Page, name: str) -> Pcm:
    """What was recorded of "microphone" or "agent", int16 mono at 24 kHz, on one clock."""
    data = base64.b64decode(page.evaluate("(name) => recorder.take(name)", name))
    return np.frombuffer(data, np.int16)


def audible(pcm: Pcm) -> npt.NDArray[np.bool_]:
    """Which 20 ms windows can be heard, shape (len(pcm) // WINDOW,)."""
    windows = pcm[: len(pcm) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float32) / 32768
    return np.sqrt((windows**2).mean(axis=1)) > AUDIBLE


def first_sound(pcm: Pcm) -> int:
    """Sample at which something becomes audible, to 20 ms; all of them where nothing does."""
    heard = np.flatnonzero(audible(pcm))
    return int(heard[0]) * WINDOW if len(heard) else len(pcm)


def last_sound(pcm: Pcm) -> int:
    """Sample after which nothing is audible, to 20 ms; 0 where nothing ever is."""
    heard = np.flatnonzero(audible(pcm))
    return (int(heard[-1]) + 1) * WINDOW if len(heard) else 0


def transcribe(pcm: Pcm) -> str:
    """What a listener understands of a 24 kHz recording."""
    return understood(soxr.resample(pcm, RECORDED_RATE, 16_000).astype(np.int16))
