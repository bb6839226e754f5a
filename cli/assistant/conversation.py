"""What has been said so far, as a language model wants to read it, and no more of it than fits.

Knows messages, not turns. An exchange is kept or dropped whole, so that roles always alternate.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .engines.protocols import ChatMessage

DEFAULT_SYSTEM_PROMPT = (
    "You are a voice assistant in a pair of glasses. Your reply is spoken aloud: answer in one to three short "
    "sentences of plain words, without lists, Markdown, links or emoji. You cannot act on the glasses yourself: never "
    "say that you have taken a photo, set a timer or changed a setting. When you do not know, say so."
)


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """How much of the past a language model is given.

    Attributes:
        system_prompt: always the first message.
        max_exchanges: newest exchanges that are kept.
        max_chars: all their text together; the oldest exchanges go first. About four characters are one token.
    """

    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    max_exchanges: int = 10
    max_chars: int = 6000


class Conversation:
    """The history of one session."""

    def __init__(self, settings: ConversationSettings | None = None) -> None:
        self._settings = settings or ConversationSettings()
        self._exchanges: deque[tuple[str, str]] = deque(maxlen=max(self._settings.max_exchanges, 0))

    def add(self, said: str, replied: str) -> None:
        """Keep one exchange: the user's words and as much of the reply as the user heard. One-sided ones are not."""
        if said and replied:
            self._exchanges.append((said, replied))

    def messages(self, said: str) -> list[ChatMessage]:
        """System prompt, the newest exchanges that fit, and what the user says now."""
        room = self._settings.max_chars - len(said)
        kept: deque[ChatMessage] = deque([ChatMessage("user", said)])
        for user, assistant in reversed(self._exchanges):
            room -= len(user) + len(assistant)
            if room < 0:
                break
            kept.extendleft([ChatMessage("assistant", assistant), ChatMessage("user", user)])
        return [ChatMessage("system", self._settings.system_prompt), *kept]
