"""The weights set-up brought to this machine are whole, and the repacked language model talks."""

import httpx
import pytest

from agent.models import store
from agent.models.catalog import CATALOG

pytestmark = pytest.mark.model


def require(name: str) -> None:
    if not store.is_present(name):
        pytest.skip(f"{name} is not on this machine; run: duplex models fetch {name}")


@pytest.mark.parametrize("name", [model.name for model in CATALOG.values() if model.by_default])
def test_every_byte_is_right(name: str) -> None:
    require(name)
    directory = store.verify(name)
    assert all((directory / file).stat().st_size > 0 for file in CATALOG[name].finished)


def test_sizes_in_the_catalogue_are_those_on_disk() -> None:
    for model in CATALOG.values():
        if store.is_present(model.name):
            directory = store.locate(model.name)
            size = sum((directory / file).stat().st_size for file in model.finished)
            # Conversions follow the library's version, so a few per cent are no error.
            assert size == pytest.approx(model.finished_bytes, rel=0.05), model.name


@pytest.mark.parametrize(
    ("question", "answer"),
    [("What is the capital of France?", "paris"), ("What is two plus three?", "five")],
)
def test_the_repacked_language_model_answers(question: str, answer: str) -> None:
    require("qwen2.5-coder-0.5b")
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(store.locate("qwen2.5-coder-0.5b") / "model.gguf")
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 2
    parameters.port = 0
    parameters.use_jinja = True
    server = xllamacpp.Server(parameters)
    messages = [
        {"role": "system", "content": "Answer in one short sentence."},
        {"role": "user", "content": question},
    ]
    reply = httpx.post(
        f"{server.listening_address}/v1/chat/completions",
        json={"messages": messages, "temperature": 0, "max_tokens": 30},
        timeout=300,
    )
    assert answer in reply.json()["choices"][0]["message"]["content"].lower()
