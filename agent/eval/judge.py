"""A language model as judge of a conversation: each criterion yes or no."""

import re
from collections.abc import Iterable

import openai
from loguru import logger

from agent.eval.scenario import JudgePart

_TASK = (
    "You judge a telephone conversation between a caller and an agent. "
    "Decide whether the statement is true of it. "
    'Answer with JSON alone: {"true": true} or {"true": false}.'
)
_VERDICT = re.compile(r'"true"\s*:\s*(true|false)\b')
"""The last one counts: models that think aloud try others before."""

_WITHIN_S = 60.0


async def judge(part: JudgePart, lines: Iterable[tuple[str, str]]) -> dict[str, bool | None]:
    """Ask about every criterion.

    Args:
        part: Who judges, and what.
        lines: The conversation: who spoke, and what was heard of it.

    Returns:
        By criterion, whether it is true; None where the model cannot be reached or gives no
        verdict, which the log explains: the rest of the score is worth having without it.
    """
    heard = "\n".join(f"{who}: {text}" for who, text in lines)
    key = part.key.get_secret_value() if part.key else "none"
    verdicts: dict[str, bool | None] = {}
    async with openai.AsyncOpenAI(base_url=part.url, api_key=key, timeout=_WITHIN_S) as client:
        for criterion in part.criteria:
            asked = f"{heard}\n\nStatement: {criterion}"
            try:
                answer = await client.chat.completions.create(
                    model=part.model,
                    temperature=0,
                    messages=[
                        {"role": "system", "content": _TASK},
                        {"role": "user", "content": asked},
                    ],
                )
            except openai.APIError as error:
                logger.error("the judge at {} did not answer: {}", part.url, error)
                verdicts[criterion] = None
                continue
            verdicts[criterion] = _verdict(answer.choices[0].message.content or "")
    return verdicts


def _verdict(text: str) -> bool | None:
    if found := _VERDICT.findall(text):
        return bool(found[-1] == "true")
    logger.error("the judge gave no verdict but {!r}; try a larger model", text[:80])
    return None
