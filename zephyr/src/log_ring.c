/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A record in the ring looks like a line in a message (docs/device-logs.md): milliseconds since
 * the record before, severity and length of the module, module, length of the text, text. One of
 * severity 0 stands for lines that were given up at that place: 0, 0, how many.
 */

#include "log_ring.h"

#include <string.h>

#define VARINT_MAX 10
/* Severity 0: lines given up */
#define GAP_HEAD   0

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t log_varint_size(uint64_t value)
{
	size_t size = 1;

	while (value >= 0x80) {
		value >>= 7;
		size++;
	}
	return size;
}

size_t log_varint_put(uint8_t *to, uint64_t value)
{
	size_t size = 0;

	while (value >= 0x80) {
		to[size++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	to[size++] = (uint8_t)value;
	return size;
}

size_t log_text_cut(const void *text, size_t len, size_t max)
{
	const uint8_t *bytes = text;
	size_t start = max;
	size_t following = 0;
	size_t expected;

	if (len <= max) {
		return len;
	}
	/* The last character that begins before the cut */
	while (start > 0 && following < 3 && (bytes[start - 1] & 0xc0) == 0x80) {
		start--;
		following++;
	}
	if (start == 0) {
		return max;
	}
	start--;
	if (bytes[start] >= 0xf0) {
		expected = 3;
	} else if (bytes[start] >= 0xe0) {
		expected = 2;
	} else {
		expected = bytes[start] >= 0xc0 ? 1 : 0;
	}
	return following < expected ? start : max;
}

/* Position n bytes behind at; n is at most the ring's size. */
static size_t ahead(const struct log_ring *ring, size_t at, size_t n)
{
	size_t to_end = ring->size - at;

	return n < to_end ? at + n : n - to_end;
}

static uint64_t varint_get(const struct log_ring *ring, size_t *at)
{
	uint64_t value = 0;
	uint8_t byte;
	unsigned int shift = 0;

	do {
		byte = ring->buf[*at];
		*at = ahead(ring, *at, 1);
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) != 0 && shift < 7 * VARINT_MAX);
	return value;
}

/* Reads the record at a position. Returns its length. */
static size_t record_get(const struct log_ring *ring, size_t at, uint64_t *delta, struct log_line *line,
			 uint64_t *gap)
{
	size_t start = at;
	uint8_t head;
	size_t end;

	*delta = varint_get(ring, &at);
	head = ring->buf[at];
	at = ahead(ring, at, 1);
	*gap = 0;
	if (head == GAP_HEAD) {
		*gap = varint_get(ring, &at);
		end = at;
	} else {
		line->severity = head >> 5;
		line->module_len = head & 0x1f;
		line->module = at;
		at = ahead(ring, at, line->module_len);
		line->text_len = (size_t)varint_get(ring, &at);
		line->text = at;
		end = ahead(ring, at, line->text_len);
	}
	/* A record may fill the whole ring, never nothing */
	return end > start ? end - start : ring->size - start + end;
}

static void put(struct log_ring *ring, const void *from, size_t len)
{
	size_t at = ahead(ring, ring->tail, ring->used);
	size_t here = min_size(len, ring->size - at);

	if (len > 0) {
		memcpy(&ring->buf[at], from, here);
		memcpy(ring->buf, (const uint8_t *)from + here, len - here);
		ring->used += len;
	}
}

/* True if number a comes before number b. */
static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* The oldest record leaves; lines given up that it stands for are counted. */
static void remove_oldest(struct log_ring *ring)
{
	struct log_line line;
	uint64_t delta;
	uint64_t gap;
	size_t len = record_get(ring, ring->tail, &delta, &line, &gap);

	ring->tail = ahead(ring, ring->tail, len);
	ring->used -= len;
	ring->before += delta;
	ring->first += gap == 0 ? 1 : (uint32_t)gap;
	ring->lost += (uint32_t)gap;
}

/* Counts what was given up before the oldest line. */
static void settle(struct log_ring *ring)
{
	struct log_line line;
	uint64_t delta;
	uint64_t gap = 1;

	while (ring->used > 0 && gap > 0) {
		(void)record_get(ring, ring->tail, &delta, &line, &gap);
		if (gap > 0) {
			remove_oldest(ring);
		}
	}
	if (ring->used == 0) {
		ring->first += ring->gap;
		ring->lost += ring->gap;
		ring->gap = 0;
	}
}

static void give_up_oldest(struct log_ring *ring)
{
	/* The oldest record is always a line */
	if (before(ring->first, ring->taken)) {
		ring->taken_lost++;
	}
	ring->lost++;
	remove_oldest(ring);
	settle(ring);
}

void log_ring_init(struct log_ring *ring, uint8_t *buf, size_t size)
{
	*ring = (struct log_ring){.buf = buf, .size = size};
}

void log_ring_skip(struct log_ring *ring, uint32_t count)
{
	ring->next += count;
	ring->gap += count;
	settle(ring);
}

static size_t gap_size(const struct log_ring *ring)
{
	return ring->gap == 0 ? 0 : 2 + log_varint_size(ring->gap);
}

size_t log_ring_append(struct log_ring *ring, uint64_t uptime, uint8_t severity, const char *module,
		       size_t module_len, const char *text, size_t text_len)
{
	uint64_t time = uptime > ring->newest ? uptime : ring->newest;
	uint64_t delta = time - ring->newest;
	uint8_t head[VARINT_MAX];
	size_t fixed;
	size_t len;

	module_len = log_text_cut(module, module_len, LOG_MODULE_MAX);
	fixed = log_varint_size(delta) + 1 + module_len;
	if (fixed + log_varint_size(text_len) + text_len > ring->size) {
		size_t room = ring->size > fixed ? ring->size - fixed : 0;

		room = room > log_varint_size(room) ? room - log_varint_size(room) : 0;
		text_len = log_text_cut(text, text_len, room);
	}
	len = fixed + log_varint_size(text_len) + text_len;
	if (len > ring->size) {
		log_ring_skip(ring, 1);
		return 0;
	}
	while (ring->size - ring->used < gap_size(ring) + len) {
		/* With the last line the gap behind it is gone, too */
		give_up_oldest(ring);
	}
	if (ring->gap > 0) {
		uint8_t gap[2 + VARINT_MAX] = {0, GAP_HEAD};

		put(ring, gap, 2 + log_varint_put(&gap[2], ring->gap));
		ring->gap = 0;
	}
	put(ring, head, log_varint_put(head, delta));
	head[0] = (uint8_t)((size_t)severity << 5 | module_len);
	put(ring, head, 1);
	put(ring, module, module_len);
	put(ring, head, log_varint_put(head, text_len));
	put(ring, text, text_len);
	ring->newest = time;
	ring->next++;
	return len;
}

bool log_ring_pending(const struct log_ring *ring)
{
	return ring->used > 0 || ring->lost != ring->told;
}

void log_ring_begin(const struct log_ring *ring, struct log_cursor *cursor)
{
	*cursor = (struct log_cursor){.at = ring->tail, .left = ring->used, .uptime = ring->before};
}

bool log_ring_read(const struct log_ring *ring, struct log_cursor *cursor, struct log_line *line)
{
	uint64_t delta;
	uint64_t gap;
	size_t len;

	if (cursor->left == 0) {
		return false;
	}
	len = record_get(ring, cursor->at, &delta, line, &gap);
	if (gap > 0) {
		return false;
	}
	cursor->uptime += delta;
	line->uptime = cursor->uptime;
	cursor->at = ahead(ring, cursor->at, len);
	cursor->left -= len;
	return true;
}

void log_ring_copy(const struct log_ring *ring, size_t at, uint8_t *to, size_t len)
{
	size_t here = min_size(len, ring->size - at);

	if (len > 0) {
		memcpy(to, &ring->buf[at], here);
		memcpy(to + here, ring->buf, len - here);
	}
}

void log_ring_take(struct log_ring *ring, uint32_t next)
{
	ring->taken = next;
	ring->taken_lost = 0;
	ring->telling = ring->lost;
}

void log_ring_commit(struct log_ring *ring)
{
	while (ring->used > 0 && before(ring->first, ring->taken)) {
		remove_oldest(ring);
	}
	/* What was given up on its way has arrived all the same */
	ring->lost -= ring->taken_lost;
	ring->told = ring->telling;
	log_ring_release(ring);
	settle(ring);
}

void log_ring_release(struct log_ring *ring)
{
	ring->taken = ring->first;
	ring->taken_lost = 0;
	ring->telling = ring->told;
}
