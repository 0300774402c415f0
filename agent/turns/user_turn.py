"""The user's turn, from its first word to the moment it is answered or dropped. Pure."""

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import samples
from agent.turns.backchannels import Reading, read
from agent.turns.completeness import Completeness, completeness
from agent.turns.ending import FRESH_PARTIAL_S, Context, EndOfTurn, Judgement
from agent.turns.events import DecisionKind, Prosody, Wording
from agent.turns.floor import Signal
from agent.turns.hearing import Hearing
from agent.turns.hotwords import Hotword, HotwordAction, Hotwords
from agent.turns.policy_settings import PolicySettings
from agent.turns.step import Figures, Step


class UserTurn:
    """Says when the user's turn has ended, and how. Pure.

    A turn without words is dropped, so noise is never answered; every turn is answered or dropped
    with a reason.
    """

    def __init__(
        self, hearing: Hearing, ending: EndOfTurn, hotwords: Hotwords, settings: PolicySettings
    ) -> None:
        self._hearing = hearing
        self._ending = ending
        self._hotwords = hotwords
        self._settings = settings
        self._awake_until = 0
        self._acted_on: tuple[Hotword, int] | None = None
        self.begin(0, ending.context)

    @property
    def start(self) -> int:
        """Where it began, on the media clock (16 kHz)."""
        return self._start

    @property
    def words_from(self) -> int:
        """Words that begin before this sample do not belong to it."""
        return max(self._words_from, self._hearing.words_from)

    @property
    def judgement(self) -> Judgement:
        """What is known of its end."""
        return self._ending.judge(self._hearing.silence_s)

    @property
    def wants_prosody(self) -> bool:
        """Whether a score of the voice asked for now can change when it ends."""
        return self._ending.wants_prosody(self._hearing.silence_s)

    def begin(self, start_sample: int, context: Context, *, may_be_nod: bool = False) -> None:
        """A turn begins, or what was heard is forgotten before one does.

        Args:
            start_sample: On the media clock (16 kHz).
            context: What the dialogue leads to expect.
            may_be_nod: Whether it began over the agent's last word, and nothing was asked.
        """
        self._start = start_sample
        self._may_be_nod = may_be_nod
        self._prepared: str | None = None
        self._end_requested = False
        self._words_from = 0
        self._kept_open_until = 0
        self._ending.begin(context)
        if self._hearing.hypothesis:
            self._ending.heard(self._hearing.hypothesis)

    def heard(self, hypothesis: Hypothesis) -> None:
        """The recogniser's latest text."""
        self._ending.heard(hypothesis)

    def sounded(self, prosody: Prosody) -> None:
        """A score of the voice; one of audio before the latest speech says nothing of its end."""
        if prosody.at_sample >= self._hearing.silent_since:
            self._ending.sounded(prosody.probability)

    def read(self, wording: Wording) -> None:
        """What the language model makes of the words."""
        self._ending.read(wording.text, wording.probability)

    def request_end(self, *, is_open: bool) -> None:
        """The user says by other means than voice that the turn, if one is open, is over."""
        self._end_requested = is_open

    def stay_awake(self) -> None:
        """The user has just been answered, and needs no wake phrase for a while."""
        self._awake_until = self._hearing.now + samples(self._settings.wake_s)

    def spoke_again(self, pause_s: float) -> list[Step]:
        """Speech after a pause: what was prepared for its end is withdrawn."""
        self._ending.resumed(pause_s)
        self._kept_open_until = 0
        if self._prepared is None:
            return []
        self._prepared = None
        return [Step("the user speaks again", kind=DecisionKind.RESUME)]

    def weigh(self) -> list[Step]:
        """Judge it as it stands."""
        hearing = self._hearing
        if hearing.is_speaking:
            return self._weigh_speech()
        text = self._settled_text()
        if text is None or hearing.now < self._kept_open_until:
            return []
        if completeness(text) is Completeness.EMPTY:
            if hearing.silence_s < self._settings.wordless_s and not self._end_requested:
                return []
            return [drop("speech without words")]
        if self._is_nod:
            # Said a moment sooner it would have left the agent the floor.
            is_over = hearing.silence_s >= self._settings.overlap_end_s or self._end_requested
            return [drop("a nod over the agent's last word")] if is_over else []
        judgement = self.judgement
        if not judgement.commits and not judgement.speculates and not self._must_decide:
            return self._on_hotword(self._find_hotword(is_over=False))
        acted = self._on_hotword(self._find_hotword(is_over=True))
        if acted or hearing.now < self._kept_open_until:
            return acted
        if (judgement.commits and not self._is_vetoed) or self._must_decide:
            return [self._commit(judgement)]
        if self._settings.speculate and judgement.speculates and text != self._prepared:
            self._prepared = text
            reason = "has probably ended: the answer is prepared unheard"
            return [
                Step(reason, kind=DecisionKind.SPECULATE, figures=self._figures(judgement)),
            ]
        return []

    def _weigh_speech(self) -> list[Step]:
        now = self._hearing.now
        latest = max(self._hearing.text_changed_at, self._start)
        if now - latest < samples(self._settings.stale_s):
            return []
        if self._hearing.has_words:
            return [self._commit(self._ending.judge(0.0), "nothing new was said for long")]
        # Whatever goes on may still become a turn.
        return [drop("noise"), Step("", Signal.CONFIRMED, onset=now)]

    def _commit(self, judgement: Judgement, reason: str | None = None) -> Step:
        if not self._is_addressed:
            return drop("not addressed to the agent: no wake phrase")
        return Step(
            reason or _why(judgement),
            Signal.ENDED,
            DecisionKind.COMMIT,
            closes=True,
            figures=self._figures(judgement),
        )

    @property
    def _is_nod(self) -> bool:
        """Whether it says what listeners say."""
        hypothesis = self._hearing.hypothesis
        if not self._may_be_nod or hypothesis is None:
            return False
        return read([word.text for word in hypothesis.words], asked=False) is Reading.BACKCHANNEL

    @property
    def _must_decide(self) -> bool:
        """Whether nothing more is waited for."""
        return self._end_requested or self._is_stuck

    @property
    def _is_stuck(self) -> bool:
        return self._hearing.silence_s >= self._settings.give_up_s

    @property
    def _is_vetoed(self) -> bool:
        """Whether somebody may still be speaking, or the recogniser is still at work."""
        hearing = self._hearing
        is_fresh = hearing.now - hearing.text_changed_at < samples(FRESH_PARTIAL_S)
        return hearing.may_be_speaking or (is_fresh and not hearing.covers_silence)

    @property
    def _is_addressed(self) -> bool:
        return (
            not self._settings.wake_required
            or self._words_from > 0
            or self._start <= self._awake_until
        )

    def _settled_text(self) -> str | None:
        """The text, once it covers all the speech; None before."""
        hypothesis = self._hearing.hypothesis
        if self._is_stuck:
            return hypothesis.text if hypothesis else ""
        if hypothesis is None or not self._hearing.covers_speech:
            return None
        return hypothesis.text

    def _find_hotword(self, *, is_over: bool) -> Hotword | None:
        """The hotword that acts.

        Args:
            is_over: Whether to look at the words as all there will be.
        """
        if self._hearing.hypothesis is None:
            return None
        at = self._hearing.now + samples(1.0) if is_over else self._hearing.now
        return self._hotwords.find(self._hearing.hypothesis.words, at, agent_speaking=False)

    def _on_hotword(self, hotword: Hotword | None) -> list[Step]:
        if hotword is None or (hotword, self._hearing.text_changed_at) == self._acted_on:
            return []
        self._acted_on = hotword, self._hearing.text_changed_at
        reason = f'hotword "{hotword.phrase}"'
        match hotword.action:
            case HotwordAction.STOP:
                return [drop(reason)]
            case HotwordAction.WAIT if hotword.first_word == 0:
                return [drop(reason)]
            case HotwordAction.WAIT:
                kept = samples(self._settings.wait_s)
                self._kept_open_until = self._hearing.silent_since + kept
            case HotwordAction.REPEAT:
                return [Step(reason, Signal.ENDED, DecisionKind.REPEAT, closes=True)]
            case HotwordAction.DONE:
                return [self._commit(self.judgement, reason)]
            case HotwordAction.WAKE if self._hearing.says_more_than(hotword):
                # A new turn begins behind it, never an end of turn.
                self._words_from = hotword.end_sample
            case HotwordAction.WAKE:
                self.stay_awake()
            case HotwordAction.GO_ON:
                pass  # Nobody waits: a request like any other.
        return []

    def _figures(self, judgement: Judgement) -> Figures:
        figures: dict[str, float | str] = {
            "silence_s": round(self._hearing.silence_s, 3),
            "log_odds": round(judgement.log_odds, 2),
            "speculate_at": round(judgement.speculate, 2),
            "commit_at": round(judgement.commit, 2),
        }
        terms = {name: round(term, 2) for name, term in judgement.terms.items()}
        return {**figures, **terms, **self._hearing.behind}


def drop(reason: str) -> Step:
    """Give up the turn: what was said is none of the agent's."""
    return Step(reason, Signal.DROPPED, DecisionKind.HOLD, closes=True)


def _why(judgement: Judgement) -> str:
    if judgement.log_odds < judgement.commit:
        return "reads finished, and has been silent for long"
    strongest = max(judgement.terms, key=lambda name: judgement.terms[name])
    return f"has ended with probability {judgement.probability:.2f}, above all by its {strongest}"
