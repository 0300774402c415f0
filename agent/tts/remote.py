"""A voice on another machine: any server with OpenAI's ``POST /v1/audio/speech``."""

from collections.abc import Iterator

import httpx
import numpy as np

from agent.audio.chunk import Int16Array
from agent.errors import RetryError
from agent.tts.speech import Speech, SpokenWord

RATE = 24_000
"""Of OpenAI's raw audio, in Hz."""

_TIMEOUT_S = 10.0
"""Of any single step; `tts.first_audio_s` lets another voice speak long before."""

_QUIET = 200
"""Samples below this are the silence around a clause, -44 dB."""


class RemoteVoice:
    """Speaks with a voice elsewhere, a clause a request.

    Such servers tell no times of words: they are spread over the sound by their letters, which is
    right to a word or so.
    """

    sample_rate = RATE

    def __init__(self, url: str, model: str, voice: str, key: str = "none") -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: Base URL, such as ``https://api.openai.com/v1``.
            model: As the server names it.
            voice: Likewise.
            key: Bearer token.
        """
        self.name = f"{model}/{voice}"
        self._url = f"{url.rstrip('/')}/audio/speech"
        self._asked = {"model": model, "voice": voice, "response_format": "pcm"}
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(headers=headers, timeout=_TIMEOUT_S)

    def speak(self, clause: str) -> Iterator[Speech]:
        """Synthesise one clause.

        Raises:
            RetryError: The server did not answer, or with no speech.
        """
        if not any(character.isalnum() for character in clause):
            return
        try:
            answer = self._http.post(self._url, json={**self._asked, "input": clause})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise RetryError(f"the voice at {self._url}: {error}") from error
        pcm = np.frombuffer(answer.content[: len(answer.content) & ~1], "<i2").astype(np.int16)
        if not len(pcm):
            raise RetryError(f"the voice at {self._url} is silent")
        yield Speech(pcm, RATE, spread(clause.split(), pcm))


def spread(words: list[str], pcm: Int16Array) -> tuple[SpokenWord, ...]:
    """Place words over the sound by their letters.

    Args:
        words: In order.
        pcm: All of the clause, shape (n,), int16, 24 kHz.
    """
    if not words:
        return ()
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > _QUIET)
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(pcm))
    # Beside its letters each word costs about one more: what joins it to the next.
    weights = np.array([1 + sum(letter.isalnum() for letter in word) for word in words])
    edges = first + (last - first) * np.concatenate([[0], np.cumsum(weights)]) / weights.sum()
    return tuple(
        SpokenWord(word, float(start) / RATE, float(end) / RATE)
        for word, start, end in zip(words, edges, edges[1:], strict=False)
    )
