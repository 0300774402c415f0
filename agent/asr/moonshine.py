"""Moonshine on the CPU: one stretch of speech in, text with word times out.

The graphs are those `agent.models.moonshine_graph` made. Decoding is greedy; a draft, the tokens
of an earlier pass over the same speech, is checked in one step of the decoder instead of one step
a token, which is what makes partial results cheap.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from agent.asr.alignment import monotonic_path, trim_quiet
from agent.asr.counting import counted_on
from agent.asr.greedy import BEGIN, END, GreedyDecoding, Stop
from agent.asr.hypothesis import Word
from agent.audio.chunk import SAMPLE_RATE, Float32Array
from agent.errors import AudioFormatError, MissingModelError
from agent.models.moonshine_graph import CROSS_ATTENTION, DECODER_FIRST, DECODER_NEXT, ENCODER

TOKENIZER = "tokenizer.json"
FRAME_SAMPLES = 384
"""Samples one encoder frame stands for: strides 64, 3 and 2 of its three convolutions."""

LEAST_SAMPLES = SAMPLE_RATE // 10
"""Shorter speech is no word, and under 0.05 s the encoder's convolutions have nothing to do."""

MOST_SAMPLES = 60 * SAMPLE_RATE
"""Longer is refused: the model has learnt nothing of it, and its memory grows with the square."""

SILENCE_RMS = 1e-4
"""-80 dBFS, under any microphone's noise: nothing louder is called silent here, for telling speech
from noise is the work of the voice activity model."""

TAIL_SAMPLES = SAMPLE_RATE // 20
"""Silence put behind the audio. Audio cut while someone speaks, which every partial is, makes the
model say its text twice: of 120 cuts 8 with base and 5 with tiny, with this tail 0 and 1."""

REOPENED_WORDS = 2
REOPENED_CONFIDENCE = 0.6
REOPENED_FIRST = 0.04
"""Of speech cut short, and of nearly half of the numbers that are read out slowly, base says that
there is none. Made to go on it is believed from two words on if they are likely, or if it half
heard the first: of speech cut short the words are worth 0.7 or more, whatever its first token (down
to 0); of numbers the first token has 0.047 or more, whatever they are worth. In noise the same give
one word ("You"), or at most 0.55 and 0.028 (924 pieces of eleven kinds). A number counts by its
digits: one word to look at ("876-232") may be six to say. Tiny errs the other way: it hears words
in noise."""

TOKENS_PER_SECOND = 8
SPARE_TOKENS = 8
"""The longest text believed of a stretch of audio. The fastest speakers reach about 6 tokens a
second; eight-bit decoders have been seen to run on to the end of their cache."""

_WORD_START = "▁"

_SPOKEN = re.compile(r"\d|[^\W\d]+")
"""A digit or a word."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was recognised in one stretch of audio.

    Attributes:
        text: The words joined by spaces.
        words: Sample positions count from the first sample of the stretch.
        word_tokens: The tokens of each word; joined they are fit to be the next pass's draft.
        probabilities: Of each token, as the model gave it.
        stop: Why decoding ended.
    """

    text: str
    words: tuple[Word, ...]
    word_tokens: tuple[tuple[int, ...], ...]
    probabilities: tuple[float, ...]
    stop: Stop

    @property
    def tokens(self) -> tuple[int, ...]:
        """All words' tokens, without the begin and end marks."""
        return tuple(chain.from_iterable(self.word_tokens))

    @property
    def confidence(self) -> float:
        """Geometric mean of the tokens' probabilities; 0 without tokens."""
        return _geometric_mean(self.probabilities)


class Moonshine:
    """One set of weights, shared by every conversation of the process.

    `transcribe` keeps no state, and ONNX Runtime sessions may run from several threads at once.
    """

    def __init__(self, model_dir: Path) -> None:
        """Load the graphs and the tokenizer.

        Args:
            model_dir: Holds the three repaired graphs and `TOKENIZER`.

        Raises:
            MissingModelError: One of them is absent.
        """
        for name in (ENCODER, DECODER_FIRST, DECODER_NEXT, TOKENIZER):
            if not (model_dir / name).is_file():
                raise MissingModelError(f"{model_dir / name} is absent; run `duplex models`")
        self._encoder = _session(model_dir / ENCODER)
        self._first = _session(model_dir / DECODER_FIRST)
        self._next = _session(model_dir / DECODER_NEXT)
        self._first_outputs = [output.name for output in self._first.get_outputs()]
        self._next_outputs = [output.name for output in self._next.get_outputs()]
        self._tokenizer = Tokenizer.from_file(str(model_dir / TOKENIZER))

    def transcribe(
        self, signal: Float32Array, draft: Sequence[int] = (), forced: int = 0
    ) -> Transcript:
        """Recognise one stretch of speech; best under 15 s, what the model was trained on.

        Args:
            signal: Mono samples in [-1, 1), shape (n,), float32, 16 kHz. Samples that are not
                finite count as silence.
            draft: Tokens guessed to come first, for instance those of a pass over less of the
                same speech. A wrong draft costs a little time. It can change a word only where two
                were nearly as likely: products of many tokens are rounded by a common scale.
            forced: How many tokens of the draft stand whatever the model thinks, because they
                were settled by a pass that heard more.

        Returns:
            The text; empty for less than `LEAST_SAMPLES` or for silence.

        Raises:
            AudioFormatError: Wrong dtype, more than one dimension, or over `MOST_SAMPLES`.
        """
        if signal.dtype != np.float32 or signal.ndim != 1 or len(signal) > MOST_SAMPLES:
            raise AudioFormatError(
                f"expected mono float32 of at most {MOST_SAMPLES} samples, got {signal.dtype} of "
                f"shape {signal.shape}; StreamingMoonshine takes any length"
            )
        signal = np.nan_to_num(signal, nan=0.0, posinf=0.0, neginf=0.0)
        if len(signal) < LEAST_SAMPLES or _rms(signal) < SILENCE_RMS:
            return Transcript("", (), (), (), Stop.NO_SPEECH)
        encoded = self._encode(signal)
        most_tokens = SPARE_TOKENS + len(signal) * TOKENS_PER_SECOND // SAMPLE_RATE
        decoding = self._decode(encoded, draft, forced, GreedyDecoding(most_tokens))
        if not decoding.tokens:
            reopened = self._decode(encoded, draft, 0, GreedyDecoding(most_tokens, must_speak=True))
            transcript = self._transcript(reopened, signal)
            if _is_believed(transcript):
                return transcript
        return self._transcript(decoding, signal)

    def log_likelihoods(
        self, signal: Float32Array, alternatives: Sequence[Sequence[int]]
    ) -> list[float]:
        """How likely the model thinks each text is to be all that is said.

        Args:
            signal: As for `transcribe`; at least `LEAST_SAMPLES`.
            alternatives: Tokens of each text, without begin and end marks.

        Returns:
            Natural logarithm of each text's probability, its end included.
        """
        encoded = self._encode(signal)
        return [self._log_likelihood(encoded, tokens) for tokens in alternatives]

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """Spell a text in the model's tokens, as it would stand behind another word."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _encode(self, signal: Float32Array) -> Float32Array:
        padded = np.concatenate((signal, np.zeros(TAIL_SAMPLES, np.float32)))
        encoded: Float32Array
        (encoded,) = self._encoder.run(["last_hidden_state"], {"input_values": padded[None]})
        return encoded

    def _log_likelihood(self, encoded: Float32Array, tokens: Sequence[int]) -> float:
        (logits,) = self._first.run(
            ["logits"],
            {"input_ids": np.array([[BEGIN, *tokens]], np.int64), "encoder_hidden_states": encoded},
        )
        scores = logits[0] - logits[0].max(axis=-1, keepdims=True)
        chosen = np.array([*tokens, END])
        taken = scores[np.arange(len(chosen)), chosen]
        return float((taken - np.log(np.exp(scores).sum(axis=-1))).sum())

    def _decode(
        self, encoded: Float32Array, draft: Sequence[int], forced: int, decoding: GreedyDecoding
    ) -> GreedyDecoding:
        cache = self._check_draft(encoded, draft, forced, decoding)
        while decoding.stop is None:
            cache = self._step(cache, decoding)
        return decoding

    def _check_draft(
        self, encoded: Float32Array, draft: Sequence[int], forced: int, decoding: GreedyDecoding
    ) -> dict[str, Float32Array]:
        """Read the draft as far as the model agrees with it, and one token further."""
        draft = list(draft)[: decoding.most_tokens]
        outputs = self._first.run(
            self._first_outputs,
            {"input_ids": np.array([[BEGIN, *draft]], np.int64), "encoder_hidden_states": encoded},
        )
        named = dict(zip(self._first_outputs, outputs, strict=True))
        logits, attention = named["logits"][0], named[CROSS_ATTENTION][0, 0]
        agreed = 0
        while agreed < len(draft) and decoding.stop is None:
            token = int(draft[agreed])
            if agreed >= forced and token != decoding.likeliest(logits[agreed]):
                break
            decoding.append(logits[agreed], attention[agreed], token)
            agreed += 1
        decoding.append(logits[agreed], attention[agreed])
        cache = {}
        for name, value in named.items():
            if name.startswith("present."):
                # What the cache holds of the refused part of the draft is cut off.
                kept = value[:, :, : agreed + 1] if ".decoder." in name else value
                cache[name.replace("present.", "past_key_values.")] = kept
        return cache

    def _step(
        self, cache: dict[str, Float32Array], decoding: GreedyDecoding
    ) -> dict[str, Float32Array]:
        outputs = self._next.run(
            self._next_outputs,
            {"input_ids": np.array([[decoding.tokens[-1]]], np.int64), **cache},
        )
        named = dict(zip(self._next_outputs, outputs, strict=True))
        decoding.append(named["logits"][0, -1], named[CROSS_ATTENTION][0, 0, -1])
        for name, value in named.items():
            if name.startswith("present."):
                cache[name.replace("present.", "past_key_values.")] = value
        return cache

    def _transcript(self, decoding: GreedyDecoding, signal: Float32Array) -> Transcript:
        """Group the tokens into words and place these in the audio."""
        tokens, length = decoding.tokens, len(signal)
        # The row that gave the end mark, if any, claims the quiet after the last word.
        starts = monotonic_path(np.stack(decoding.attention)) * FRAME_SAMPLES
        bounds = [*np.minimum(starts, length).tolist(), length]
        spelled = [self._tokenizer.id_to_token(token) or "" for token in tokens]
        heads = [i for i, piece in enumerate(spelled) if i == 0 or piece.startswith(_WORD_START)]
        words = []
        word_tokens = []
        for head, after in pairwise([*heads, len(tokens)]):
            text = self._tokenizer.decode(tokens[head:after]).strip()
            # Without a letter or digit it is no word: the model writes a note for music and hum.
            if any(letter.isalnum() for letter in text):
                word_tokens.append(tuple(tokens[head:after]))
                confidence = _geometric_mean(decoding.probabilities[head:after])
                start, end = trim_quiet(signal, bounds[head], bounds[after])
                words.append(Word(text, start, end, confidence))
        said = len(words) - counted_on(words)
        del words[said:], word_tokens[said:]
        return Transcript(
            " ".join(word.text for word in words),
            tuple(words),
            tuple(word_tokens),
            tuple(decoding.probabilities),
            decoding.stop or Stop.END,
        )


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only
    # One thread a session: two were slower on such small products, and a pool that spins between
    # them takes the processor from the conversations beside this one.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _rms(signal: Float32Array) -> float:
    return float(np.sqrt(np.mean(np.square(signal - signal.mean()))))


def _is_believed(reopened: Transcript) -> bool:
    """Whether there was speech where the model first said that there was none."""
    if len(_SPOKEN.findall(reopened.text)) < REOPENED_WORDS:
        return False
    is_half_heard = reopened.probabilities[0] >= REOPENED_FIRST
    return is_half_heard or reopened.confidence >= REOPENED_CONFIDENCE


def _geometric_mean(probabilities: Sequence[float]) -> float:
    if not probabilities:
        return 0.0
    return float(np.exp(np.mean(np.log(np.maximum(probabilities, 1e-10)))))
