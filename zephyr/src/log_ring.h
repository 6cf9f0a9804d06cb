/*
 * SPDX-License-Identifier: Apache-2.0
 */

#ifndef FLOWNEXUS_LOG_RING_H
#define FLOWNEXUS_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest name of a module in bytes; longer ones are cut. */
#define LOG_MODULE_MAX 31

/** Severities, those of docs/device-logs.md and of Zephyr. */
enum log_severity {
	LOG_SEVERITY_ERROR = 1,
	LOG_SEVERITY_WARNING = 2,
	LOG_SEVERITY_INFO = 3,
	LOG_SEVERITY_DEBUG = 4,
};

/**
 * Log lines in a ring of bytes, numbered from 0. A line that finds no room takes that of the
 * oldest ones; what was given up is counted.
 *
 * The ring has no lock: the caller holds his own around every call. Lines may be added between
 * log_ring_take() and log_ring_commit().
 */
struct log_ring {
	uint8_t *buf;
	size_t size;
	/** Where the oldest line begins, and how many bytes are in use. */
	size_t tail;
	size_t used;
	/** Number of the oldest line that is kept. */
	uint32_t first;
	/** Number that the next line gets. */
	uint32_t next;
	/** Lines given up whose number is below first. */
	uint32_t lost;
	/** Lines given up since the newest one that is kept. */
	uint32_t gap;
	/** Lines below this number are on their way, and how many of them were given up since. */
	uint32_t taken;
	uint32_t taken_lost;
	/** What the message on its way says of lost, and what the last one that arrived said. */
	uint32_t telling;
	uint32_t told;
	/** Uptime of the line before the oldest, and of the newest one: milliseconds. */
	uint64_t before;
	uint64_t newest;
};

/** A line in the ring; its parts are read with log_ring_copy(). */
struct log_line {
	/** Milliseconds since the boot. */
	uint64_t uptime;
	uint8_t severity;
	/** Where module and text begin, and their lengths in bytes. */
	size_t module;
	size_t module_len;
	size_t text;
	size_t text_len;
};

/** Where reading stands. */
struct log_cursor {
	size_t at;
	size_t left;
	uint64_t uptime;
};

/** An empty ring over size bytes at buf, both of which stay the caller's. */
void log_ring_init(struct log_ring *ring, uint8_t *buf, size_t size);

/**
 * Adds a line. A text that would not fit even into the empty ring is cut, never within a UTF-8
 * character; where that does not help, the line counts as given up.
 *
 * @param uptime Milliseconds since the boot; earlier than that of the line before counts as equal
 * @param severity 1 to 4
 *
 * @return Bytes of the ring that the line takes, 0 if it was given up
 */
size_t log_ring_append(struct log_ring *ring, uint64_t uptime, uint8_t severity, const char *module,
		       size_t module_len, const char *text, size_t text_len);

/** Counts lines that were lost before they came here; they get their numbers all the same. */
void log_ring_skip(struct log_ring *ring, uint32_t count);

/** True if there is something that no message has told: lines, or that some were given up. */
bool log_ring_pending(const struct log_ring *ring);

/** Begins to read at the oldest line. */
void log_ring_begin(const struct log_ring *ring, struct log_cursor *cursor);

/** Reads the next line; false at the end, and where the numbers are not consecutive. */
bool log_ring_read(const struct log_ring *ring, struct log_cursor *cursor, struct log_line *line);

/** Copies len bytes of a line from position at. */
void log_ring_copy(const struct log_ring *ring, size_t at, uint8_t *to, size_t len);

/** The lines below number next are on their way from now on; they stay in the ring. */
void log_ring_take(struct log_ring *ring, uint32_t next);

/** What was taken has arrived: it leaves the ring. Nothing if nothing was taken. */
void log_ring_commit(struct log_ring *ring);

/** What was taken has not arrived: it is to be taken again. */
void log_ring_release(struct log_ring *ring);

/**
 * Cuts UTF-8 text.
 *
 * @param len Its length in bytes
 * @param max How many may stay
 *
 * @return How many bytes stay, so that none of its characters is split
 */
size_t log_text_cut(const void *text, size_t len, size_t max);

/** Bytes that a number takes as a varint, 1 to 10. */
size_t log_varint_size(uint64_t value);

/** Writes a varint; returns its length. */
size_t log_varint_put(uint8_t *to, uint64_t value);

#endif /* FLOWNEXUS_LOG_RING_H */
