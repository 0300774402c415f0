"""KServe v2: health for orchestrators, inference for Triton's clients.

Tensors of ``infer``: ``AUDIO``, INT16 or FP32 in [-1, 1), shape [n] or [1, n], 16 kHz mono, in;
``TRANSCRIPT`` BYTES [1], ``CONFIDENCE`` FP32 [1] and ``WORDS`` BYTES [1], a JSON list, out. Both
the plain JSON form and the binary extension are understood, as ``tritonclient`` sends them.
"""

import asyncio
import json
import math
import operator
from importlib.metadata import version
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.audio.chunk import Int16Array, seconds
from agent.parakeet.engine import Options, Transcript
from agent.parakeet.errors import BadInputError, RequestError
from agent.parakeet.native.messages import words_to
from agent.parakeet.refusals import bounded, kserve_refusal
from agent.parakeet.service import Service
from agent.parakeet.transcriptions import unready

ROUTE = "infer"

MOST_BYTES = 256 << 20
"""Of one request, which is read into memory: two hours of INT16 in binary."""

_HEADER_LENGTH = "inference-header-content-length"

_OUTPUTS = ("TRANSCRIPT", "CONFIDENCE", "WORDS")

_NO_REQUEST = (
    *(ValueError, TypeError, KeyError, AttributeError, StopIteration),
    *(OverflowError, RecursionError),
)

_TYPES: dict[str, np.dtype[Any]] = {"INT16": np.dtype("<i2"), "FP32": np.dtype("<f4")}


def metadata() -> dict[str, Any]:
    """``GET /v2``."""
    return {
        "name": "duplex-asr",
        "version": version("duplex-voice"),
        "extensions": ["binary_tensor_data"],
    }


def model_metadata(name: str) -> dict[str, Any]:
    """``GET /v2/models/{name}``."""
    return {
        "name": name,
        "platform": "duplex-asr",
        "versions": ["1"],
        "inputs": [{"name": "AUDIO", "datatype": "INT16", "shape": [-1]}],
        "outputs": [
            {"name": "TRANSCRIPT", "datatype": "BYTES", "shape": [1]},
            {"name": "CONFIDENCE", "datatype": "FP32", "shape": [1]},
            {"name": "WORDS", "datatype": "BYTES", "shape": [1]},
        ],
    }


async def infer(service: Service, request: Request) -> Response:
    """``POST /v2/models/{name}/infer``."""
    name = request.path_params["name"]
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    with service.occupied():
        try:
            if not service.accepts:
                raise unready(service)
            header_length = request.headers.get(_HEADER_LENGTH)
            asked, pcm = read(await bounded(request, MOST_BYTES).body(), header_length)
            options, deadline_s = _parameters(asked, service.settings.file_deadline_s)
            heard = await service.recording(pcm, options, started_s + deadline_s)
            service.metrics.audio_s.labels(ROUTE).inc(seconds(len(pcm)))
            response = write(asked, heard, name)
        except RequestError as error:
            response = kserve_refusal(error)
    service.metrics.requests.labels(ROUTE, str(response.status_code)).inc()
    service.metrics.request_s.labels(ROUTE).observe(loop.time() - started_s)
    return response


def read(body: bytes, header_length: str | None) -> tuple[dict[str, Any], Int16Array]:
    """Read a request.

    Raises:
        BadInputError: Not a request for this model.
    """
    size = len(body)
    if header_length is not None:
        if not header_length.isdigit() or int(header_length) > len(body):
            raise BadInputError(f"{_HEADER_LENGTH} is {header_length!r} of {len(body)} bytes")
        size = int(header_length)
    try:
        asked: dict[str, Any] = json.loads(body[:size])
        tensor = next(one for one in asked["inputs"] if one["name"] == "AUDIO")
        kind = _TYPES[tensor["datatype"]]
        count = math.prod(operator.index(size) for size in tensor["shape"])
        parameters = tensor.get("parameters") or {}
        binary = parameters.get("binary_data_size")
        signal = (
            np.asarray(tensor["data"], kind).reshape(-1)
            if binary is None
            else np.frombuffer(body[size : size + int(binary)], kind)
        )
    except _NO_REQUEST:
        raise BadInputError("send one input AUDIO, INT16 or FP32, shape [n], 16 kHz mono") from None
    if signal.shape != (count,):
        raise BadInputError(f"AUDIO has {signal.size} samples, its shape says {count}")
    if kind == _TYPES["FP32"]:
        signal = np.clip(np.rint(np.nan_to_num(signal) * 32768.0), -32768, 32767)
    return asked, signal.astype(np.int16)


def write(asked: dict[str, Any], heard: Transcript, name: str) -> Response:
    """Write an answer, in the form the client wants."""
    wanted = asked.get("outputs") or []
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise BadInputError("outputs is a list of objects")
    names = [one.get("name") for one in wanted] or list(_OUTPUTS)
    is_binary = bool(_given(asked).get("binary_data_output")) or any(
        _given(one).get("binary_data") for one in wanted
    )
    outputs, tail = [], b""
    for output in names:
        if output not in _OUTPUTS:
            raise BadInputError(f"there is no output {output!r}; there are {', '.join(_OUTPUTS)}")
        described: dict[str, Any] = {"name": output, "shape": [1]}
        if output == "CONFIDENCE":
            confidence = heard.confidence if heard.confidence is not None else float("nan")
            described["datatype"] = "FP32"
            data, raw = [heard.confidence], np.float32(confidence).tobytes()
        else:
            text = heard.text if output == "TRANSCRIPT" else json.dumps(words_to(heard.words))
            described["datatype"] = "BYTES"
            encoded = text.encode()
            data, raw = [text], len(encoded).to_bytes(4, "little") + encoded  # type: ignore[list-item]
        if is_binary:
            described["parameters"] = {"binary_data_size": len(raw)}
            tail += raw
        else:
            described["data"] = data
        outputs.append(described)
    answer: dict[str, Any] = {"model_name": name, "model_version": "1", "outputs": outputs}
    if isinstance(asked.get("id"), str):
        answer["id"] = asked["id"]
    if not is_binary:
        return JSONResponse(answer)
    header = json.dumps(answer).encode()
    return Response(
        header + tail,
        media_type="application/octet-stream",
        headers={"Inference-Header-Content-Length": str(len(header))},
    )


def _parameters(asked: dict[str, Any], deadline_s: float) -> tuple[Options, float]:
    given = _given(asked)
    language, hints = (given.get(name) for name in ("language", "hints"))
    for name, value in (("language", language), ("hints", hints)):
        if value is not None and not isinstance(value, str):
            raise BadInputError(f"{name} is a text")
    timeout = given.get("timeout") or 0
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise BadInputError("timeout is a number of microseconds")
    # Triton counts microseconds; none, or 0, leaves it to the server.
    deadline_s = min(timeout / 1e6, deadline_s) if timeout else deadline_s
    names = tuple(hint.strip() for hint in (hints or "").split(",") if hint.strip())
    return Options(language, names), deadline_s


def _given(holder: dict[str, Any]) -> dict[str, Any]:
    parameters = holder.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadInputError("parameters is an object")
    return parameters
