/*
 * SPDX-License-Identifier: Apache-2.0
 */

#ifndef FLOWNEXUS_LOG_MESSAGE_H
#define FLOWNEXUS_LOG_MESSAGE_H

#include "log_ring.h"

/** LogDataFormat (4015) of these messages. */
#define LOG_MESSAGE_FORMAT 100

/** Length of a message's header in bytes. */
#define LOG_MESSAGE_HEADER 20

/** Room in which a line always finds place, be it with a shortened text. */
#define LOG_MESSAGE_MIN 64

/**
 * Packs the oldest lines of a ring into a message of docs/device-logs.md, as many as fit, and
 * takes them (log_ring_take()). A text that is too long for a whole message is cut, never within
 * a UTF-8 character.
 *
 * @param boot_id Another one at every start
 * @param uptime Milliseconds since the boot
 * @param buf Receives the message
 * @param size Bytes that it may have
 *
 * @return Its length in bytes; 0 if there is nothing to tell or size is below LOG_MESSAGE_MIN
 */
size_t log_message_pack(struct log_ring *ring, uint32_t boot_id, uint64_t uptime, uint8_t *buf,
			size_t size);

#endif /* FLOWNEXUS_LOG_MESSAGE_H */
