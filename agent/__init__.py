"""Duplex: voice agents that listen while they speak.

The public names. Importing the package loads nothing heavy: each name is fetched when it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.agent import Agent, tool
    from agent.conversation import Conversation
    from agent.flow import End, Flow, HandOver
    from agent.launch import serve
    from agent.session import Channel, Models, VoiceSession
    from agent.settings import Settings
    from agent.tools.declaration import Tool
    from agent.tools.mcp import ToolServer
    from agent.turns.events import TurnPolicy
    from agent.values import Choice, Date, Digits, Email, Text, YesNo

_HOMES = {
    "agent.agent": ("Agent", "tool"),
    "agent.conversation": ("Conversation",),
    "agent.flow": ("End", "Flow", "HandOver"),
    "agent.launch": ("serve",),
    "agent.session": ("Channel", "Models", "VoiceSession"),
    "agent.settings": ("Settings",),
    "agent.tools.declaration": ("Tool",),
    "agent.tools.mcp": ("ToolServer",),
    "agent.turns.events": ("TurnPolicy",),
    "agent.values": ("Choice", "Date", "Digits", "Email", "Text", "YesNo"),
}

__all__ = [
    "Agent",
    "Channel",
    "Choice",
    "Conversation",
    "Date",
    "Digits",
    "Email",
    "End",
    "Flow",
    "HandOver",
    "Models",
    "Settings",
    "Text",
    "Tool",
    "ToolServer",
    "TurnPolicy",
    "VoiceSession",
    "YesNo",
    "serve",
    "tool",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'agent' has no attribute '{name}'")
