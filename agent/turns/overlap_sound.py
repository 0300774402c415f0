"""How an overlap sounds: how long, how clear, and how loud beside our own echo. Pure."""

import math
from collections import deque

from agent.audio.chunk import samples
from agent.turns.echo import SILENT_DBFS
from agent.turns.overlap_evidence import AgentSpeech, OverlapHop
from agent.turns.overlap_settings import OverlapSettings
from agent.vad.silero import HOP


class OverlapSound:
    """Sums up the hops of one overlap. Pure.

    Attributes:
        now: When the latest evidence came, as a sample on the media clock.
        speech: Samples of speech since the latest pause, or since the onset.
        speech_end: Just after the last hop that was speech.
    """

    def __init__(
        self,
        onset_sample: int,
        confirmed_sample: int,
        agent: AgentSpeech,
        settings: OverlapSettings,
        *,
        is_echo_likely: bool,
    ) -> None:
        """Begin at the moment in which the overlap was confirmed as speech.

        Args:
            onset_sample: First sample of the first hop of its speech, on the media clock.
            confirmed_sample: When it was known to be speech.
            agent: What the agent says.
            settings: How much evidence is needed.
            is_echo_likely: Whether many overlaps just before were the agent's own voice.
        """
        self._settings = settings
        self._agent = agent
        self._is_echo_likely = is_echo_likely
        self.speech = confirmed_sample - onset_sample
        self.speech_end = self.now = confirmed_sample
        self._above_echo = 0
        self._judged_hops = 0
        self._hops = 0
        self._posteriors = 0.0
        self._latest: deque[float] = deque(maxlen=samples(settings.unknown_s) // HOP)
        self._loudest_echo = SILENT_DBFS
        self._power = 0.0

    def push(self, hop: OverlapHop) -> None:
        """Take the next hop."""
        self.now = hop.at_sample
        self._latest.append(hop.probability)
        self._loudest_echo = max(self._loudest_echo, hop.echo_dbfs)
        if not self.is_over:
            self._hops += 1
            self._posteriors += hop.probability
        if hop.probability < self._settings.speech_probability:
            return
        if hop.at_sample - self.speech_end > samples(self._settings.over_s):
            # What comes after a pause is judged for itself: nods do not add up to a turn.
            self.speech, self._hops, self._posteriors = 0, 1, hop.probability
        self.speech += HOP
        self.speech_end = hop.at_sample
        self._judged_hops += 1
        self._power += 10 ** (hop.level_dbfs / 10)
        self._above_echo += hop.level_dbfs >= hop.echo_dbfs + self._settings.echo_margin_db

    def pass_time(self, at_sample: int) -> None:
        """Know that the clock stands at `at_sample`, or later."""
        self.now = max(self.now, at_sample)

    @property
    def mean_posterior(self) -> float:
        """The speech posterior since speech began, pauses left out; 1 before any hop."""
        return self._posteriors / self._hops if self._hops else 1.0

    @property
    def is_clear(self) -> bool:
        """Whether a voice is heard so well that its words count."""
        settings = self._settings
        if self.may_be_anything:
            return self._is_held
        if not self.is_echo_loud:
            return self.mean_posterior >= settings.clear
        steady = settings.steady_after_echoes if self._is_echo_likely else settings.steady_in_echo
        return self.mean_posterior >= steady

    @property
    def may_be_anything(self) -> bool:
        """Whether our own voice comes back, and it is not known what it says."""
        return not self._agent.around and self._loudest_echo > SILENT_DBFS

    @property
    def _is_held(self) -> bool:
        """Whether a voice has gone on for so long that no canceller left it of our own.

        It gates what it leaves, so that comes in bursts, each as clear as a person's and as loud.
        """
        latest, settings = self._latest, self._settings
        is_long = len(latest) == latest.maxlen
        return is_long and sum(latest) >= settings.steady_unknown * len(latest)

    @property
    def goes_on(self) -> bool:
        """Whether the voice is so steady that it takes the floor by going on."""
        if self.may_be_anything:
            return self._is_held
        return self.mean_posterior >= self._settings.steady

    @property
    def is_far_from_echo(self) -> bool:
        """Whether this is so much louder than our own voice would be that it cannot be part of it.

        Told by the loudest echo since the onset: the agent is paused, and its echo with it.
        """
        if not self._judged_hops:
            return False
        level_dbfs = 10 * math.log10(self._power / self._judged_hops)
        return level_dbfs >= self._loudest_echo + self._settings.far_from_echo_db

    @property
    def is_over(self) -> bool:
        """Whether it has been quiet for long enough behind the speech."""
        return self.now - self.speech_end >= samples(self._settings.over_s)

    @property
    def is_echo_loud(self) -> bool:
        """Whether most of the speech is no louder than our own voice would be."""
        return 2 * self._above_echo < self._judged_hops

    @property
    def above_echo(self) -> float:
        """Share of its hops that are louder than our own voice would be."""
        return self._above_echo / max(self._judged_hops, 1)
