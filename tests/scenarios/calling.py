"""A scripted language model that calls tools, and what it left behind; of the test kit."""

from agent.eval.memory import results, said
from agent.eval.scripted import Calls
from agent.eval.scripted import ScriptedLanguage as CallingLanguage

__all__ = ["CallingLanguage", "Calls", "results", "said"]
