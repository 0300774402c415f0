"""Who holds the floor: every state, every signal, one table. Pure.

The table is total, so no order of events, however odd, leaves the conversation without a rule.
"""

from collections.abc import Mapping
from enum import Enum


class Floor(Enum):
    """Who may speak."""

    OPEN = "open"
    """Nobody holds it."""

    USER = "user"
    """The user's turn, speaking or pausing."""

    AGENT = "agent"
    """The agent thinks or speaks."""

    DUCKED = "ducked"
    """The agent speaks more quietly: something that may be speech is heard over it."""

    PAUSED = "paused"
    """The agent waits on a sample: speech is heard over it, and it is not known what it means."""

    WAITING = "waiting"
    """The agent waits on a sample because it was told to."""


class Signal(Enum):
    """What happens to it."""

    NOTICED = "noticed"
    """Something that may be speech has begun."""

    FADED = "faded"
    """It ended before it was known to be speech."""

    CONFIRMED = "confirmed"
    """It is speech."""

    LEFT = "left"
    """Speech over the agent leaves it the floor."""

    TAKEN = "taken"
    """Speech over the agent takes the floor."""

    ENDED = "ended"
    """The user's turn is over and will be answered."""

    DROPPED = "dropped"
    """The user's turn is over and will not be answered."""

    AGENT_ON = "agent on"
    """The agent's response begins, or is being made."""

    AGENT_OFF = "agent off"
    """The agent's response is over: heard to its end, cut, or come to nothing."""

    WAIT = "wait"
    """The user asks the agent to wait."""

    GO_ON = "go on"
    """The user asks the agent to go on."""


class Act(Enum):
    """What to do about it."""

    NOTHING = "nothing"
    BEGIN = "begin"
    """Open the user's turn."""

    DUCK = "duck"
    PAUSE = "pause"
    RESUME = "resume"
    """Let the agent go on where it stopped, as loud as before."""

    CUT = "cut"
    """End the agent's response here; the overlap is the user's turn."""


def _rows() -> Mapping[tuple[Floor, Signal], tuple[Floor, Act]]:
    stay = {(floor, signal): (floor, Act.NOTHING) for floor in Floor for signal in Signal}
    moves = {
        (Floor.OPEN, Signal.CONFIRMED): (Floor.USER, Act.BEGIN),
        (Floor.OPEN, Signal.AGENT_ON): (Floor.AGENT, Act.NOTHING),
        (Floor.USER, Signal.ENDED): (Floor.AGENT, Act.NOTHING),
        (Floor.USER, Signal.DROPPED): (Floor.OPEN, Act.NOTHING),
        # A late answer, a reminder: it must not talk over the user, and may not be lost either.
        (Floor.USER, Signal.AGENT_ON): (Floor.PAUSED, Act.PAUSE),
        (Floor.USER, Signal.WAIT): (Floor.OPEN, Act.NOTHING),
        (Floor.AGENT, Signal.NOTICED): (Floor.DUCKED, Act.DUCK),
        (Floor.AGENT, Signal.CONFIRMED): (Floor.PAUSED, Act.PAUSE),
        # The agent went on, and then enough was said to take the floor after all.
        (Floor.AGENT, Signal.TAKEN): (Floor.USER, Act.CUT),
        (Floor.AGENT, Signal.AGENT_OFF): (Floor.OPEN, Act.NOTHING),
        (Floor.AGENT, Signal.WAIT): (Floor.WAITING, Act.PAUSE),
        (Floor.DUCKED, Signal.FADED): (Floor.AGENT, Act.RESUME),
        (Floor.DUCKED, Signal.CONFIRMED): (Floor.PAUSED, Act.PAUSE),
        (Floor.DUCKED, Signal.LEFT): (Floor.AGENT, Act.RESUME),
        (Floor.DUCKED, Signal.TAKEN): (Floor.USER, Act.CUT),
        (Floor.DUCKED, Signal.AGENT_OFF): (Floor.OPEN, Act.RESUME),
        (Floor.DUCKED, Signal.WAIT): (Floor.WAITING, Act.PAUSE),
        (Floor.PAUSED, Signal.LEFT): (Floor.AGENT, Act.RESUME),
        (Floor.PAUSED, Signal.TAKEN): (Floor.USER, Act.CUT),
        # Said over the agent's last word, it is the next turn.
        (Floor.PAUSED, Signal.AGENT_OFF): (Floor.USER, Act.RESUME),
        (Floor.PAUSED, Signal.WAIT): (Floor.WAITING, Act.NOTHING),
        (Floor.PAUSED, Signal.GO_ON): (Floor.AGENT, Act.RESUME),
        (Floor.WAITING, Signal.TAKEN): (Floor.USER, Act.CUT),
        (Floor.WAITING, Signal.AGENT_OFF): (Floor.OPEN, Act.RESUME),
        (Floor.WAITING, Signal.GO_ON): (Floor.AGENT, Act.RESUME),
    }
    return stay | moves


TABLE = _rows()
"""What each signal does in each state: the next state and the act. All else stays as it is."""
