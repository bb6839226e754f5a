/* SPDX-License-Identifier: Apache-2.0 */
/* What a function of glink or frame_app returns instead of a length. */
#ifndef GLINK_ERR_H
#define GLINK_ERR_H

typedef enum glink_err {
    GLINK_OK = 0,
    GLINK_ERR_SPACE = -1,  /* the output buffer is too small */
    GLINK_ERR_FORMAT = -2, /* these octets are not what they should be */
    GLINK_ERR_CRC = -3,    /* a whole frame, damaged on its way */
    GLINK_ERR_STATE = -4,  /* not now: no open session, no such call */
} glink_err_t;

#endif
