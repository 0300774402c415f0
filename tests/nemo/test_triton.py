"""A real tritonserver, our model in it, our client before it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from agent.errors import SettingsError
from agent.parakeet import fake
from agent.parakeet.engine import Facts, Failure, FailureKind, NoSlotError, Options, Utterance
from agent.parakeet.nemo import open_engine as open_nemo
from agent.parakeet.tools import run as tools
from agent.parakeet.triton import open_engine
from agent.parakeet.triton.backend import passes, recognised
from agent.parakeet.triton.words import words_from, words_to
from tests.nemo import corpus
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]

SERVER = ROOT / "build" / "triton"
"""`make test-parakeet` puts NVIDIA's server here, and the NumPy 1 that its Python needs."""


@pytest.fixture(scope="module")
def backend_environment(tmp_path_factory):
    """An environment for Triton's own Python: NumPy 1 and this repository."""
    folder = tmp_path_factory.mktemp("backend") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    paths = "\n".join([str(ROOT), str(SERVER / "numpy")])
    (folder / "lib" / version / "site-packages" / "duplex.pth").write_text(paths)
    return folder


@pytest.fixture(scope="module")
def triton(checkpoints, backend_environment, tmp_path_factory):
    """The gRPC address of a server with the tiny model, exported as a user would."""
    folder = tmp_path_factory.mktemp("triton")
    arguments = [str(folder / "models"), "--model", str(checkpoints["tdt"]), "--device", "cpu"]
    arguments += ["--set", "threads=1", "--python", sys.executable, "--queue-delay", "0.05"]
    arguments += ["--backend-environment", str(backend_environment)]
    assert tools.run("export-triton", arguments) == 0

    server = SERVER / "server" / "pytriton" / "tritonserver"
    backend = folder / "backends" / "python"
    shutil.copytree(server / "backends" / "python", backend)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", backend)
    (backend / "triton_python_backend_stub").chmod(0o755)
    program = server / "bin" / "tritonserver"
    program.chmod(0o755)

    ports = {name: free_port() for name in ("http", "grpc", "metrics")}
    libraries = [SERVER / "server" / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
    command = [program, "--model-repository", folder / "models"]
    command += ["--backend-directory", folder / "backends"]
    command += [f"--{name}-port={port}" for name, port in ports.items()]
    command += [f"--{name}-address=127.0.0.1" for name in ("http", "grpc")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))},
        )
    try:
        yield f"127.0.0.1:{ports['grpc']}"
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        print((folder / "log").read_text(errors="replace")[-3000:])


def test_triton_says_what_the_model_says_alone(triton, checkpoints):
    settings = {"model": str(checkpoints["tdt"]), "device": "cpu", "threads": 1}
    direct = open_nemo(settings)
    direct.load()
    engine = open_engine({"url": triton, "ready_s": 400})
    facts = engine.load()
    assert (facts.engine, facts.slots) == ("triton", 0)

    utterances = [Utterance(corpus.speak(text).pcm) for text in corpus.training_sentences()[:16]]
    expected = [direct.transcribe([utterance]).results[0] for utterance in utterances]
    found = engine.transcribe(utterances).results

    for wanted, got in zip(expected, found, strict=True):
        assert wanted.text
        assert got.text == wanted.text
        assert [(word.text, word.start_sample, word.end_sample) for word in got.words] == [
            (word.text, word.start_sample, word.end_sample) for word in wanted.words
        ]
        assert got.confidence == pytest.approx(wanted.confidence, abs=1e-3)

    statistics = engine._client.get_inference_statistics("parakeet", as_json=True)
    (model,) = statistics["model_stats"]
    assert int(model["inference_count"]) == 16
    assert int(model["execution_count"]) < 16, "Triton's batcher brought none together"

    (refused,) = engine.transcribe([Utterance(utterances[0].pcm, Options(language="fr"))]).results
    assert refused == Failure(FailureKind.BAD_INPUT, "no language 'fr'; it knows en")
    with pytest.raises(NoSlotError):
        engine.open(1, Options())
    engine.close()
    direct.close()


def test_a_server_that_is_not_there_is_a_setting_to_fix():
    engine = open_engine({"url": f"127.0.0.1:{free_port()}", "ready_s": 0.3})
    with pytest.raises(SettingsError, match="is it Triton's gRPC port"):
        engine.load()


@pytest.mark.parametrize("config", [{"host": "x"}, {"max_batch": "8"}])
def test_a_wrong_setting_is_refused(config):
    with pytest.raises(SettingsError):
        open_engine(config)


def test_any_mix_is_answered_in_order_and_within_the_budget():
    engine = fake.open_engine({})
    lengths = [4000, 60 * 16_000, 8000, 0, 61 * 16_000, 4000, 30 * 16_000, 12_000]
    random = np.random.default_rng(0)
    utterances = [
        Utterance(random.integers(-3000, 3000, count).astype(np.int16)) for count in lengths
    ]
    facts = Facts("fake", "fake", "cpu", max_batch=3, max_batch_s=60, max_batch_s2=3600)
    sizes = []

    def transcribe(group):
        longest = max(len(one.pcm) for one in group) / 16_000
        sizes.append(len(group))
        assert len(group) * longest <= 60
        return engine.transcribe(group).results

    results = recognised(transcribe, facts, utterances)

    kinds = [result.kind if isinstance(result, Failure) else "text" for result in results]
    assert kinds == ["text", "text", "text", "bad_input", "too_long", "text", "text", "text"]
    for utterance, result in zip(utterances, results, strict=True):
        if not isinstance(result, Failure):
            assert result == engine.transcribe([utterance]).results[0]
    assert max(sizes) > 1


def test_passes_hold_everything_once():
    facts = Facts("fake", "fake", "cpu", max_batch=4, max_batch_s=10, max_batch_s2=50)
    pcms = [np.zeros(count, np.int16) for count in sorted(range(100, 90_000, 1700))]
    groups = passes(pcms, facts)
    assert [place for group in groups for place in group] == list(range(len(pcms)))


def test_words_survive_the_way():
    (result,) = fake.open_engine({}).transcribe([Utterance(np.full(9000, 900, np.int16))]).results
    assert words_from(words_to(result.words)) == result.words
    for text in ("[1]", '[{"text": "a"}]', "{"):
        with pytest.raises(ValueError):
            words_from(text)
