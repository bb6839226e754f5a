"""The client of model servers, against real servers on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable

import pytest
from tests.support.http import Handler, serving
from tests.support.program import assert_one_sentence, invoke

from lorgnette.cli.assistant.engines.chat_engine import ChatEngine
from lorgnette.cli.assistant.engines.protocols import ChatMessage, EngineError
from lorgnette.cli.exit_codes import ExitCode

QUESTION = [ChatMessage("system", "Be brief."), ChatMessage("user", "Who are you?")]
KEY = "sk-very-secret-0123456789"


def event(content: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}}]}).encode() + b"\n\n"


def stream(*pieces: bytes) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.begin_stream()
        for piece in pieces:
            handler.chunk(piece)
        handler.chunk(b"")

    return answer


HELLO = stream(event("Hello"), event(" there."), b"data: [DONE]\n\n")


def fails(url: str, **how: object) -> EngineError:
    """Ask, and return the error, which is whole: one line, stage and remedy, without the key."""
    engine = ChatEngine(url, "m", **how)  # type: ignore[arg-type]
    with pytest.raises(EngineError) as caught:
        list(engine.reply(QUESTION))
    engine.close()
    assert caught.value.stage == "llm"
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value) + caught.value.remedy
    return caught.value


def test_a_reply_is_streamed() -> None:
    with serving(HELLO) as server:
        engine = ChatEngine(f"{server.url}/v1/", "tiny", api_key=KEY)
        assert list(engine.reply(QUESTION)) == ["Hello", " there."]
        engine.close()
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    body = json.loads(asked.body)
    assert body["model"] == "tiny"
    assert body["stream"] is True
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who are you?"},
    ]


def test_nothing_is_sent_before_the_first_piece_is_asked_for() -> None:
    with serving(HELLO) as server:
        ChatEngine(server.url, "m").reply(QUESTION).close()
        assert server.asked == []


def test_without_a_key_none_is_sent() -> None:
    with serving(HELLO) as server:
        engine = ChatEngine(server.url, "m")
        list(engine.reply(QUESTION))
        engine.close()
    assert "authorization" not in server.asked[0].headers


def test_without_a_model_nobody_is_asked() -> None:
    with serving(HELLO) as server, pytest.raises(EngineError, match="no model is named") as caught:
        ChatEngine(server.url, "")
    assert caught.value.remedy == "lorgnette config set llm.model NAME"
    assert server.asked == []


def test_the_first_words_come_before_the_last_are_made() -> None:
    go_on = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk(event("First."))
        assert go_on.wait(10)
        handler.chunk(event(" Second.") + b"data: [DONE]\n\n")
        handler.chunk(b"")

    with serving(answer) as server:
        engine = ChatEngine(server.url, "m")
        pieces = engine.reply(QUESTION)
        assert next(pieces) == "First."
        go_on.set()
        assert list(pieces) == [" Second."]
        engine.close()


def test_replies_share_one_connection() -> None:
    with serving(HELLO) as server:
        engine = ChatEngine(server.url, "m")
        for _ in range(3):
            assert "".join(engine.reply(QUESTION)) == "Hello there."
        engine.close()
    assert len({asked.client for asked in server.asked}) == 1


def test_two_replies_at_once_do_not_wait_for_each_other() -> None:
    with serving(HELLO) as server:
        engine = ChatEngine(server.url, "m")
        first, second = engine.reply(QUESTION), engine.reply(QUESTION)
        assert [next(first), next(second)] == ["Hello", "Hello"]
        assert list(first) == list(second) == [" there."]
        engine.close()


def test_a_local_model_is_asked_not_to_think_aloud_and_a_server_that_minds_is_asked_again() -> None:
    def answer(handler: Handler) -> None:
        if b"chat_template_kwargs" in handler.server.asked[-1].body:
            handler.send(400, b'{"error": {"message": "unknown field chat_template_kwargs"}}')
        else:
            HELLO(handler)

    with serving(answer) as server:
        engine = ChatEngine(server.url, "m")
        assert "".join(engine.reply(QUESTION)) == "Hello there."
        engine.close()
    assert json.loads(server.asked[0].body)["chat_template_kwargs"] == {"enable_thinking": False}
    assert len(server.asked) == 2


def test_thoughts_are_not_spoken() -> None:
    with serving(stream(event("<thi"), event("nk>hm</think>"), event("Hello."), b"data: [DONE]\n\n")) as server:
        engine = ChatEngine(server.url, "m")
        assert list(engine.reply(QUESTION)) == ["Hello."]
        engine.close()


def test_a_server_that_does_not_stream_is_understood() -> None:
    whole = b'{"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}'
    with serving(lambda handler: handler.send(200, whole)) as server:
        engine = ChatEngine(server.url, "m")
        assert list(engine.reply(QUESTION)) == ["Hello."]
        engine.close()


# ---------------------------------------------------------------- failures
def test_an_unreachable_server() -> None:
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        error = fails(f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
    assert str(error).endswith("cannot be reached: connection refused")
    assert error.remedy == "lorgnette config set llm.base_url URL"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "refuses the key"),
        (403, {"message": "no"}, "refuses the key"),
        (404, {"error": {"message": "model 'm' not found"}}, "does not know the model 'm'"),
        (429, {"error": "slow down"}, "takes no more requests"),
        (400, {"error": {"message": "bad\n\nrequest"}}, "failed with status 400: bad request"),
        (500, {"detail": "CUDA out of memory"}, "failed with status 500: CUDA out of memory"),
        (503, [{"error": {"message": "loading"}}], "failed with status 503: loading"),
    ],
)
def test_a_refusal_is_told_in_the_servers_own_words(status: int, body: object, said: str) -> None:
    with serving(lambda handler: handler.send(status, json.dumps(body).encode())) as server:
        assert said in str(fails(server.url, api_key=KEY))


def test_a_server_that_wants_a_key() -> None:
    with serving(lambda handler: handler.send(401, b"")) as server:
        error = fails(server.url)
    assert "wants a key" in str(error)
    assert "LORGNETTE_LLM_API_KEY" in error.remedy


def test_a_page_of_html_is_not_read_out() -> None:
    page = b"<!DOCTYPE html><html><body>" + b"nginx " * 100_000
    with serving(lambda handler: handler.send(502, page, "text/html")) as server:
        assert str(fails(server.url)).endswith("failed with status 502")


def test_a_redirect_is_not_followed_with_the_key() -> None:
    def answer(handler: Handler) -> None:
        handler.send(302, b"", Location="http://elsewhere.invalid/")

    with serving(answer) as server:
        assert "has moved to http://elsewhere.invalid/" in str(fails(server.url, api_key=KEY))
    assert len(server.asked) == 1


@pytest.mark.parametrize("first", [b"", event("Hello")], ids=["before the first word", "after it"])
def test_a_silent_server(first: bytes) -> None:
    enough = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        if first:
            handler.chunk(first)
        enough.wait(30)

    with serving(answer) as server:
        error = fails(server.url, timeout_s=0.2)
        enough.set()
    assert "was silent for 0.2 s" in str(error)


def test_comments_that_keep_a_connection_open_are_not_an_answer() -> None:
    enough = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        while not enough.wait(0.05):
            handler.chunk(b": ping\n\n")

    with serving(answer) as server:
        error = fails(server.url, timeout_s=0.3)
        enough.set()
    assert "was silent for 0.3 s" in str(error)


def test_a_reply_that_breaks_off_keeps_what_was_said() -> None:
    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk(event("Hello"))
        handler.close_connection = True

    with serving(answer) as server:
        engine = ChatEngine(server.url, "m")
        pieces = engine.reply(QUESTION)
        assert next(pieces) == "Hello"
        with pytest.raises(EngineError, match="broke"):
            next(pieces)
        engine.close()


def test_what_was_held_back_comes_before_the_failure() -> None:
    """A "<" may begin a tag and is held until more has come."""

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk(event("one <"))
        handler.close_connection = True

    with serving(answer) as server:
        engine = ChatEngine(server.url, "m")
        heard: list[str] = []
        with pytest.raises(EngineError, match="broke"):
            heard.extend(engine.reply(QUESTION))
        engine.close()
    assert "".join(heard) == "one <"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<!DOCTYPE html><title>Router</title>", "text/html; charset=utf-8"),
        (b"<!DOCTYPE html><title>Router</title>", "text/plain"),
        (b"<html>", "application/json"),
        (b"[1,2]", "application/json"),
        (b"null", "application/json"),
        (b"{}", "application/json"),
        (b"", "application/json"),
        (b"data: [1,2]\n\ndata: null\n\ndata: [DONE]\n\n", "text/event-stream"),
    ],
)
def test_what_is_no_chat_completion_is_called_so(body: bytes, content_type: str) -> None:
    with serving(lambda handler: handler.send(200, body, content_type)) as server:
        error = fails(server.url)
    assert "is no OpenAI-compatible server" in str(error)
    assert error.remedy == "lorgnette config set llm.base_url URL"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"choices": []}', "application/json"),
        (b'{"choices": [{"message": {"content": null}}]}', "application/json"),
        (b'{"choices": [{"message": {"content": " \\n"}}]}', "application/json"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', "text/event-stream"),
        (event("<think>hm</think>") + b"data: [DONE]\n\n", "text/event-stream"),
    ],
)
def test_an_answer_without_words_is_an_error(body: bytes, content_type: str) -> None:
    with serving(lambda handler: handler.send(200, body, content_type)) as server:
        error = fails(server.url)
    assert "the model m at" in str(error)
    assert "answered nothing" in str(error)


def test_a_stream_without_its_end_broke_off() -> None:
    with serving(stream(event("Hello"))) as server:
        assert "broke off" in str(fails(server.url))


def test_an_error_inside_the_stream() -> None:
    with serving(stream(event("Hello"), b'data: {"error": {"message": "out of memory"}}\n\n')) as server:
        assert "failed: out of memory" in str(fails(server.url))


def test_a_reply_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    from lorgnette.cli.assistant.engines import chat_engine

    monkeypatch.setattr(chat_engine, "MAX_REPLY_BYTES", 1_000)
    with serving(stream(*[event("la ")] * 100)) as server:
        assert "has no end" in str(fails(server.url))


@pytest.mark.parametrize("url", ["", "localhost:11434", "ftp://x/v1", "http://", "http://[::1", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(EngineError, match="is no address of a model server"):
        ChatEngine(url, "m")


# ---------------------------------------------------------------- cancelling
def test_a_cancelled_reply_ends_and_its_connection_closes() -> None:
    """The thread that waits for the next piece is woken, and the server sees its client go."""
    waiting = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk(event("Hello"))
        waiting.set()
        handler.server.hung_up.client_gone = handler.rfile.read(1) == b""  # type: ignore[attr-defined]
        handler.server.hung_up.set()

    with serving(answer) as server:
        engine = ChatEngine(server.url, "m")
        reply = engine.reply(QUESTION)
        heard: list[str] = []
        listener = threading.Thread(target=lambda: heard.extend(reply))
        listener.start()
        assert waiting.wait(10)
        reply.close()
        listener.join(10)
        assert not listener.is_alive()
        assert server.hung_up.wait(10)
        assert server.hung_up.client_gone  # type: ignore[attr-defined]
        engine.close()
    assert heard in ([], ["Hello"])
    assert list(reply) == []


def test_a_reply_can_be_cancelled_before_the_server_says_anything() -> None:
    asked = threading.Event()

    def answer(handler: Handler) -> None:
        asked.set()
        handler.rfile.read(1)
        handler.server.hung_up.set()
        handler.close_connection = True

    with serving(answer) as server:
        engine = ChatEngine(server.url, "m")
        reply = engine.reply(QUESTION)
        ended = threading.Event()
        listener = threading.Thread(target=lambda: (list(reply), ended.set()))
        listener.start()
        assert asked.wait(10)
        reply.close()
        assert ended.wait(10)
        assert server.hung_up.wait(10)
        listener.join(10)
        engine.close()


def test_after_a_cancelled_reply_the_next_one_works() -> None:
    answers = iter([stream(*[event("la ")] * 3), HELLO])
    with serving(lambda handler: next(answers)(handler)) as server:
        engine = ChatEngine(server.url, "m")
        with engine.reply(QUESTION) as reply:
            assert next(reply) == "la "
        assert "".join(engine.reply(QUESTION)) == "Hello there."
        engine.close()
    assert len({asked.client for asked in server.asked}) == 2


def test_a_reply_cancelled_before_it_began_asks_nobody() -> None:
    with serving(HELLO) as server:
        reply = ChatEngine(server.url, "m").reply(QUESTION)
        reply.close()
        assert list(reply) == []
        assert server.asked == []


def test_the_card_names_server_and_model_but_no_secret() -> None:
    info = ChatEngine("http://user:pass@example.org:8080/v1", "qwen", api_key=KEY).info
    assert (info.role, info.engine, info.model) == ("llm", "openai-compatible", "qwen")
    assert info.detail["server"] == "example.org:8080"


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"<html>", "text/html", "is no OpenAI-compatible server"),
        (b"[1,2]", "application/json", "is no OpenAI-compatible server"),
        (b'{"choices": []}', "application/json", "answered nothing"),
        (event("She wrote the"), "text/event-stream", "broke off"),
    ],
)
def test_the_program_says_why_and_ends_with_the_engines_status(
    body: bytes, content_type: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda handler: handler.send(200, body, content_type)) as server:
        monkeypatch.setenv("LORGNETTE_LLM_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("LORGNETTE_LLM_MODEL", "m")
        result = invoke("ask", "who was Ada Lovelace")
    assert result.exit_code == ExitCode.ENGINE
    assert_one_sentence(result.stderr)
    assert says in result.stderr
    assert ("She wrote the" in result.stdout) == (b"She wrote the" in body)
