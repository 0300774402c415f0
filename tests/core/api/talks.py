"""A conversation in text: what the agent says, what the caller answers, in order."""

import datetime

from agent.conversation import Conversation
from agent.errors import DegradedError

TODAY = datetime.date(2026, 11, 24)


class TextFloor:
    """In the session's place: the caller's answers are written down; None is silence."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.said = []
        self.expected = []
        self.briefs = []
        self.ended = False
        self.transferred = None

    async def say(self, text, *, more_follows=False):
        self.said.append(text)

    async def listen(self, patience_s, expects):
        self.expected.append((expects.profile, expects.digits))
        return self.answers.pop(0) if self.answers else None

    async def improvise(self, brief):
        self.briefs.append(brief)

    async def end(self):
        self.ended = True

    async def hush(self):
        self.said.append("<hush>")

    async def transfer(self, destination, briefing):
        if destination == "nowhere":
            raise DegradedError("this channel cannot transfer calls")
        self.transferred = destination


def talk(*answers):
    floor = TextFloor(*answers)
    return Conversation(floor, today=TODAY), floor
