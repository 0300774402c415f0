"""An interview: fixed questions, one follow-up of the model's own to each, and an end.

python pipelines/interviewer.py
"""

from dataclasses import dataclass, field

from agent import Agent, Conversation, End, Flow, HandOver, serve

QUESTIONS = (
    "What are you working on at the moment?",
    "What was the hardest part of it?",
    "What would you do differently?",
)
FOLLOW_UP = "Ask one short question about what was just said. Do not praise it."


@dataclass
class Interview:
    answers: list[str] = field(default_factory=list)


flow = Flow(Interview)
host = Agent("You thank people for an interview and answer what they ask about it.")


@flow.step(start=True)
async def begin(call: Conversation[Interview]):
    ready = await call.confirm("Shall we begin?")
    return interview if ready else End("Another time, then. Goodbye.")


@flow.step
async def interview(call: Conversation[Interview]):
    for question in QUESTIONS:
        answer = await call.ask(question)
        if answer is None:
            return End("I can't hear you any more. Goodbye.")
        more = await call.improvise(FOLLOW_UP)
        call.state.answers.append(f"{answer} {more or ''}".strip())
    print("\n".join(call.state.answers), flush=True)
    return HandOver(host, "That was my last question. Is there anything you want to ask?")


agent = Agent("You are an interviewer.", greeting="Hello, thank you for coming.", flow=flow)

if __name__ == "__main__":
    serve(agent)
