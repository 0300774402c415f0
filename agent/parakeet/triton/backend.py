"""What runs inside Triton: one worker behind its Python backend.

Triton calls `initialize`, `execute` and `finalize` of one instance on one thread. Its dynamic
batcher brings requests together; here they are cut to what the device can hold, and the answers go
back one by one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.parakeet.engine import (
    Facts,
    Failure,
    FailureKind,
    Options,
    Transcript,
    Utterance,
)
from agent.parakeet.triton.child import Worker
from agent.parakeet.triton.words import words_to


class TritonPythonModel:
    """The class Triton looks for; ``pb_utils`` exists only inside its process."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Start the worker that ``config.pbtxt`` names."""
        parameters = json.loads(args["model_config"])["parameters"]
        config = json.loads(parameters["engine"]["string_value"])
        if args["model_instance_kind"] == "GPU":
            config["device"] = f"cuda:{args['model_instance_device_id']}"
        self._worker = Worker(
            parameters["python"]["string_value"], parameters["factory"]["string_value"], config
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer what the batcher brought together."""
        import triton_python_backend_utils as pb_utils

        utterances = [_utterance(pb_utils, request) for request in requests]
        responses = []
        for result in recognised(self._worker.transcribe, self._worker.facts, utterances):
            if isinstance(result, Failure):
                error = pb_utils.TritonError(f"{result.kind}: {result.message}")
                responses.append(pb_utils.InferenceResponse(output_tensors=[], error=error))
                continue
            tensors = [pb_utils.Tensor(name, array) for name, array in outputs(result).items()]
            responses.append(pb_utils.InferenceResponse(output_tensors=tensors))
        return responses

    def finalize(self) -> None:
        """Free the device."""
        self._worker.close()


def _utterance(pb_utils: Any, request: Any) -> Utterance:
    audio = pb_utils.get_input_tensor_by_name(request, "AUDIO").as_numpy()
    given = json.loads(request.parameters() or "{}")
    return Utterance(audio.reshape(-1), options_of(given))


def options_of(given: Mapping[str, Any]) -> Options:
    """A request's parameters: ``language``, and ``hints`` separated by commas."""
    language = given.get("language")
    hints = str(given.get("hints") or "").split(",")
    return Options(
        language if isinstance(language, str) and language else None,
        tuple(hint.strip() for hint in hints if hint.strip()),
    )


def outputs(result: Transcript) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of one answer, shape (1, 1) each; no confidence is NaN."""
    confidence = np.nan if result.confidence is None else result.confidence
    return {
        "TRANSCRIPT": np.array([[result.text.encode()]], np.object_),
        "CONFIDENCE": np.array([[confidence]], np.float32),
        "WORDS": np.array([[words_to(result.words).encode()]], np.object_),
    }


def recognised(
    transcribe: Callable[[Sequence[Utterance]], Sequence[Transcript | Failure]],
    facts: Facts,
    utterances: Sequence[Utterance],
) -> list[Transcript | Failure]:
    """Recognise any number of utterances, of any lengths, in passes the device can hold.

    Raises:
        DeviceLostError: Triton must restart the instance.
    """
    results: list[Transcript | Failure] = [
        Failure(FailureKind.TOO_LONG, f"at most {facts.max_utterance_s:.0f} s")
    ] * len(utterances)
    fitting = [
        place
        for place, utterance in enumerate(utterances)
        if 0 < len(utterance.pcm) <= facts.max_utterance_s * SAMPLE_RATE
    ]
    for place, utterance in enumerate(utterances):
        if not len(utterance.pcm):
            results[place] = Failure(FailureKind.BAD_INPUT, "no audio")
    # Neighbours in length share a pass, so that little of it is padding.
    fitting.sort(key=lambda place: len(utterances[place].pcm))
    for group in passes([utterances[place].pcm for place in fitting], facts):
        places = [fitting[index] for index in group]
        done = transcribe([utterances[place] for place in places])
        for place, result in zip(places, done, strict=True):
            results[place] = result
    return results


def passes(pcms: Sequence[Int16Array], facts: Facts) -> list[list[int]]:
    """Cut a list, sorted by length, into passes within the device's limits."""
    groups: list[list[int]] = []
    for index, pcm in enumerate(pcms):
        length_s = len(pcm) / SAMPLE_RATE
        count = len(groups[-1]) + 1 if groups else 0
        fits = (
            groups
            and count <= max(1, facts.max_batch)
            and count * length_s <= facts.max_batch_s
            and count * length_s**2 <= facts.max_batch_s2
        )
        if fits:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
