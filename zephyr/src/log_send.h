/*
 * SPDX-License-Identifier: Apache-2.0
 */

#ifndef FLOWNEXUS_LOG_SEND_H
#define FLOWNEXUS_LOG_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/net/lwm2m.h>

/**
 * Prepares to send the log: to be called once, before lwm2m_rd_client_start().
 *
 * @param ctx The client that sends
 */
void log_send_init(struct lwm2m_ctx *ctx);

/** What happens to the registration: to be called from the client's event callback. */
void log_send_event(enum lwm2m_rd_client_event event);

/**
 * Keeps a line until it has been sent.
 *
 * @param uptime Milliseconds since the boot
 * @param severity As in log_ring.h
 * @param module NUL-terminated name
 * @param text UTF-8
 * @param len Its length in bytes
 * @param causes_send False for a line that may come from sending itself: it goes along with others
 */
void log_send_line(uint64_t uptime, uint8_t severity, const char *module, const char *text,
		   size_t len, bool causes_send);

/** Counts lines that were lost before they came here. */
void log_send_dropped(uint32_t count);

/** Keeps lines, or no longer does. Those that are there stay. */
void log_send_keep(bool keep);

/** True if lines are kept. */
bool log_send_keeps(void);

/** True if lines wait to be sent. */
bool log_send_waiting(void);

/**
 * The message that a Send carries, or if none is on its way what the next one would be.
 *
 * @param len Receives its length in bytes
 */
const uint8_t *log_send_message(size_t *len);

/** Sets up to which severity lines are kept: 0 none to 4 all. Returns 0, or -EINVAL. */
int log_level_set(int level);

#endif /* FLOWNEXUS_LOG_SEND_H */
