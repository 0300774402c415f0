"""KServe v2: health, metadata, inference in JSON and in the binary form."""

import json

import numpy as np

from agent.parakeet.fake import transcript_of
from tests.parakeet.server import tone


def test_the_server_and_its_model_describe_themselves(plain):
    assert plain.http.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    model = plain.http.get("/v2/models/asr").json()
    assert model["inputs"] == [{"name": "AUDIO", "datatype": "INT16", "shape": [-1]}]
    assert plain.http.get("/v2/models/asr/ready").status_code == 200


def test_inference_in_json(plain):
    pcm = tone(1, seed=200)
    tensor = {"name": "AUDIO", "datatype": "INT16", "shape": [1, len(pcm)], "data": pcm.tolist()}
    answer = plain.http.post("/v2/models/asr/infer", json={"id": "7", "inputs": [tensor]}).json()
    outputs = {output["name"]: output["data"][0] for output in answer["outputs"]}
    assert answer["id"] == "7"
    assert outputs["TRANSCRIPT"] == transcript_of(pcm).text
    assert outputs["CONFIDENCE"] == 0.9
    assert [word["text"] for word in json.loads(outputs["WORDS"])] == outputs["TRANSCRIPT"].split()


def test_inference_in_binary_floats(plain):
    pcm = tone(1.5, seed=201)
    raw = (pcm.astype(np.float32) / 32768).tobytes()
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "AUDIO",
                    "datatype": "FP32",
                    "shape": [len(pcm)],
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "outputs": [{"name": "TRANSCRIPT", "parameters": {"binary_data": True}}],
        }
    ).encode()
    answer = plain.http.post(
        "/v2/models/asr/infer",
        content=header + raw,
        headers={"Inference-Header-Content-Length": str(len(header))},
    )
    size = int(answer.headers["inference-header-content-length"])
    described = json.loads(answer.content[:size])["outputs"]
    assert [output["name"] for output in described] == ["TRANSCRIPT"]
    text = answer.content[size:]
    assert int.from_bytes(text[:4], "little") == len(text) - 4
    assert text[4:].decode() == transcript_of(pcm).text


def test_wrong_requests_are_refused(plain):
    for body in (
        b"{",
        b"[]",
        b'{"inputs": []}',
        b'{"inputs": [{"name": "AUDIO"}]}',
        b'{"inputs":7}',
    ):
        answer = plain.http.post("/v2/models/asr/infer", content=body)
        assert answer.status_code == 400
        assert "AUDIO" in answer.json()["error"]
    tensor = {"name": "AUDIO", "datatype": "INT16", "shape": [3], "data": [1, 2]}
    answer = plain.http.post("/v2/models/asr/infer", json={"inputs": [tensor]})
    assert answer.status_code == 400
