"""A language model behind an OpenAI-compatible server: one streamed chat completion for each reply.

Knows httpx (imported on first use), the stream's format (chat_stream.py) and how such servers fail. Sends text only,
and only to the configured server. A reply can be cancelled from any thread, which closes its connection, so that the
server stops as well.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from .chat_stream import ChatStream, ServerSaid, spoken_text
from .foreign import network_reason, one_line
from .protocols import ChatMessage, EngineError, EngineInfo

MAX_REPLY_BYTES = 4 << 20  # of one response; a spoken answer has a few hundred
_MAX_ERROR_BYTES = 64 << 10
_CONNECT_S = 10.0
_DRAIN_S = 0.25
_NEW_KEY = "put the server's key into the variable LORGNETTE_LLM_API_KEY"
_OTHER_SERVER = "lorgnette config set llm.base_url URL"
_OTHER_MODEL = "lorgnette config set llm.model NAME"


class ChatEngine:
    """One OpenAI-compatible server. Safe to call from several threads.

    Args:
        base_url: up to and with the version, such as http://localhost:11434/v1.
        model: its name on that server.
        api_key: sent as a bearer token; "" for none. Never shown.
        timeout_s: how long the server may stay silent.

    Raises:
        EngineError: the address is none, or no model is named.
    """

    def __init__(self, base_url: str, model: str, *, api_key: str = "", timeout_s: float = 30.0) -> None:
        try:
            parts = urlsplit(base_url)
            self._host, self._server = parts.hostname or "", parts.netloc.rpartition("@")[2]
        except ValueError as error:
            raise EngineError("llm", f"{base_url!r} is no address of a model server", _OTHER_SERVER) from error
        if parts.scheme not in ("http", "https") or not self._host:
            raise EngineError("llm", f"{base_url!r} is no address of a model server", _OTHER_SERVER)
        if not model:
            raise EngineError("llm", f"no model is named for the server {self._server}", _OTHER_MODEL)
        self._url = base_url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._model = model
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("llm", "openai-compatible", self._model, {"server": self._server})

    def reply(self, messages: Sequence[ChatMessage]) -> ChatReply:
        """Start a reply: an iterator over its text in pieces, with a `close()` that any thread may call.

        Iterating blocks and raises EngineError. Nothing is sent before the first piece is asked for.
        """
        return ChatReply(self, messages)

    def close(self) -> None:
        """Close the connections that are kept for the next reply."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _stream(self, messages: Sequence[ChatMessage], reply: ChatReply) -> Iterator[str]:
        extras = _no_thinking(self._host)
        try:
            yield from self._ask(messages, extras, reply)
        except _UnknownParameter:
            yield from self._ask(messages, {}, reply)

    def _ask(self, messages: Sequence[ChatMessage], extras: Mapping[str, Any], reply: ChatReply) -> Iterator[str]:
        import httpx

        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.text} for message in messages],
            "stream": True,
            **extras,
        }
        connection = self._take()
        finished = False
        try:
            reply.attach(connection)
            request = connection.client.build_request(
                "POST",
                self._url,
                content=json.dumps(body).encode(),
                headers=self._headers(),
                extensions={"trace": connection.trace},
            )
            response = connection.client.send(request, stream=True)
            try:
                if response.status_code != 200:
                    raise self._refused(response, bool(extras))
                received = response.iter_bytes()
                yield from self._pieces(received, response.headers.get("content-type", ""))
                finished = True
                connection.drain(received)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as error:
            raise self._unheard(error) from error
        finally:
            reply.attach(None)
            self._give_back(connection, reusable=finished)

    def _pieces(self, response: Iterator[bytes], content_type: str) -> Iterator[str]:
        """The reply's text out of the response's bytes. What came before a failure is yielded before it is raised."""
        if "html" in content_type:
            raise self._no_such_server("it answered with a web page")
        stream = ChatStream(streamed="json" not in content_type)
        spoke = False
        try:
            for text in spoken_text(self._texts(response, stream)):
                spoke = spoke or bool(text.strip())
                yield text
        except ServerSaid as error:
            raise EngineError("llm", f"{self._server} failed: {self._shown(error)}", _OTHER_MODEL) from error
        if not stream.understood:
            raise self._no_such_server("its answer is no chat completion")
        if not stream.done:
            raise EngineError("llm", f"the reply of {self._server} broke off", "ask again")
        if not spoke:
            raise EngineError("llm", f"the model {self._model} at {self._server} answered nothing", _OTHER_MODEL)

    def _texts(self, response: Iterator[bytes], stream: ChatStream) -> Iterator[str]:
        import httpx

        received, heard_at = 0, time.monotonic()
        try:
            for data in response:
                received += len(data)
                if received > MAX_REPLY_BYTES:
                    raise EngineError("llm", f"the reply of {self._server} has no end", _OTHER_MODEL)
                texts = stream.feed(data)
                if stream.progressed:
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at > self._timeout_s:
                    raise self._too_slow()
                yield from texts
                if stream.done:
                    break
        except (EngineError, httpx.HTTPError, httpx.StreamError, OSError):
            yield from stream.held_back()
            raise
        yield from stream.end()

    def _no_such_server(self, why: str) -> EngineError:
        return EngineError("llm", f"{self._server} is no OpenAI-compatible server: {why}", _OTHER_SERVER)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return headers

    def _refused(self, response: Any, extras: bool) -> EngineError | _UnknownParameter:
        """What a status other than 200 means."""
        status = response.status_code
        if status == 400 and extras:
            return _UnknownParameter()
        said = self._shown(_error_text(_read_some(response)))
        colon = f": {said}" if said else ""
        if status in (401, 403):
            what = "refuses the key" if self._api_key else "wants a key"
            return EngineError("llm", f"{self._server} {what} (status {status}{colon})", _NEW_KEY)
        if status == 404:
            return EngineError(
                "llm", f"{self._server} does not know the model {self._model!r} (status 404{colon})", _OTHER_MODEL
            )
        if status == 429:
            return EngineError("llm", f"{self._server} takes no more requests for now (status 429{colon})", "wait")
        if 300 <= status < 400:
            target = self._shown(response.headers.get("location", ""))
            return EngineError("llm", f"{self._server} has moved to {target or 'elsewhere'}", _OTHER_SERVER)
        return EngineError("llm", f"{self._server} failed with status {status}{colon}", "lorgnette doctor")

    def _unheard(self, error: Exception) -> EngineError:
        """What a failure below HTTP means."""
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return EngineError(
                "llm",
                f"the model server {self._server} cannot be reached: {self._shown(network_reason(error))}",
                _OTHER_SERVER,
            )
        if isinstance(error, httpx.TimeoutException):
            return self._too_slow()
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return EngineError("llm", f"{self._url!r} is no address of a model server", _OTHER_SERVER)
        return EngineError(
            "llm", f"the connection to {self._server} broke: {self._shown(network_reason(error))}", "ask again"
        )

    def _too_slow(self) -> EngineError:
        return EngineError(
            "llm",
            f"the model server {self._server} was silent for {self._timeout_s:g} s",
            "choose a smaller model, or raise the limit: lorgnette config set llm.timeout_s SECONDS",
        )

    def _shown(self, text: object) -> str:
        """A foreign text fit for a message: one line, without the key that some servers repeat."""
        line = str(text)
        if self._api_key:
            line = line.replace(self._api_key, "***")
        return one_line(line) if line else ""

    def _take(self) -> _Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Connection(self._timeout_s, local=_is_local(self._host))

    def _give_back(self, connection: _Connection, *, reusable: bool) -> None:
        if connection.interrupted or not reusable:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)


class ChatReply:
    """The pieces of one reply. `close` stops it from any thread; iterating then ends without an error."""

    def __init__(self, engine: ChatEngine, messages: Sequence[ChatMessage]) -> None:
        self._closed = False
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._pieces = engine._stream(tuple(messages), self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._closed:
            raise StopIteration
        try:
            return next(self._pieces)
        except (EngineError, ValueError):  # ValueError: `close` is just ending the generator on another thread
            if self._closed:
                raise StopIteration from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop: whoever waits for the next piece is woken, and the server sees its client go."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.interrupt()
        with contextlib.suppress(ValueError):  # it runs on another thread, and has just been woken
            self._pieces.close()  # type: ignore[attr-defined]  # a generator

    def attach(self, connection: _Connection | None) -> None:
        """Say which connection a `close` has to interrupt."""
        with self._lock:
            self._connection = connection
            if connection is not None and self._closed:
                connection.interrupt()


class _UnknownParameter(Exception):
    """The server may have refused the request for a parameter that not every server knows."""


class _Connection:
    """An HTTP client with at most one connection, kept alive between replies, that another thread can interrupt."""

    def __init__(self, timeout_s: float, *, local: bool) -> None:
        import httpx

        self.client = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            trust_env=not local,  # a proxy for the web cannot reach this machine
        )
        self._lock = threading.Lock()
        self._network: Any = None
        self.interrupted = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's report of what it does; a finished connect or TLS handshake brings the current network stream."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._network = info["return_value"]
                if self.interrupted:
                    self._shut_down()

    def interrupt(self) -> None:
        """Wake the thread that waits for this connection. The connection is of no use any more."""
        with self._lock:
            self.interrupted = True
            self._shut_down()

    def drain(self, rest: Iterator[bytes]) -> None:
        """Read what follows a complete reply, so that the connection can serve the next one: no new TLS handshake."""
        import httpx

        timer = threading.Timer(_DRAIN_S, self.interrupt)  # a server that keeps it open costs the connection, no more
        timer.start()
        try:
            for _ in rest:
                pass
        except (httpx.HTTPError, httpx.StreamError):
            self.interrupt()
        finally:
            timer.cancel()

    def _shut_down(self) -> None:
        # Closing the descriptor alone would not wake a thread that waits in poll().
        raw = self._network.get_extra_info("socket") if self._network is not None else None
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.close()


def _no_thinking(host: str) -> dict[str, Any]:
    """The parameters that keep a model from thinking aloud, where a server is known to take them.

    A spoken answer cannot wait for it. Servers disagree on the name: DashScope has its own; the local ones (llama.cpp,
    vLLM, SGLang) hand arguments to the model's chat template.
    """
    if host.endswith(".aliyuncs.com"):
        return {"enable_thinking": False}
    if _is_local(host):
        return {"chat_template_kwargs": {"enable_thinking": False}}
    return {}


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _read_some(response: Any) -> bytes:
    body = bytearray()
    for data in response.iter_bytes():
        body += data
        if len(body) > _MAX_ERROR_BYTES:
            break
    return bytes(body[:_MAX_ERROR_BYTES])


def _error_text(body: bytes) -> str:
    """The server's own words, out of any of the shapes that servers use."""
    text = body.decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except ValueError:
        return "" if text.lstrip().startswith("<") else text  # an HTML page says nothing in one line
    if isinstance(content, list) and content:
        content = content[0]
    for key in ("error", "message", "detail"):
        if isinstance(content, dict) and content.get(key):
            content = content[key]
    return content if isinstance(content, str) else json.dumps(content)
