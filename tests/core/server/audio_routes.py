"""The app with the routes for speech and recordings alone, and scripted models behind it."""

import httpx
from fastapi import FastAPI

from agent.eval.scripted import ScriptedLanguage, models
from agent.server.sessions import Sessions
from agent.server.speaking import add_speech
from agent.server.transcribing import add_transcriptions
from agent.settings import Settings


def client(**real):
    sessions = Sessions(
        Settings(), models(lambda _prompt: ScriptedLanguage([]), **real), is_offline=True
    )
    app = FastAPI()
    add_speech(app, sessions)
    add_transcriptions(app, sessions)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
