"""Takes down an address: waits while it is dictated, reads it back, and asks until it is right.

python pipelines/dictation.py
"""

from dataclasses import dataclass

from agent import Agent, Conversation, Digits, Email, End, Flow, Text, YesNo, serve


@dataclass
class Address:
    street: str | None = None
    postcode: str | None = None
    mail: str | None = None


flow = Flow(Address)


@flow.step(start=True)
async def street(call: Conversation[Address]):
    call.state.street = await call.collect("What is your street and house number?", Text())
    return postcode


@flow.step
async def postcode(call: Conversation[Address]):
    call.state.postcode = await call.collect("And your postcode? It has five digits.", Digits(5))
    return mail


@flow.step
async def mail(call: Conversation[Address]):
    call.state.mail = await call.collect("Please spell your e-mail address.", Email())
    return confirm


@flow.step
async def confirm(call: Conversation[Address]):
    address = call.state
    if None in (address.street, address.postcode, address.mail):
        return End("I did not get all of it. Please write to us instead. Goodbye.")
    digits = ", ".join(address.postcode)
    line = f"I have {address.street}, {digits}, and {address.mail}. Is that right?"
    return done if await call.collect(line, YesNo()) else street


@flow.step
async def done(call: Conversation[Address]):
    print(call.state, flush=True)
    return End("Thank you, goodbye.")


agent = Agent(greeting="Hello, I take down your address.", flow=flow)

if __name__ == "__main__":
    serve(agent)
