"""A language model as judge of a conversation: each criterion yes or no."""

import json
from collections.abc import Iterable

import openai

from agent.errors import DegradedError
from agent.eval.scenario import JudgePart

_TASK = (
    "You judge a telephone conversation between a caller and an agent. "
    "Decide whether the statement is true of it. "
    'Answer with JSON alone: {"true": true} or {"true": false}.'
)
_WITHIN_S = 60.0


async def judge(part: JudgePart, lines: Iterable[tuple[str, str]]) -> dict[str, bool]:
    """Ask about every criterion.

    Args:
        part: Who judges, and what.
        lines: The conversation: who spoke, and what was heard of it.

    Raises:
        DegradedError: The model cannot be reached, or gives no verdict.
    """
    heard = "\n".join(f"{who}: {text}" for who, text in lines)
    key = part.key.get_secret_value() if part.key else "none"
    verdicts = {}
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
                raise DegradedError(f"the judge at {part.url} did not answer: {error}") from error
            verdicts[criterion] = _verdict(answer.choices[0].message.content or "")
    return verdicts


def _verdict(text: str) -> bool:
    start, end = text.find("{"), text.rfind("}")
    try:
        told = json.loads(text[start : end + 1])
        verdict = told["true"]
    except (ValueError, KeyError, TypeError):
        verdict = None
    if not isinstance(verdict, bool):
        raise DegradedError(f"the judge gave no verdict but {text[:80]!r}; try a larger model")
    return verdict
