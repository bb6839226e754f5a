"""The ear's network: openai-whisper's own modules, arranged so that two processor cores can train them in an hour.

Shapes: mel [batch, 80, frames], tokens [batch, length], audio features [batch, positions, width].

- The tied embedding and output layer is trained only for the tokens the domain uses. Channel 0 of the decoder's last
  layer norm is a constant, and every unused row is (-4, 0, 0, ...), so stock Whisper gives an unused token a logit
  of -32.
- Of the 30 s window only the speech is computed exactly; `PADS` sampled positions stand for the constant rest, their
  attention logits raised by log(rest / PADS).
- A character CTC head on the encoder (not exported) gets the alignment going.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer

TOKENIZER = get_tokenizer(False)
CHARACTERS = {c: i + 1 for i, c in enumerate("abcdefghijklmnopqrstuvwxyz' ")}
DIMS = ModelDimensions(80, 1500, 64, 4, 4, 51864, 448, 64, 4, 2)
WIDTH = DIMS.n_text_state
WINDOW = DIMS.n_audio_ctx
HEAD_SUFFIX = ".head"  # the character head, kept beside a checkpoint so that training can continue from it
PADS, UNUSED_BIAS, UNUSED_ROW = 32, 8.0, -4.0


def used_tokens(sentences: list[str], words: list[str]) -> list[int]:
    """Tokens of the sentences and of every word at any place in a sentence."""
    used = {TOKENIZER.eot, TOKENIZER.sot, TOKENIZER.no_timestamps, TOKENIZER.no_speech}
    pieces = list(sentences)
    for word in words:
        pieces += [form + end for form in (word, word[0].upper() + word[1:]) for end in ("", ".", "?", ",")]
    for piece in pieces:
        used.update(TOKENIZER.encode(" " + piece))
    return sorted(used)


def _attend(attention: nn.Module, x: Tensor, source: Tensor, bias: Tensor | None) -> Tensor:
    """Whisper's multi-head attention with an additive bias."""
    batch, length, width = x.shape
    heads = attention.n_head
    q, k, v = (
        a.view(batch, -1, heads, width // heads).transpose(1, 2)
        for a in (attention.query(x), attention.key(source), attention.value(source))
    )
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return attention.out(mixed.transpose(1, 2).reshape(batch, length, width))


class EarNetwork(nn.Module):
    """A Whisper whose embedding holds only the tokens in `used`."""

    keep: Tensor

    def __init__(self, used: list[int]) -> None:
        super().__init__()
        self.whisper = Whisper(ModelDimensions(**{**DIMS.__dict__, "n_vocab": 8}))
        del self.whisper.decoder.token_embedding
        self.used = used
        self.embedding = nn.Parameter(torch.randn(len(used), WIDTH) * 0.06)
        nn.init.normal_(self.whisper.decoder.positional_embedding, std=0.02)
        self.ctc = nn.Linear(WIDTH, len(CHARACTERS) + 1)
        _listen_nearby(self.whisper)
        keep = torch.ones(WIDTH)
        keep[0] = 0  # channel 0 of the embedding and of the last layer norm is reserved
        self.register_buffer("keep", keep)

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor | None, int]:
        """(audio features, attention bias, positions of speech). The last mel frame of every clip must be padding."""
        encoder = self.whisper.encoder
        padding = mel[:, :, -1:].expand(-1, -1, 12)

        def convolve(z: Tensor) -> Tensor:
            return F.gelu(encoder.conv2(F.gelu(encoder.conv1(z)))).transpose(1, 2)

        n = mel.shape[2] // 2
        x = convolve(torch.cat([mel, padding], 2))[:, :n] + encoder.positional_embedding[:n]
        bias = None
        if n < WINDOW:
            rest = torch.randperm(WINDOW - n)[:PADS].sort().values + n
            x = torch.cat([x, convolve(padding)[:, 3:4] + encoder.positional_embedding[rest]], 1)
            bias = torch.zeros(1, 1, 1, x.shape[1])
            bias[..., n:] = math.log((WINDOW - n) / len(rest))
        for block in encoder.blocks:
            y = block.attn_ln(x)
            x = x + _attend(block.attn, y, y, bias)
            x = x + block.mlp(block.mlp_ln(x))
        return encoder.ln_post(x), bias, n

    def decode(self, tokens: Tensor, audio: Tensor, bias: Tensor | None) -> Tensor:
        """Logits [batch, length, used tokens]; `tokens` are positions in `used`."""
        decoder = self.whisper.decoder
        embedding = self.embedding * self.keep
        length = tokens.shape[1]
        x = embedding[tokens] + decoder.positional_embedding[:length]
        causal = torch.full((length, length), -1e9).triu(1)
        for block in decoder.blocks:
            y = block.attn_ln(x)
            x = x + _attend(block.attn, y, y, causal)
            x = x + _attend(block.cross_attn, block.cross_attn_ln(x), audio, bias)
            x = x + block.mlp(block.mlp_ln(x))
        norm = decoder.ln
        x = F.layer_norm(x, (WIDTH,), norm.weight * self.keep, norm.bias * self.keep)
        return x @ embedding.T

    def start_from(self, checkpoint: Path) -> None:
        """Take over a stock checkpoint of the same width: equal layers, known tokens, the head beside it.

        Layers that it lacks begin as pass-through.
        """
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if stored["dims"]["n_text_state"] != WIDTH:
            raise SystemExit(f"{checkpoint} has width {stored['dims']['n_text_state']}, the recipe {WIDTH}.")
        state = {k: v.float() for k, v in stored["model_state_dict"].items()}
        rows = state.pop("decoder.token_embedding.weight")
        state["decoder.ln.bias"][0] = 0
        own = self.whisper.state_dict()
        with torch.no_grad():
            for name, value in own.items():
                if name in state:
                    value.copy_(state[name])
                elif name.endswith(("attn.out.weight", "attn.out.bias", "mlp.2.weight", "mlp.2.bias")):
                    value.zero_()
            for i, token in enumerate(self.used):
                if rows[token, 0] != UNUSED_ROW:
                    self.embedding[i] = rows[token]
        head = checkpoint.with_suffix(HEAD_SUFFIX)
        if head.is_file():
            self.ctc.load_state_dict(torch.load(head, map_location="cpu", weights_only=True))

    def export(self, file: Path) -> None:
        """Write openai-whisper's own checkpoint format, half precision, its zip members deflated."""
        state = {k: v.detach().clone() for k, v in self.whisper.state_dict().items()}
        table = torch.zeros(DIMS.n_vocab, WIDTH)
        table[:, 0] = UNUSED_ROW
        table[torch.tensor(self.used)] = (self.embedding * self.keep).detach()
        state["decoder.token_embedding.weight"] = table
        state["decoder.ln.weight"] *= self.keep
        state["decoder.ln.bias"] *= self.keep
        state["decoder.ln.bias"][0] = UNUSED_BIAS
        torch.save(self.ctc.state_dict(), file.with_suffix(HEAD_SUFFIX))
        plain = io.BytesIO()
        content: dict[str, Any] = {
            "dims": dict(DIMS.__dict__),
            "model_state_dict": {k: v.half() for k, v in state.items()},
        }
        torch.save(content, plain)
        # torch.load reads deflated members as well; thousands of equal rows then cost nothing on disk
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
            for member in source.namelist():
                info = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
                out.writestr(info, source.read(member), zipfile.ZIP_DEFLATED)


def _listen_nearby(whisper: Whisper, gain: float = 1.8) -> None:
    """Start the encoder as a time-delay network: with sinusoidal positions, a rotated query looks a fixed way off.

    The eight fastest sine and cosine pairs are kept free of content; head h of layer l attends to position t + offset.
    """
    encoder = whisper.encoder
    width, half, pairs = DIMS.n_audio_state, DIMS.n_audio_state // 2, 8
    head_width = width // DIMS.n_audio_head
    position_channels = [*range(pairs), *range(half, half + pairs)]
    omega = torch.exp(-math.log(10000) / (half - 1) * torch.arange(pairs))
    offsets = [(-4, -1.5, 1.5, 4), (-7, -2.5, 2.5, 7), (-12, -4, 4, 12), (-16, -2, 2, 16)]
    with torch.no_grad():
        encoder.conv1.weight *= 3
        encoder.conv2.weight *= 4
        encoder.conv2.weight[position_channels] = 0
        encoder.conv2.bias[position_channels] = 0
        for layer, block in enumerate(encoder.blocks):
            query, key = block.attn.query, block.attn.key
            query.weight *= 0.2
            key.weight *= 0.2
            query.bias.zero_()
            for head in range(DIMS.n_audio_head):
                for j in range(pairs):
                    row = head * head_width + j
                    angle = float(omega[j]) * offsets[layer][head % 4]
                    cos, sin = math.cos(angle), math.sin(angle)
                    query.weight[row, j] += gain * cos
                    query.weight[row, half + j] += gain * sin
                    query.weight[row + pairs, half + j] += gain * cos
                    query.weight[row + pairs, j] -= gain * sin
                    key.weight[row, j] += gain
                    key.weight[row + pairs, half + j] += gain
            for last in (block.attn.out, block.mlp[2]):
                last.weight[position_channels] = 0
                last.bias[position_channels] = 0
