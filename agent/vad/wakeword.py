"""Wake words heard in the sound itself, before any recogniser runs.

Four small networks of microWakeWord (github.com/kahrendt/microWakeWord, Apache-2.0) from the wheel
of pymicro-wakeword, the extra `wakeword`. Any other phrase is found in the recogniser's words by
`agent.turns.hotwords`.
"""

from collections.abc import Sequence

from agent.audio.chunk import Int16Array, samples
from agent.errors import SettingsError

MODELS = ("alexa", "hey jarvis", "hey mycroft", "okay nabu")
"""Phrases with a network of their own."""

_REFRACTORY = samples(1.0)
"""After a phrase, in which it is not counted again: it is still passing the network's window."""


def has_model(phrase: str) -> bool:
    """Whether a phrase can be heard without the recogniser, if the extra is installed."""
    return phrase.lower() in MODELS


class WakeWords:
    """Listens for wake phrases in one stream. Each phrase costs about half a percent of a core."""

    def __init__(self, phrases: Sequence[str]) -> None:
        """Load one network a phrase.

        Args:
            phrases: Of `MODELS`.

        Raises:
            SettingsError: A phrase has no network, or the extra is not installed.
        """
        unknown = [phrase for phrase in phrases if not has_model(phrase)]
        if unknown:
            raise SettingsError(
                f"no acoustic model for {', '.join(unknown)}; there are: {', '.join(MODELS)}"
            )
        try:
            from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model
        except ImportError as missing:
            raise SettingsError(
                "acoustic wake words need the extra: pip install 'duplex-voice[wakeword]'"
            ) from missing
        self._features = MicroWakeWordFeatures()
        self._networks = {
            phrase: MicroWakeWord.from_builtin(Model(phrase.lower().replace(" ", "_")))
            for phrase in phrases
        }
        self._quiet_until = dict.fromkeys(phrases, 0)

    def push(self, pcm: Int16Array, at_sample: int) -> str | None:
        """Listen on.

        Args:
            pcm: Mono, shape (n,), int16, 16 kHz, following on what was pushed before.
            at_sample: Just after it, on the media clock.

        Returns:
            The phrase that was just spoken, once for each time it is.
        """
        heard = None
        for features in self._features.process_streaming(pcm.tobytes()):
            for phrase, network in self._networks.items():
                is_on = network.process_streaming(features)
                if is_on and at_sample >= self._quiet_until[phrase]:
                    self._quiet_until[phrase] = at_sample + _REFRACTORY
                    heard = phrase
        return heard
