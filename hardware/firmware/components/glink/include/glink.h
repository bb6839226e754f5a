/* SPDX-License-Identifier: Apache-2.0 */
/* glink: the frame's side of the wire. Octets in, calls to the application; the application's messages, octets out.
 *
 * It knows sessions, sequence numbers, credit and who goes first. It does not know what a method does, what a sample
 * sounds like, or how octets travel. No heap, no clock, no thread, no operating system: time comes as an argument.
 *
 * Threads: every function of one glink_t must be called from one task. Functions of glink_app_t are called from
 * inside glink_receive(), glink_tick() and glink_transmit(); they may call only those functions of glink that say
 * "from the application".
 *
 * The rhythm: after glink_receive(), glink_tick() or anything from the application, call glink_transmit() until it
 * returns less than it had room for; come back at glink_next_us() at the latest. */
#ifndef GLINK_H
#define GLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glink_credit.h"
#include "glink_err.h"
#include "glink_frame.h"
#include "glink_queues.h"
#include "glink_rate.h"
#include "glink_rpc.h"
#include "glink_schema.h"
#include "glink_test_channel.h"

#define GLINK_CHANNELS 9u
_Static_assert(GLINK_CHAN_TEST + 1u == GLINK_CHANNELS, "one sequence number per channel");

/* What the transport's receive ring must hold: USB-Serial-JTAG drops what its ring cannot take, silently. */
#define GLINK_RX_RING_BYTES 16384u
_Static_assert(GLINK_WINDOW_RPC * GLINK_RPC_MAX_WIRE_BYTES +
                       GLINK_WINDOW_SPEAKER * GLINK_WIRE_BYTES(GLINK_SPEAKER_AUDIO_BYTES + 2u * GLINK_FRAME_SAMPLES) +
                       (GLINK_WINDOW_BULK_DOWN + GLINK_WINDOW_TEST) * GLINK_MAX_WIRE_BYTES + GLINK_UNCREDITED_BYTES <=
                   GLINK_RX_RING_BYTES,
               "every window at once fits the receive ring");

#define GLINK_RPC_MAX_PAYLOAD_BYTES (GLINK_RPC_MAX_WIRE_BYTES - (GLINK_WIRE_BYTES(255u) - 255u))
_Static_assert(GLINK_WIRE_BYTES(GLINK_RPC_MAX_PAYLOAD_BYTES) <= GLINK_RPC_MAX_WIRE_BYTES, "the wire limit of a call");
_Static_assert(GLINK_REPLY_BYTES + GLINK_RPC_MAX_RESULT_BYTES <= GLINK_RPC_MAX_PAYLOAD_BYTES, "the longest reply");

/* What glink asks of the application. Every function gets `ctx` and must be there. */
typedef struct glink_app {
    void *ctx;

    /* Runs a call. Returns an rpc_status; fills `result`, which has room for GLINK_RPC_MAX_RESULT_BYTES, and sets
     * `*result_n`. PENDING means that glink_finish() will follow. */
    uint8_t (*call)(void *ctx, const glink_call_t *call, uint8_t *result, size_t *result_n);

    /* Takes one SpeakerAudio. Returns false when it has no use for it. */
    bool (*speaker)(void *ctx, uint8_t flags, const glink_speaker_audio_t *audio);

    /* Returns how many more SpeakerAudio frames could be queued now. */
    uint16_t (*speaker_free)(void *ctx);

    /* Takes one BulkWrite, at once: its slot is free again. Returns false when it has no use for it. */
    bool (*bulk_write)(void *ctx, const glink_bulk_write_t *write);

    /* Writes the oldest waiting MicAudio, and the flags of its frame. Returns its length, 0 when there is none (or none
     * may go yet). */
    size_t (*mic)(void *ctx, uint8_t *flags, uint8_t *payload, size_t cap);

    /* Returns the sample clock. */
    uint32_t (*mic_sample)(void *ctx);

    /* Sets the line's rate: called only where the identity's `max_baud` is not 0, from inside glink_transmit(), and only
     * when everything that it returned before has been handed on. What of it has not left yet leaves at the old rate. */
    void (*set_rate)(void *ctx, uint32_t baud);

    /* The session is over: stop every sensor and the speaker. `reason` is a capture_stop. */
    void (*ended)(void *ctx, uint8_t reason);
} glink_app_t;

typedef enum glink_state {
    GLINK_CLOSED,  /* only a HELLO is listened to */
    GLINK_GREETED, /* HELLO answered; nothing but CONFIRM counts */
    GLINK_OPEN,
    GLINK_LEAVING, /* the host fell silent: the last events go out, once each, then CLOSE */
} glink_state_t;

typedef struct glink_stats {
    uint32_t rx_frames;     /* whole and undamaged */
    uint32_t rx_bad;        /* octets between two zeros that are no frame */
    uint32_t rx_foreign;    /* of another session, or of none */
    uint32_t rx_duplicates; /* sequence number at or behind the highest */
    uint32_t rx_refused;    /* valid, but not to be used: unknown type, no room, too early */
    uint32_t rx_lost;       /* gaps in the host's sequence numbers */
    uint32_t tx_frames;
    uint32_t tx_dropped;    /* events that had to go because nobody read or acknowledged them */
    uint32_t event_retries; /* events that were sent again */
    uint32_t sessions;      /* that were confirmed */
} glink_stats_t;

/* 11 KB. The fields are glink's own; read `stats` if you like. */
typedef struct glink {
    glink_app_t app;
    glink_hello_ack_t identity; /* sent with nonce and session filled in */
    glink_stats_t stats;

    uint64_t now_us;
    uint64_t heard_us;  /* last valid frame of this session */
    uint64_t spoken_us; /* last frame that we sent in it */
    uint64_t wire_us;   /* last octet handed to the transport */
    uint64_t no_session_us; /* not before this time is a host told again that we know its session no more */
    uint8_t state;      /* glink_state_t */
    uint8_t link_due;   /* bits: messages of the link channel that are due */
    bool events_acked;  /* the host acknowledges events */
    uint16_t session;
    uint16_t last_session;
    uint16_t foreign_session; /* the one that we know no more */
    uint16_t order;       /* stamps replies and events, so that both leave in the order they arose */
    uint32_t nonce;       /* of the HELLO that this session answers */
    uint32_t ping_token;  /* ours */
    uint32_t pong_token;  /* the host's last */
    uint32_t refuse_nonce;

    uint16_t rx_highest[GLINK_CHANNELS];
    uint16_t tx_seq[GLINK_CHANNELS];
    glink_grant_t grants[GLINK_CHANNELS]; /* used where glink_session_window() is not 0 */
    glink_spend_t bulk_spend;

    glink_events_t events;
    glink_log_t log;
    glink_bulk_t bulk;
    glink_rate_t rate;
    glink_test_channel_t test;
    glink_rpc_t rpc;
    glink_deframer_t deframer;

    bool lead;         /* begin the next frame with a zero */
    bool rate_is_new;  /* the rate has just changed: what waits for it may go */
    uint16_t tx_at;
    uint16_t tx_end;
    uint8_t tx[GLINK_MAX_WIRE_BYTES];
} glink_t;

_Static_assert(sizeof(glink_t) <= 13312u, "static RAM of the wire");

/* ---- the driver's side ---- */

/* Prepares a link without a session. `identity` is what HELLO_ACK tells of the device: versions, nonce, session,
 * schema hash and windows in it are glink's own and ignored. Both arguments are copied. `first_session` seeds the
 * session numbers: pick it at random at boot, so that frames of before the reset stay foreign. */
void glink_init(glink_t *g, const glink_hello_ack_t *identity, const glink_app_t *app, uint16_t first_session);

/* Moves the clock. `now_us` never goes back. */
void glink_tick(glink_t *g, uint64_t now_us);

/* Takes octets as they come, in pieces of any size. Never waits; runs calls at once. */
void glink_receive(glink_t *g, const uint8_t *bytes, size_t n);

/* Moves up to `cap` octets into `out`; what goes next is decided frame by frame, here. To call it says that the octets
 * that it returned last were handed on.
 * Returns how many. Fewer than `cap`: nothing waits, or the rate changes first and glink_next_us() is now. */
size_t glink_transmit(glink_t *g, uint8_t *out, size_t cap);

/* The transport lost octets that it had taken: gives up the frame in between and begins the next with a zero. */
void glink_transmit_aborted(glink_t *g);

/* Returns when glink_tick() has something to do, GLINK_NEVER if nothing. */
uint64_t glink_next_us(const glink_t *g);

/* ---- from the application ---- */

/* Reports an event; without a session nobody listens and it is dropped. `n` <= GLINK_EVENT_MAX_BYTES.
 * Returns its stamp for glink_reported(). */
uint16_t glink_report(glink_t *g, const uint8_t *event, size_t n);

/* Whether the event with this stamp went out at least once (or was dropped). Ask soon: stamps repeat after 2^15
 * messages. */
bool glink_reported(const glink_t *g, uint16_t stamp);

/* Whether the event with this stamp, or a newer one, was dropped before it ever went out. Ask before the next few thousand
 * messages. */
bool glink_lost(const glink_t *g, uint16_t stamp);

/* Ends a call that was answered PENDING. `n` <= GLINK_RPC_MAX_RESULT_BYTES.
 * Returns GLINK_OK, or GLINK_ERR_STATE when the session has ended or no such call runs. */
glink_err_t glink_finish(glink_t *g, uint16_t call_id, uint8_t status, const uint8_t *result, size_t n);

/* Sends an object from `offset` <= `size` on, in place of what was being sent. `read` and `ctx` must stay good until
 * glink_unsend(). */
void glink_send_object(glink_t *g, uint16_t object, glink_read_t read, void *ctx, uint32_t size, uint32_t offset);

/* Stops sending; afterwards the object is no longer read. */
void glink_unsend(glink_t *g);

/* Writes one line for the host's log; never waits, drops the oldest. */
void glink_log(glink_t *g, const char *text, size_t n);

#endif
