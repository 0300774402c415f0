"""A voice with others behind it, for when it fails or is late."""

import time
from collections.abc import Callable, Iterator, Sequence

from loguru import logger

from agent.audio.resample import resample
from agent.tts.speech import Speech, Voice

_REST_S = 30.0
"""How long a voice that failed or was late is passed over."""


class Attempt:
    """A clause that is being spoken, and by which voice."""

    def __init__(self, speak: Callable[["Attempt"], Iterator[Speech]]) -> None:
        self.number = 0
        self._stretches = speak(self)

    def __iter__(self) -> Iterator[Speech]:
        return self

    def __next__(self) -> Speech:
        return next(self._stretches)


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

    def speak(self, clause: str) -> Attempt:
        """Speak one clause.

        Raises:
            Exception: Whatever the last voice raised, when no voice is left.
        """
        return Attempt(lambda attempt: self._spoken(clause, attempt))

    def pass_over(self, attempt: Iterator[Speech]) -> bool:
        """Let the voice rest that is late with a clause; another thread may be at work on it.

        Returns:
            Whether there is another one to speak the clause.
        """
        if not isinstance(attempt, Attempt):
            return False
        now_s = self._clock()
        others = [
            number
            for number, until_s in enumerate(self._rests_until_s)
            if until_s <= now_s and number != attempt.number
        ]
        if others:
            self._rests_until_s[attempt.number] = now_s + _REST_S
            logger.warning("the voice {} is late: next voice", self._voices[attempt.number].name)
        return bool(others)

    def _spoken(self, clause: str, attempt: Attempt) -> Iterator[Speech]:
        now_s = self._clock()
        order = [n for n, until_s in enumerate(self._rests_until_s) if until_s <= now_s]
        order = order or list(range(len(self._voices)))
        for number in order:
            is_heard, attempt.number = False, number
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
