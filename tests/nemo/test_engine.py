"""The engine on checkpoints that NeMo itself built, saved and restores."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from loguru import logger

from agent.asr.hypothesis import Word
from agent.parakeet.engine import (
    EndpointKind,
    Failure,
    FailureKind,
    NoSlotError,
    Options,
    Push,
    Utterance,
)
from agent.parakeet.nemo import open_engine
from agent.parakeet.nemo.decoding import CPU
from tests.nemo import corpus
from tests.nemo.corpus import RATE

FRAME = 1280


@pytest.fixture(scope="module")
def offline(checkpoints):
    engine = open_engine({"model": str(checkpoints["tdt"]), "device": "cpu", "threads": 1})
    engine.facts = engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def streaming(checkpoints):
    config = {"model": str(checkpoints["streaming"]), "device": "cpu", "threads": 1, "slots": 16}
    engine = open_engine(config)
    engine.facts = engine.load()
    yield engine
    engine.close()


def audio(text, before_s=0.2, after_s=0.3):
    return np.concatenate(
        [
            np.zeros(round(before_s * RATE), np.int16),
            corpus.speak(text).pcm,
            np.zeros(round(after_s * RATE), np.int16),
        ]
    )


def texts(batch):
    return [result.text for result in batch.results]


def errors_of(reference, said):
    """Words to insert, delete or replace."""
    row = list(range(len(said) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(said, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
    return row[-1]


def word_error_rate(pairs):
    pairs = [(wanted.split(), got.split()) for wanted, got in pairs]
    return sum(errors_of(*pair) for pair in pairs) / sum(len(wanted) for wanted, _ in pairs)


def test_it_understands_what_it_learnt(offline):
    sentences = corpus.training_sentences()
    heard = texts(offline.transcribe([Utterance(audio(sentence)) for sentence in sentences]))
    assert word_error_rate(zip(sentences, heard, strict=True)) < 0.05


def test_it_is_not_lost_on_sentences_it_never_heard(offline):
    heard = texts(offline.transcribe([Utterance(audio(text)) for text in corpus.HELD_OUT]))
    assert word_error_rate(zip(corpus.HELD_OUT, heard, strict=True)) < 0.4


def test_no_text_depends_on_its_batch(offline):
    random = np.random.default_rng(7)
    sentences = corpus.training_sentences()
    pool = [
        audio(sentences[random.integers(len(sentences))], *random.uniform(0, 2, 2))
        for _ in range(20)
    ]
    # Noise has no text to fall back on: a near tie would show.
    pool += [
        random.normal(0, 900, random.integers(1, 5 * RATE)).astype(np.int16) for _ in range(20)
    ]
    alone = [offline.transcribe([Utterance(pcm)]).results[0] for pcm in pool]

    for size in (2, 3, 7, 16, 32):
        for _ in range(3):
            chosen = random.permutation(len(pool))[:size]
            batch = offline.transcribe([Utterance(pool[place]) for place in chosen])
            for place, result in zip(chosen, batch.results, strict=True):
                assert result.text == alone[place].text
                assert spans(result.words) == spans(alone[place].words)
                assert confidences(result.words) == pytest.approx(
                    confidences(alone[place].words), abs=1e-3
                )


def spans(words):
    return [(word.text, word.start_sample, word.end_sample) for word in words]


def confidences(words):
    return [word.confidence for word in words]


def test_text_is_what_nemo_itself_would_say(offline, checkpoints):
    from nemo.collections.asr.models import ASRModel

    reference = ASRModel.restore_from(str(checkpoints["tdt"]), map_location="cpu").eval()
    signals = [audio(text).astype(np.float32) / 32768 for text in corpus.COMMANDS[:6]]
    expected = [found.text for found in reference.transcribe(signals, batch_size=6, verbose=False)]

    heard = texts(offline.transcribe([Utterance(audio(text)) for text in corpus.COMMANDS[:6]]))

    assert heard == expected


def test_words_stand_where_they_were_spoken(offline):
    checked = 0
    for text in corpus.COMMANDS[:8]:
        clip = corpus.speak(text)
        (result,) = offline.transcribe([Utterance(clip.pcm)]).results
        assert isinstance(result.words[0], Word)
        if result.text != text:
            continue
        for word, (_, start, end) in zip(result.words, clip.words, strict=True):
            # One encoder frame is 80 ms; the model was told the middle of each piece.
            assert word.start_sample < end + FRAME
            assert word.end_sample > start - FRAME
            checked += 1
    assert checked > 20


def test_a_sample_and_silence_are_answered(offline):
    pcms = [np.zeros(1, np.int16), np.zeros(3 * RATE, np.int16), np.full(900, 32767, np.int16)]
    batch = offline.transcribe([Utterance(pcm) for pcm in pcms])
    assert len(batch.results) == 3
    for pcm, result in zip(pcms, batch.results, strict=True):
        assert all(word.end_sample <= len(pcm) for word in result.words)


def test_words_only_for_those_who_ask(offline):
    (result,) = offline.transcribe([Utterance(audio("play music"), Options(words=False))]).results
    assert (result.text, result.words) == ("play music", ())


def test_a_language_it_does_not_know_fails_alone(offline):
    french = Utterance(audio("yes please"), Options(language="fr"))
    english = Utterance(audio("play music"), Options(language="en"))
    refused, heard = offline.transcribe([french, english]).results
    assert refused == Failure(FailureKind.BAD_INPUT, "no language 'fr'; it knows en")
    assert heard.text == "play music"


def test_an_offline_model_has_no_streams(offline):
    assert offline.facts.slots == 0
    with pytest.raises(NoSlotError, match="whole utterances"):
        offline.open(1, Options())


def test_the_token_loop_may_run_on_another_device_than_the_encoder(offline, monkeypatch):
    expected = texts(offline.transcribe([Utterance(audio("play music"))]))
    utterances, decoder = offline._utterances, offline._decoder
    encoded, lengths, _ = utterances.encode([Utterance(audio("play music"))])

    # This machine has one device; the accelerator's missing kernel is the only thing made up.
    decoder.device = torch.device("meta")
    real, failures = decoder._decode, []

    def without_kernel(*arguments):
        if decoder.device != CPU:
            failures.append(decoder.device)
            raise NotImplementedError("Could not run 'aten::_thnn_fused_lstm_cell'")
        return real(*arguments)

    monkeypatch.setattr(decoder, "_decode", without_kernel)
    decoder.settle(encoded, lengths)

    assert len(failures) == 1
    assert decoder.device == CPU
    assert texts(offline.transcribe([Utterance(audio("play music"))])) == expected


def test_on_an_npu_the_token_loop_goes_to_the_cpu_and_a_line_says_so(monkeypatch):
    """No NPU is at hand: its name is made up, and nothing is loaded."""
    engine = open_engine({"model": "any.nemo", "device": "npu"})
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", level="INFO")
    try:
        monkeypatch.setattr(engine, "_device", SimpleNamespace(type="npu"), raising=False)
        assert engine._decoder_device() == CPU
        assert any("token loop on the CPU" in line for line in lines)
        # Who names a device has it.
        monkeypatch.setattr(engine, "_settings", replace(engine._settings, decoder_device="cpu"))
        lines.clear()
        assert engine._decoder_device() == CPU
        assert not lines
    finally:
        logger.remove(sink)


def test_out_of_memory_is_told_apart_and_survived(checkpoints):
    """In a process whose address space really ends."""
    script = f"""
        import resource, numpy as np
        from agent.parakeet.engine import OutOfMemoryError, Utterance
        from agent.parakeet.nemo import open_engine
        from agent.parakeet.worker import recognise
        model = {str(checkpoints["tdt"])!r}
        engine = open_engine({{"model": model, "device": "cpu", "threads": 1}})
        engine.load()
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + (300 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        noise = np.random.default_rng(0).normal(0, 500, 60 * 16000).astype(np.int16)
        batch = [Utterance(noise)] * 8
        try:
            engine.transcribe(batch)
        except OutOfMemoryError:
            print("typed")
        whole = recognise(engine, batch)
        alone = engine.transcribe(batch[:1]).results[0].text
        print(whole.out_of_memory > 0, [found.text for found in whole.results] == [alone] * 8)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["typed", "True", "True"], done.stderr[-2000:]


def test_memory_of_a_pass_stays_within_its_estimate(offline, checkpoints):
    from agent.parakeet.nemo.budget import bytes_per_s, bytes_per_s2
    from agent.parakeet.nemo.checkpoint import shape

    encoder = shape(offline._model, 4)
    for count, length_s in ((16, 4), (4, 40)):
        noise = np.random.default_rng(0).normal(0, 500, length_s * RATE).astype(np.int16)
        with torch.profiler.profile(profile_memory=True) as profile:
            offline.transcribe([Utterance(noise)] * count)
        peak = most_allocated(profile)
        estimate = count * length_s * bytes_per_s(encoder)
        estimate += count * length_s**2 * bytes_per_s2(encoder)
        # Never less than what was taken, and not so much more that memory stays unused.
        assert peak <= estimate <= 6 * peak


def most_allocated(profile):
    """Highest sum of what the allocator gave and had not yet taken back."""
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def stream_all(engine, pcms, chunk, first=0):
    """Push all streams side by side, `chunk` samples at a time; all updates of each."""
    updates = [[] for _ in pcms]
    for number in range(len(pcms)):
        engine.open(first + number, Options())
    for start in range(0, max(map(len, pcms)), chunk):
        pushes = [
            Push(first + number, pcm[start : start + chunk], start + chunk >= len(pcm))
            for number, pcm in enumerate(pcms)
            if start < len(pcm)
        ]
        for push, update in zip(pushes, engine.push(pushes), strict=True):
            if update is not None:
                updates[push.stream - first].append(update)
    return updates


def test_a_stream_grows_into_its_final(streaming):
    (updates,) = stream_all(streaming, [audio("turn off the kitchen light", after_s=1.0)], 1600)

    partials = [update.transcript.text for update in updates]
    assert partials[-1] == "turn off the kitchen light"
    assert all(later.startswith(earlier) for earlier, later in pairwise(partials))
    assert len(set(partials)) >= 3, "text must come while it is spoken"
    assert [update.is_final for update in updates] == [False] * (len(updates) - 1) + [True]
    through = [update.through_sample for update in updates]
    assert through == sorted(through)


def test_streams_understand_what_they_learnt(streaming):
    sentences = corpus.training_sentences()[:16]
    updates = stream_all(streaming, [audio(text, after_s=1.0) for text in sentences], 2560)
    heard = [found[-1].transcript.text for found in updates]
    assert word_error_rate(zip(sentences, heard, strict=True)) < 0.1


def test_the_end_of_a_turn_is_an_event_and_no_text(streaming):
    turn, nod = stream_all(
        streaming,
        [audio("turn off the kitchen light", after_s=1.2), audio("okay", after_s=1.2)],
        1600,
    )

    assert [end.kind for update in turn for end in update.endpoints] == [EndpointKind.EOU]
    assert [end.kind for update in nod for end in update.endpoints] == [EndpointKind.EOB]
    assert not any("<" in update.transcript.text for update in (*turn, *nod))
    spoken = len(audio("turn off the kitchen light", after_s=0.0))
    (end,) = (end for update in turn for end in update.endpoints)
    assert spoken < end.sample < spoken + RATE


def test_chunks_and_company_change_nothing(streaming):
    random = np.random.default_rng(3)
    sentences = corpus.training_sentences()
    pcms = [
        audio(sentences[random.integers(len(sentences))], *random.uniform(0, 1, 2))
        for _ in range(12)
    ]
    pcms += [random.normal(0, 900, random.integers(1, 3 * RATE)).astype(np.int16) for _ in range(4)]
    alone = [stream_all(streaming, [pcm], len(pcm))[0][-1].transcript for pcm in pcms]

    for chunk in (517, 1600, 4801, 48_000):
        together = stream_all(streaming, pcms, chunk, first=100)
        for number, updates in enumerate(together):
            assert spans(updates[-1].transcript.words) == spans(alone[number].words)


def test_streams_at_different_places_change_nothing(streaming):
    early, late = audio("play music in the kitchen"), audio("set a timer for two minutes")
    expected = [stream_all(streaming, [pcm], 1600)[0][-1].transcript.text for pcm in (early, late)]

    streaming.open(1, Options())
    streaming.push([Push(1, early[:9000])])
    streaming.open(2, Options())
    streaming.push([Push(2, late[:3001]), Push(1, early[9000:11_000])])
    finals = streaming.push([Push(1, early[11_000:], True), Push(2, late[3001:], True)])

    assert [update.transcript.text for update in finals] == expected


def test_slots_are_free_after_a_thousand_streams(streaming):
    speech = audio("play music")
    for number in range(1000):
        streaming.open(number, Options())
        if number % 50 == 0:
            streaming.push([Push(number, speech[:4000])])
        streaming.abort(number)
    for number in range(streaming.facts.slots):
        streaming.open(number, Options())
    with pytest.raises(NoSlotError, match="all 16 streams"):
        streaming.open(99, Options())
    for number in range(streaming.facts.slots):
        streaming.abort(number)
    streaming.abort(12345)


def test_an_empty_last_push_ends_a_stream(streaming):
    streaming.open(1, Options())
    assert streaming.push([Push(1, np.zeros(0, np.int16), True)])[0].is_final
    assert isinstance(streaming.push([Push(1, np.zeros(10, np.int16))])[0], Failure)


def test_less_lookahead_answers_in_smaller_steps(checkpoints):
    config = {"model": str(checkpoints["streaming"]), "device": "cpu", "lookahead": 0, "threads": 1}
    engine = open_engine(config)
    assert engine.load().chunk_samples == FRAME
    (updates,) = stream_all(engine, [audio("play music", after_s=1.0)], 1600)
    assert updates[-1].is_final
    engine.close()


def test_an_unknown_lookahead_names_those_there_are(checkpoints):
    from agent.errors import SettingsError

    config = {"model": str(checkpoints["streaming"]), "device": "cpu", "lookahead": 5}
    with pytest.raises(SettingsError, match=r"lookahead 5: this checkpoint knows \[0, 1\]"):
        open_engine(config).load()
