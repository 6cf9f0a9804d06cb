/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include "log_message.h"

#define VERSION 1
#define FLAGS   0

/* Writes the lower bytes of a number, the most significant one first. Returns what follows. */
static uint8_t *put_number(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = bytes; i > 0; i--) {
		*to++ = (uint8_t)(value >> (8 * (i - 1)));
	}
	return to;
}

/* Room for a text in so many bytes, its length before it. */
static size_t text_room(size_t room)
{
	size_t size = log_varint_size(room);

	return room > size ? room - size : 0;
}

size_t log_message_pack(struct log_ring *ring, uint32_t boot_id, uint64_t uptime, uint8_t *buf,
			size_t size)
{
	struct log_cursor cursor;
	struct log_line line;
	uint32_t next = ring->first;
	uint64_t previous = 0;
	uint8_t *to;
	size_t len;

	if (size < LOG_MESSAGE_MIN || !log_ring_pending(ring)) {
		return 0;
	}
	to = put_number(buf, VERSION, 1);
	to = put_number(to, FLAGS, 1);
	to = put_number(to, boot_id, 4);
	to = put_number(to, ring->first, 4);
	to = put_number(to, ring->lost, 4);
	(void)put_number(to, uptime, 6);
	len = LOG_MESSAGE_HEADER;

	log_ring_begin(ring, &cursor);
	while (log_ring_read(ring, &cursor, &line)) {
		uint64_t delta = line.uptime - previous;
		size_t fixed = log_varint_size(delta) + 1 + line.module_len;
		size_t text_len = line.text_len;

		if (len + fixed + log_varint_size(text_len) + text_len > size) {
			uint8_t *text = &buf[len + fixed];
			size_t room;

			if (next != ring->first) {
				break;
			}
			/* Not even alone. The cut has to look at the text, which may lie in two parts
			 * in the ring: the rest of the message is free to hold it meanwhile
			 */
			room = text_room(size - len - fixed);
			log_ring_copy(ring, line.text, text, room);
			text_len = log_text_cut(text, text_len, room);
		}
		len += log_varint_put(&buf[len], delta);
		buf[len++] = (uint8_t)((size_t)line.severity << 5 | line.module_len);
		log_ring_copy(ring, line.module, &buf[len], line.module_len);
		len += line.module_len;
		len += log_varint_put(&buf[len], text_len);
		log_ring_copy(ring, line.text, &buf[len], text_len);
		len += text_len;
		previous = line.uptime;
		next++;
	}
	log_ring_take(ring, next);
	return len;
}
