"""A receptionist who books tables and transfers calls, each only after a yes.

python pipelines/receptionist.py
"""

import datetime

from agent import Agent, Conversation, serve

agent = Agent(
    "You are the receptionist of the restaurant Linden, open from five to eleven every evening.",
    greeting="Restaurant Linden, good evening. How can I help?",
)
book: dict[datetime.date, int] = {}


@agent.tool(confirm="Shall I book a table for {guests} on {day:%A, the %d of %B}?")
async def book_table(day: datetime.date, guests: int) -> str:
    """Book a table. Ask for the day and the number of guests first.

    Args:
        day: Of the visit, as YYYY-MM-DD.
        guests: How many people.
    """
    if book.get(day, 0) + guests > 20:
        return "all tables are taken on that day"
    book[day] = book.get(day, 0) + guests
    return "booked"


@agent.tool(cancel_safe=True, filler="One moment, I am looking.")
async def free_seats(day: datetime.date) -> int:
    """Look up how many seats are free on a day."""
    return 20 - book.get(day, 0)


@agent.tool(confirm="Shall I connect you with the manager?", apology="Sorry, I can't connect you.")
async def fetch_manager(call: Conversation) -> None:
    """Transfer the call to the manager."""
    await call.transfer("+493012345", "I connect you. Goodbye.")


settings = {"phone": {"transfer_to": ["+493012345"]}}

if __name__ == "__main__":
    serve(agent, settings=settings)
