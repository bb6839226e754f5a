"""The history that a language model is given."""

from __future__ import annotations

from lorgnette.cli.assistant.conversation import Conversation, ConversationSettings


def texts(conversation: Conversation, said: str = "now") -> list[str]:
    return [f"{message.role[0]}:{message.text}" for message in conversation.messages(said)]


def test_roles_alternate_after_the_system_prompt() -> None:
    conversation = Conversation(ConversationSettings(system_prompt="be brief"))
    conversation.add("a", "A")
    conversation.add("b", "B")
    assert texts(conversation) == ["s:be brief", "u:a", "a:A", "u:b", "a:B", "u:now"]


def test_one_sided_exchanges_are_not_kept() -> None:
    conversation = Conversation(ConversationSettings(system_prompt="p"))
    conversation.add("", "a timer is done")
    conversation.add("never answered", "")
    assert texts(conversation) == ["s:p", "u:now"]


def test_the_oldest_exchanges_go_first() -> None:
    conversation = Conversation(ConversationSettings(system_prompt="p", max_exchanges=2))
    for word in "abc":
        conversation.add(word, word.upper())
    assert texts(conversation) == ["s:p", "u:b", "a:B", "u:c", "a:C", "u:now"]


def test_an_exchange_that_does_not_fit_is_dropped_whole_and_so_is_what_is_older() -> None:
    conversation = Conversation(ConversationSettings(system_prompt="p", max_chars=3 + 4 + 4))
    conversation.add("a", "A")
    conversation.add("long", "LONG!")
    conversation.add("cc", "CC")
    assert texts(conversation) == ["s:p", "u:cc", "a:CC", "u:now"]
    assert texts(Conversation(ConversationSettings(system_prompt="p", max_chars=0))) == ["s:p", "u:now"]


def test_no_history_at_all_can_be_chosen() -> None:
    conversation = Conversation(ConversationSettings(system_prompt="p", max_exchanges=0))
    conversation.add("a", "A")
    assert texts(conversation) == ["s:p", "u:now"]
