"""What the turn policy does besides weighing evidence. Pure."""

from dataclasses import dataclass, field

from agent.turns.hotwords import HotwordSettings
from agent.turns.overlap_settings import OverlapSettings
from agent.vad.readings import Profile


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How patient, how eager, and what words act by themselves."""

    profile: Profile | None = None
    """How the user speaks. None: a tool's or flow's word, else the agent's last words decide."""

    speculate: bool = True
    """Prepare answers unheard."""

    cut_off_cost_s: float | None = None
    """What one cut-off costs, in seconds of waiting. None: 5, less after a yes/no question, more
    in dictation."""

    hotwords: HotwordSettings = field(default_factory=HotwordSettings)

    wake_required: bool = False
    """Answer only after a wake phrase, and for `wake_s` after each answer."""

    wake_s: float = 8.0

    overlap: OverlapSettings = field(default_factory=OverlapSettings)

    overlap_end_s: float = 0.3
    """Silence that ends speech which left the agent the floor, once its text is known."""

    wordless_s: float = 0.8
    """Silence after speech without words, a cough, a neighbour: dropped, not answered."""

    give_up_s: float = 4.0
    """Silence after which a turn, or speech over the agent, is decided on what is known, should
    recognition be stuck."""

    stale_s: float = 5.0
    """What sounds like speech and says nothing new for so long is noise: the turn is decided."""

    wait_s: float = 4.0
    """A turn that ends in "wait" is kept open for so long."""

    patience_s: float = 30.0
    """An agent told to wait goes on after this; one that says nothing has lost the floor."""
