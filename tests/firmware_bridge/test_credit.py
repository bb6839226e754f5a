"""Sequence numbers, credit and the sample clock: all modulo something, so every test crosses the wrap."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.raw_host import RawHost, all_of

from lorgnette.firmware_bridge.credit import ReceiveWindow, SampleClock, SendWindow, seq_after, seq_diff
from lorgnette.firmware_bridge.messages import (
    BulkWrite,
    Call,
    Channel,
    Credit,
    FlushSpeakerArgs,
    HighestSent,
    Message,
    Method,
    SpeakerAudio,
)
from lorgnette.firmware_bridge.simulator import Peripherals, SimulatedFrame

u16 = st.integers(0, 0xFFFF)


@given(u16, st.integers(-0x8000, 0x7FFF))
def test_a_difference_is_what_was_added(seq: int, steps: int) -> None:
    assert seq_diff(seq_after(seq, steps), seq) == steps


@given(st.lists(st.sampled_from(["send", "grant", "lose grant", "repeat grant", "lose frame"]), max_size=300), u16)
def test_sender_and_receiver_never_disagree_for_long(acts: list[str], start: int) -> None:
    """Whatever is lost or repeated, the sender stays within the receiver's slots and a repeated grant frees it."""
    sender, receiver = SendWindow(4), ReceiveWindow(4)
    sender.sent = receiver.highest = start
    sender.allowed = receiver.granted = seq_after(start, 4)
    granted = sender.allowed
    for act in acts:
        if act == "send" and sender.free:
            assert receiver.receive(sender.spend()) is not None
        elif act == "lose frame" and sender.free:
            sender.spend()
        elif act == "grant":
            granted = receiver.grant()
            sender.grant(granted)
        elif act == "lose grant":
            receiver.grant()
        elif act == "repeat grant":
            assert not sender.grant(sender.allowed)
        assert 0 <= sender.free <= 4
        assert seq_diff(sender.sent, receiver.highest) <= 4
    receiver.skip_to(sender.sent)
    sender.grant(receiver.grant())
    assert sender.free == 4


def test_a_million_losses_leak_no_credit_between_the_hosts_two_halves() -> None:
    """Frames, grants and what repairs them get lost, one in two; old grants come again."""
    rng = random.Random(1)
    sender, receiver = SendWindow(6), ReceiveWindow(6)
    losses, old_grant = 0, receiver.granted
    while losses < 1_000_000:
        for _ in range(100):
            draw = rng.getrandbits(8)
            burst, lost = draw & 7, draw >> 3 & 7
            for _ in range(min(burst, sender.free)):
                seq = sender.spend()
                if lost & 1:
                    losses += 1
                else:
                    assert receiver.receive(seq) is not None
            if not sender.free and lost & 2:
                receiver.skip_to(sender.sent)
            grant = receiver.grant()
            if lost & 4:
                losses += 1
            else:
                sender.grant(grant)
                sender.grant(old_grant)
                old_grant = grant
            assert 0 <= seq_diff(sender.allowed, receiver.highest) <= 6  # what is under way has a slot each
            assert 0 <= sender.free <= 6
        receiver.skip_to(sender.sent)
        sender.grant(receiver.grant())
        assert sender.free == 6


@pytest.mark.timeout(600)
def test_a_million_losses_leak_no_credit_of_the_frame() -> None:
    """The host's half against the firmware's, on three channels: nearly all frames get lost, and half of the rest.

    That is what repairs the losses, and the grants. Old grants come again.
    """
    rng = random.Random(1)
    host = RawHost(SimulatedFrame(Peripherals()))
    ack = host.connect()
    host.call(Method.FLUSH_SPEAKER, FlushSpeakerArgs(9))  # sound of older streams takes a slot, and no time
    windows = {Channel.RPC: ack.rpc_window, Channel.SPEAKER: ack.speaker_window, Channel.BULK_DOWN: ack.bulk_window}
    senders = {channel: SendWindow(window) for channel, window in windows.items()}
    senders[Channel.RPC].spend()  # the flush
    told = dict.fromkeys(windows, 0)
    losses = calls = replies = arrived = 0

    def message_on(channel: Channel) -> Message:
        if channel == Channel.RPC:
            return Call(call_id=calls & 0xFFFF, method=Method.GET_STATE, args=b"")
        if channel == Channel.SPEAKER:
            return SpeakerAudio(sample=0, stream=8, pcm=b"\1\0")
        return BulkWrite(object=77, offset=0, data=b"not asked for")

    def step(data: bytes, lost: float) -> None:
        nonlocal losses, replies
        host.now_us += 50_000
        fresh = host.step(data)
        host.log.clear()
        replies += sum(received.chan == Channel.RPC for received in fresh)
        for grant in all_of(fresh, Credit):
            channel = Channel(grant.channel)
            if rng.random() < lost:
                losses += 1
                continue
            senders[channel].grant(grant.allowed)
            senders[channel].grant(told[channel])
            told[channel] = grant.allowed
            assert senders[channel].free <= windows[channel]

    def repairs(lost: float) -> bytes:
        nonlocal losses
        data = b""
        for channel, sender in senders.items():
            if sender.free < windows[channel]:
                if rng.random() < lost:
                    losses += 1
                else:
                    data += host.pack(HighestSent(channel=channel, seq=sender.sent))
        return data

    while losses < 1_000_000:
        for _ in range(500):
            data = b""
            for channel, sender in senders.items():
                for _ in range(sender.free):
                    seq = sender.spend()
                    if rng.random() < 0.95:
                        losses += 1
                        continue
                    arrived += 1
                    calls += channel == Channel.RPC
                    data += host.pack(message_on(channel), seq=seq)
            step(data + repairs(0.25), 0.25)
        step(repairs(0.0), 0.0)
        step(b"", 0.0)
        assert {channel: sender.free for channel, sender in senders.items()} == windows
    host.seq[Channel.RPC] = senders[Channel.RPC].sent
    stats = host.stats()
    assert (stats.rx_duplicate_frames, stats.rx_bad_frames) == (0, 0)
    assert stats.rx_refused_frames == arrived - calls, "for what they say, never for want of a slot"
    assert replies == calls > 0
    assert stats.rx_lost_frames > 900_000
    assert stats.rx_frames > arrived > 10_000


def test_the_loss_of_a_whole_window_is_repaired_by_highest_sent() -> None:
    sender, receiver = SendWindow(6), ReceiveWindow(6)
    for _ in range(6):
        sender.spend()
    assert not sender.grant(receiver.grant())  # nothing arrived, so the repeated grant brings nothing
    assert receiver.skip_to(sender.sent) == 6
    assert sender.grant(receiver.grant())
    assert sender.free == 6


@pytest.mark.parametrize("allowed", [0, 0xFFFF, 300, 0x8000])
def test_a_senseless_grant_is_ignored(allowed: int) -> None:
    sender = SendWindow(6)
    assert not sender.grant(allowed)
    assert sender.free == 6


def test_spending_without_credit_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no credit"):
        SendWindow(0).spend()


@given(u16)
def test_duplicates_and_gaps(start: int) -> None:
    window = ReceiveWindow()
    window.highest = start
    assert window.receive(seq_after(start, 1)) == 0
    assert window.receive(seq_after(start, 4)) == 2
    assert window.receive(seq_after(start, 4)) is None
    assert window.receive(seq_after(start, 3)) is None
    assert window.skip_to(seq_after(start, 2)) == 0


@given(st.integers(0, 2**40), st.lists(st.integers(-16_000, 200_000_000), max_size=20))
def test_the_sample_clock_never_wraps(start: int, steps: list[int]) -> None:
    clock = SampleClock()
    sample = clock.sample = start
    for step in steps:
        sample = max(0, sample + step)
        assert clock.unwrap(sample & 0xFFFFFFFF) == sample
        sample = clock.sample


def test_a_clock_that_begins_late_is_taken_as_it_is() -> None:
    assert SampleClock().unwrap(0xF0000000) == 0xF0000000
