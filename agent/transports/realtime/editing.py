"""The conversation's items as the client edits them: added, looked at, cut, taken out. Pure."""

from collections.abc import Callable

from agent.transports.realtime.commands import (
    AddMessage,
    CallResult,
    Command,
    ForgetCall,
    Interrupt,
    Rewrite,
)
from agent.transports.realtime.events import Event, EventError
from agent.transports.realtime.items import Item, Items, read_item


class Editing:
    """Carries out the client's events about items, here and in the context. Pure."""

    def __init__(
        self,
        items: Items,
        send: Callable[[Event], None],
        command: Callable[[Command], None],
        speaking: Callable[[], Item | None],
    ) -> None:
        """Begin with the items there are.

        Args:
            items: Of the conversation.
            send: Takes events.
            command: Takes what the pipeline is to do.
            speaking: Returns the message that is being said.
        """
        self._items = items
        self._send = send
        self._command = command
        self._speaking = speaking
        self._live_calls: set[str] = set()
        self._pending_results: set[str] = set()
        self._cuts: dict[str, int] = {}

    @property
    def awaits_result(self) -> bool:
        """Whether an output the client has sent is not in the context yet."""
        return bool(self._pending_results)

    def called(self, call_id: str) -> None:
        """The language model has called a function of the client's, and waits for its output."""
        self._live_calls.add(call_id)

    def result_stored(self, call_id: str) -> None:
        """The output of a call is in the context."""
        self._pending_results.discard(call_id)

    def fell_silent(self, item: Item) -> None:
        """What was being said is in the context as far as it was heard: now it can be cut."""
        if (end_ms := self._cuts.pop(item.id, None)) is not None:
            self._cut(item, end_ms)

    def create(self, event: Event) -> None:
        """Add an item."""
        item = read_item(event.get("item"))
        if self._items.has(item.id):
            raise EventError(f"there is an item {item.id} already", param="item.id")
        if item.kind == "function_call_output":
            self._answer(item)
            return
        index = self._items.index_after(event.get("previous_item_id"))
        known = self._items.before(index) if index is not None else None
        after = self._items.place(known) if known else None
        self._insert(item, index)
        self._command(AddMessage(item.message(), after, first=index == 0))

    def _answer(self, item: Item) -> None:
        if self._items.call(item.call_id) is None:
            raise EventError(
                "no function was called with this id", "item_not_found", "item.call_id"
            )
        if self._items.is_answered(item.call_id):
            raise EventError("this call has its output already", param="item.call_id")
        self._insert(item, None)
        if item.call_id in self._live_calls:
            self._pending_results.add(item.call_id)
            self._command(CallResult(item.call_id, item.text))
        else:
            self._command(AddMessage(item.message()))

    def _insert(self, item: Item, index: int | None) -> None:
        previous = self._items.add(item, index)
        for kind in ("added", "done"):
            self._send(
                {
                    "type": f"conversation.item.{kind}",
                    "previous_item_id": previous,
                    "item": item.described(),
                }
            )

    def retrieve(self, event: Event) -> None:
        """Tell an item as it is."""
        item = self._items.find(event.get("item_id"))
        self._send({"type": "conversation.item.retrieved", "item": item.described()})

    def truncate(self, event: Event) -> None:
        """Cut what the agent said, or is saying."""
        item = self._items.find(event.get("item_id"))
        if item.role != "assistant" or not item.is_audio:
            raise EventError("only what the agent says can be truncated", param="item_id")
        if event.get("content_index") != 0:
            raise EventError("content_index must be 0", param="content_index")
        end_ms = event.get("audio_end_ms")
        if isinstance(end_ms, bool) or not isinstance(end_ms, int) or end_ms < 0:
            raise EventError("audio_end_ms is a number of milliseconds", param="audio_end_ms")
        if end_ms > item.length_ms:
            raise EventError(
                f"audio of {item.length_ms} ms is already shorter than {end_ms} ms",
                param="audio_end_ms",
            )
        if item is self._speaking():
            # Its words enter the context as the agent falls silent; then they are cut.
            self._cuts[item.id] = end_ms
            self._command(Interrupt())
        else:
            self._cut(item, end_ms)

    def _cut(self, item: Item, end_ms: int) -> None:
        heard = item.heard_until(end_ms)
        if item.text and heard != item.text:
            self._command(Rewrite(self._items.place(item), heard))
        elif heard != item.text:
            # We thought it was cut before its first word.
            index = self._items.index(item)
            before = self._items.before(index)
            place = self._items.place(before) if before else None
            message = {"role": "assistant", "content": heard}
            self._command(AddMessage(message, place, first=before is None))
        item.text, item.cut_ms, item.status = heard, end_ms, "incomplete"
        self._send(
            {
                "type": "conversation.item.truncated",
                "item_id": item.id,
                "content_index": 0,
                "audio_end_ms": end_ms,
            }
        )

    def delete(self, event: Event) -> None:
        """Take out an item; of a call and its output the context loses both with the first."""
        item = self._items.find(event.get("item_id"))
        if item.status == "in_progress":
            raise EventError("it is being said; cancel the response first", param="item_id")
        if item.kind != "message":
            is_owed = item.call_id in self._live_calls and not self._items.is_answered(item.call_id)
            if is_owed or item.call_id in self._pending_results:
                raise EventError("this call waits for its output", param="item_id")
            self._live_calls.discard(item.call_id)
            self._command(ForgetCall(item.call_id))
        elif item.text:
            self._command(Rewrite(self._items.place(item), ""))
        self._items.remove(item)
        self._send({"type": "conversation.item.deleted", "item_id": item.id})
