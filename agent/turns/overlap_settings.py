"""How much evidence a verdict on speech over the agent needs. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OverlapSettings:
    """How much evidence each verdict needs. Tuned on the first set of `benchmarks/overlap.py`."""

    verdict_s: float = 0.7
    """From the confirmed onset to the last moment for a verdict."""

    floor_s: float = 0.6
    """Speech as long as this, louder than our echo and not read yet, takes the floor."""

    word_s: float = 0.4
    """Likewise with a word that is no backchannel."""

    unsure_s: float = 0.45
    """Likewise with words the recogniser doubts."""

    unsure_in_echo_s: float = 0.55
    """Likewise where our own voice comes back: what a canceller leaves of it is read as doubtful
    words, now and then."""

    beginning_s: float = 0.85
    """Likewise with what may still become a backchannel: "I", "of"."""

    far_from_echo_db: float = 12.0
    """How far above the loudest echo expected speech must be to be judged as if there were none."""

    content_words: int = 2
    """Words that say something, which take the floor however short."""

    over_s: float = 0.2
    """Silence after which the overlap is over."""

    short_s: float = 0.35
    """Speech up to this length, over and without known words, is a noise."""

    least_confidence: float = 0.5
    """Of a word, or it does not count. Of all of them together, if the last is half a word."""

    sure: float = 0.7
    """Mean confidence of words that are believed although the sound was read as a nod before."""

    echo_margin_db: float = 6.0
    """How far above the expected echo speech must be to be another's."""

    echo_share: float = 0.7
    """Of a partial's sounds, those that must be the agent's own to veto it. Above 1.0: no veto."""

    echo_share_at_its_level: float = 0.35
    """Likewise while nothing is louder than our echo would be: the rest is then misheard."""

    speech_probability: float = 0.5
    """A hop at or above this counts as speech."""

    steady: float = 0.8
    """Mean posterior since the onset of speech that takes the floor by going on. What a canceller
    leaves of our own voice, and music, come in tatters; a person near the microphone does not."""

    clear: float = 0.6
    """Likewise for words to take it."""

    steady_in_echo: float = 0.8
    """Likewise for words that are no louder than our echo."""

    steady_after_echoes: float = 0.95
    """Likewise once `many_echoes` in a row were our own: the canceller has lost the room, and what
    it leaves is loud enough to be misheard."""

    many_echoes: int = 3

    steady_unknown: float = 0.993
    """Likewise while it is not known what the agent says: then only that counts. What a poor
    canceller leaves can be understood, and cannot be told from a user by its words or level."""

    unknown_s: float = 1.2
    """Time over which that mean is taken then: bursts of what is left are shorter."""
