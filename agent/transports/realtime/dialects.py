"""The protocol's two dialects: that of general availability, and the beta before it. Pure.

The core speaks the first. A client that asks for the beta (`OpenAI-Beta: realtime=v1`) is told the
same in its words.
"""

from agent.transports.realtime.events import Event

_BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}

_BETA_ABSENT = {"conversation.item.done"}

_BETA_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_FORMATS = {beta: name for name, beta in _BETA_FORMATS.items()}

_BETA_CONTENT = {"output_audio": "audio", "output_text": "text"}


def in_beta(event: Event) -> Event | None:
    """Say an event as the beta did; None for one it did not have."""
    kind = event["type"]
    if kind in _BETA_ABSENT:
        return None
    said = {**event, "type": _BETA_NAMES.get(kind, kind)}
    if "session" in said:
        said["session"] = _flat(said["session"])
    if "item" in said:
        said["item"] = _item(said["item"])
    if "response" in said:
        response = dict(said["response"])
        response["output"] = [_item(item) for item in response["output"]]
        response["modalities"] = _modalities(response)
        said["response"] = response
    return said


def unfolded(session: Event) -> Event:
    """Return a session in either dialect as one flat object; nothing is checked but its shape.

    ``audio.input.turn_detection`` of the one is ``turn_detection`` of the other.
    """
    flat = {key: value for key, value in session.items() if key != "audio"}
    audio = session.get("audio")
    for side in ("input", "output"):
        given = audio.get(side) if isinstance(audio, dict) else None
        if not isinstance(given, dict):
            continue
        for key, value in given.items():
            flat[_FLAT.get((side, key), f"audio.{side}.{key}")] = value
    for key in ("input_audio_format", "output_audio_format"):
        name = flat.get(key)
        if isinstance(name, str):
            flat[key] = {"type": _FORMATS.get(name, name)}
    return {_RENAMED.get(key, key): value for key, value in flat.items()}


_FLAT = {
    ("input", "format"): "input_audio_format",
    ("input", "transcription"): "input_audio_transcription",
    ("input", "noise_reduction"): "input_audio_noise_reduction",
    ("input", "turn_detection"): "turn_detection",
    ("output", "format"): "output_audio_format",
    ("output", "voice"): "voice",
    ("output", "speed"): "speed",
}

_RENAMED = {"modalities": "output_modalities", "max_response_output_tokens": "max_output_tokens"}


def _flat(session: Event) -> Event:
    audio_in, audio_out = session["audio"]["input"], session["audio"]["output"]
    kept = ("id", "model", "instructions", "tools", "tool_choice", "expires_at")
    return {
        **{key: session[key] for key in kept},
        "object": "realtime.session",
        "modalities": _modalities(session),
        "voice": audio_out["voice"],
        "input_audio_format": _BETA_FORMATS[audio_in["format"]["type"]],
        "output_audio_format": _BETA_FORMATS[audio_out["format"]["type"]],
        "input_audio_transcription": audio_in["transcription"],
        "turn_detection": audio_in["turn_detection"],
        "max_response_output_tokens": session["max_output_tokens"],
    }


def _modalities(described: Event) -> list[str]:
    return ["text"] if described["output_modalities"] == ["text"] else ["audio", "text"]


def _item(item: Event) -> Event:
    content = item.get("content")
    if content is None:
        return item
    return {**item, "content": [{**part, "type": _content(part["type"])} for part in content]}


def _content(kind: str) -> str:
    return _BETA_CONTENT.get(kind, kind)
