"""A voice with others behind it, for when it fails."""

import time
from collections.abc import Callable, Iterator, Sequence

from loguru import logger

from agent.audio.resample import resample
from agent.tts.speech import Speech, Voice

_REST_S = 30.0
"""How long a voice that failed is passed over."""


class StandbyVoice:
    """Speaks with the first voice that works; all sound at the rate of the first.

    A clause of which something was heard already is not begun again in another voice: it fails, and
    the next one is spoken by the next voice.
    """

    def __init__(
        self, voices: Sequence[Voice], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Put voices in order.

        Args:
            voices: At least one.
            clock: Seconds.
        """
        self._voices = list(voices)
        self._clock = clock
        self._rests_until_s = [0.0] * len(self._voices)

    @property
    def name(self) -> str:
        """Of the first voice."""
        return self._voices[0].name

    @property
    def sample_rate(self) -> int:
        """Of the first voice."""
        return self._voices[0].sample_rate

    def speak(self, clause: str) -> Iterator[Speech]:
        """Speak one clause.

        Raises:
            Exception: Whatever the last voice raised, when no voice is left.
        """
        now_s = self._clock()
        order = [n for n, until_s in enumerate(self._rests_until_s) if until_s <= now_s]
        order = order or list(range(len(self._voices)))
        for number in order:
            is_heard = False
            try:
                for speech in self._voices[number].speak(clause):
                    yield self._at_rate(speech)
                    is_heard = True
            except Exception as error:  # a voice raises whatever its library does
                self._rests_until_s[number] = now_s + _REST_S
                name = self._voices[number].name
                logger.warning("the voice {} failed ({})", name, type(error).__name__)
                if is_heard or number == order[-1]:
                    raise
            else:
                return

    def _at_rate(self, speech: Speech) -> Speech:
        if speech.sample_rate == self.sample_rate:
            return speech
        pcm = resample(speech.pcm, speech.sample_rate, self.sample_rate)
        return Speech(pcm, self.sample_rate, speech.words)
