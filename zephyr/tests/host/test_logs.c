/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Host tests of log_ring.c and log_message.c: random runs against a naive model, with every size
 * of ring and message. "test_logs golden" writes the message of docs/device-logs.md's example to
 * stdout, "test_logs sample SEED" a longer one and, on stderr, what is in it.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_message.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s (seed %" PRIu32 ")\n", __FILE__,      \
				__LINE__, #condition, first_seed);                                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define LINES_MAX 400
#define TEXT_MAX  300
#define RING_MAX  700
#define BOOT_ID   0x1a2b3c4dU

static uint32_t first_seed;
static uint32_t seed;

/* xorshift: the same runs on every machine. */
static uint32_t draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static void start_run(uint32_t number)
{
	first_seed = number;
	seed = number * 2654435761U + 1;
}

/* -- a naive model */

enum state { KEPT, GIVEN_UP, ARRIVED };

struct model_line {
	enum state state;
	uint64_t uptime;
	uint8_t severity;
	char module[LOG_MODULE_MAX];
	size_t module_len;
	char text[TEXT_MAX];
	size_t text_len;
	/* In the ring */
	size_t size;
};

static struct model_line lines[LINES_MAX];
static uint32_t line_count;

/* Bytes of the character that begins here; 1 for a byte that begins none. */
static size_t character_len(const char *text, size_t len)
{
	uint8_t lead = (uint8_t)text[0];
	size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;

	return wanted <= len ? wanted : 1;
}

/* Whole characters of a valid text, as many as fit. */
static size_t naive_cut(const char *text, size_t len, size_t max)
{
	size_t at = 0;

	while (at < len && at + character_len(text + at, len - at) <= max) {
		at += character_len(text + at, len - at);
	}
	return at;
}

static size_t random_text(char *text, size_t below)
{
	static const char *const characters[] = {"a", "B", " ", "\xc3\xa4", "\xe2\x82\xac",
						 "\xf0\x9f\x94\xa5", "%", "\x7f"};
	size_t wanted = draw((uint32_t)below);
	size_t len = 0;

	while (len < wanted) {
		const char *character = characters[draw(8)];

		if (len + strlen(character) > wanted) {
			break;
		}
		memcpy(text + len, character, strlen(character));
		len += strlen(character);
	}
	return len;
}

/* -- an independent reader of messages */

struct message {
	uint32_t boot_id;
	uint32_t first;
	uint32_t lost;
	uint64_t uptime;
	size_t count;
};

static uint64_t number(const uint8_t *bytes, int len)
{
	uint64_t value = 0;

	for (int i = 0; i < len; i++) {
		value = value * 256 + bytes[i];
	}
	return value;
}

static uint64_t varint(const uint8_t *bytes, size_t len, size_t *at)
{
	uint64_t value = 0;
	uint64_t factor = 1;

	for (int i = 0; i < 10; i++) {
		CHECK(*at < len);
		value += (bytes[*at] & 0x7f) * factor;
		if (bytes[(*at)++] < 0x80) {
			break;
		}
		factor *= 128;
	}
	return value;
}

/* Reads a message and compares its lines with the model's; texts may be shortened if it says so. */
static struct message read_message(const uint8_t *bytes, size_t len, size_t size)
{
	struct message message;
	size_t at = LOG_MESSAGE_HEADER;
	uint64_t uptime = 0;

	CHECK(len >= LOG_MESSAGE_HEADER && len <= size);
	CHECK(bytes[0] == 1 && bytes[1] == 0);
	message.boot_id = (uint32_t)number(bytes + 2, 4);
	message.first = (uint32_t)number(bytes + 6, 4);
	message.lost = (uint32_t)number(bytes + 10, 4);
	message.uptime = number(bytes + 14, 6);
	message.count = 0;
	while (at < len) {
		const struct model_line *line;
		uint8_t head;
		size_t text_len;

		CHECK(message.first + message.count < line_count);
		line = &lines[message.first + message.count];
		uptime += varint(bytes, len, &at);
		CHECK(uptime == line->uptime);
		CHECK(at < len);
		head = bytes[at++];
		CHECK(head >> 5 == line->severity && (head & 0x1f) == line->module_len);
		CHECK(at + line->module_len <= len);
		CHECK(memcmp(bytes + at, line->module, line->module_len) == 0);
		at += line->module_len;
		text_len = varint(bytes, len, &at);
		CHECK(at + text_len <= len);
		CHECK(memcmp(bytes + at, line->text, text_len) == 0);
		at += text_len;
		if (text_len != line->text_len) {
			/* Only the first one may be cut, between characters, and not too much */
			CHECK(message.count == 0);
			CHECK(text_len == naive_cut(line->text, line->text_len, text_len));
			CHECK(size - at < 5);
		}
		message.count++;
	}
	return message;
}

/* -- the ring against the model */

static struct log_ring ring;
static uint8_t *ring_bytes;
static size_t ring_size;
static uint64_t now;

/* Empties a copy of the ring, message by message, and compares all that is in it. */
static void compare(void)
{
	static uint8_t bytes[RING_MAX];
	uint8_t message_bytes[LOG_MESSAGE_MIN + 200];
	struct log_ring copy = ring;
	uint32_t told = 0;
	uint32_t number_next = 0;
	size_t kept = 0;

	CHECK(ring.used <= ring.size);
	CHECK(ring.next == line_count);
	if (ring_size > 0) {
		memcpy(bytes, ring_bytes, ring_size);
	}
	copy.buf = bytes;
	for (uint32_t i = 0; i < line_count; i++) {
		kept += lines[i].state == KEPT;
	}
	/* As if what is on its way were lost there */
	log_ring_release(&copy);
	while (log_ring_pending(&copy)) {
		size_t size = LOG_MESSAGE_MIN + draw(200);
		size_t len = log_message_pack(&copy, BOOT_ID, now, message_bytes, size);
		struct message message = read_message(message_bytes, len, size);
		uint32_t lost = 0;

		for (uint32_t i = 0; i < message.first; i++) {
			lost += lines[i].state == GIVEN_UP;
		}
		CHECK(message.boot_id == BOOT_ID && message.uptime == now);
		CHECK(message.lost == lost);
		CHECK(message.first >= number_next);
		for (uint32_t i = 0; i < message.count; i++) {
			CHECK(lines[message.first + i].state == KEPT);
		}
		kept -= message.count;
		number_next = message.first + (uint32_t)message.count;
		CHECK(message.count > 0 || lost != told);
		told = lost;
		log_ring_commit(&copy);
	}
	CHECK(kept == 0);
	CHECK(copy.used == 0 && copy.first == copy.next);
}

static void model_add(uint8_t severity, const char *module, size_t module_len, const char *text,
		      size_t text_len)
{
	struct model_line *line = &lines[line_count++];

	*line = (struct model_line){.state = KEPT, .severity = severity, .uptime = now};
	line->module_len = naive_cut(module, module_len, LOG_MODULE_MAX);
	memcpy(line->module, module, line->module_len);
	line->text_len = text_len;
	memcpy(line->text, text, text_len);
}

static void append(void)
{
	char module[60];
	char text[TEXT_MAX];
	size_t module_len = random_text(module, draw(10) == 0 ? sizeof(module) : 12);
	size_t text_len = random_text(text, draw(4) == 0 ? TEXT_MAX : 40);
	uint8_t severity = (uint8_t)(1 + draw(4));
	uint64_t late = draw(5) == 0 ? draw(1000) : 0;
	uint64_t previous = ring.newest;
	struct model_line *line;
	size_t fixed;
	size_t needed;

	now += draw(3) == 0 ? 0 : draw(draw(50) == 0 ? 0x7fffffff : 5000);
	/* A line that comes late has the time of the one before */
	line = &lines[line_count];
	model_add(severity, module, module_len, text, text_len);
	line->size = log_ring_append(&ring, now > late ? now - late : 0, severity, module, module_len,
				     text, text_len);
	line->uptime = ring.newest;
	if (line->size == 0) {
		line->state = GIVEN_UP;
		CHECK(ring_size < 1 + 10 + LOG_MODULE_MAX + 1);
		return;
	}
	/* The ring may have cut the text, but only if it does not fit into all of it */
	needed = line->size;
	fixed = log_varint_size(ring.newest - previous) + 1 + line->module_len;
	while (line->size < fixed + log_varint_size(line->text_len) + line->text_len) {
		CHECK(line->text_len > 0);
		line->text_len = naive_cut(text, text_len, line->text_len - 1);
	}
	CHECK(line->size == fixed + log_varint_size(line->text_len) + line->text_len);
	CHECK(line->text_len == text_len || ring_size - line->size < 5);
	for (uint32_t i = ring.first; i-- > 0;) {
		if (lines[i].state == KEPT) {
			lines[i].state = GIVEN_UP;
			if (needed > 0) {
				/* The newest one of those could not have stayed */
				CHECK(ring.used + lines[i].size + 12 > ring_size);
				needed = 0;
			}
		}
	}
}

static void skip(void)
{
	uint32_t count = 1 + draw(draw(10) == 0 ? 30 : 3);

	log_ring_skip(&ring, count);
	for (uint32_t i = 0; i < count; i++) {
		model_add(1, "", 0, "", 0);
		lines[line_count - 1].state = GIVEN_UP;
	}
}

static void random_run(size_t size)
{
	uint8_t message_bytes[LOG_MESSAGE_MIN + 300];
	bool on_its_way = false;
	struct message message = {0};

	ring_size = size;
	/* Exactly that long, so that the sanitizer sees every step beyond */
	ring_bytes = size > 0 ? malloc(size) : NULL;
	CHECK(size == 0 || ring_bytes != NULL);
	log_ring_init(&ring, ring_bytes, size);
	line_count = 0;
	now = draw(2) == 0 ? 0 : 0xffffffffffULL;
	while (line_count < LINES_MAX - 40) {
		switch (draw(10)) {
		case 0:
			skip();
			break;
		case 1:
		case 2:
			if (!on_its_way) {
				size_t room = LOG_MESSAGE_MIN + draw(300);
				size_t len = log_message_pack(&ring, BOOT_ID, now, message_bytes, room);

				CHECK((len > 0) == log_ring_pending(&ring));
				if (len > 0) {
					message = read_message(message_bytes, len, room);
					on_its_way = true;
				}
			} else if (draw(3) == 0) {
				/* No answer */
				log_ring_release(&ring);
				on_its_way = false;
			} else {
				log_ring_commit(&ring);
				on_its_way = false;
				for (uint32_t i = 0; i < message.count; i++) {
					/* Whether or not it still was in the ring */
					lines[message.first + i].state = ARRIVED;
				}
			}
			break;
		default:
			append();
			break;
		}
		compare();
	}
	free(ring_bytes);
}

/* -- particular cases */

static void test_cut(void)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\xa5z";
	static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
	static const char bad[] = "\x80\x80\x80\x80\x80\x80";

	for (size_t max = 0; max < sizeof(expected) / sizeof(expected[0]); max++) {
		CHECK(log_text_cut(text, sizeof(text) - 1, max) == expected[max]);
		CHECK(naive_cut(text, sizeof(text) - 1, max) == expected[max]);
	}
	CHECK(log_text_cut(text, 3, 100) == 3);
	/* No text at all: cut anywhere, but not to nothing */
	CHECK(log_text_cut(bad, 6, 5) == 5);
	CHECK(log_text_cut(bad, 6, 2) == 2);
}

static void test_varint(void)
{
	uint8_t bytes[10];
	size_t at;

	for (int shift = 0; shift < 64; shift++) {
		for (int more = -1; more <= 1; more++) {
			uint64_t value = (UINT64_C(1) << shift) + (uint64_t)(int64_t)more;

			at = 0;
			CHECK(log_varint_put(bytes, value) == log_varint_size(value));
			CHECK(varint(bytes, 10, &at) == value && at == log_varint_size(value));
		}
	}
}

static void add(const char *module, uint64_t uptime, uint8_t severity, const char *text)
{
	(void)log_ring_append(&ring, uptime, severity, module, strlen(module), text, strlen(text));
}

/* Lines given up while they were on their way have arrived: they are not lost. */
static void test_on_its_way(void)
{
	static uint8_t bytes[40];
	uint8_t message[100];

	log_ring_init(&ring, bytes, sizeof(bytes));
	add("m", 1, 1, "first text");
	add("m", 2, 1, "second text");
	CHECK(log_message_pack(&ring, 1, 3, message, sizeof(message)) > LOG_MESSAGE_HEADER);
	add("m", 3, 1, "a text that takes the room");
	CHECK(ring.lost == 2 && ring.first == 2);
	log_ring_commit(&ring);
	CHECK(ring.lost == 0 && ring.first == 2 && log_ring_pending(&ring));
	CHECK(log_message_pack(&ring, 1, 3, message, 63) == 0);
}

/* Nothing but a loss is a message without lines, told once. */
static void test_only_lost(void)
{
	uint8_t message[64];

	log_ring_init(&ring, NULL, 0);
	CHECK(log_message_pack(&ring, 1, 5, message, sizeof(message)) == 0);
	add("m", 1, 1, "text");
	CHECK(log_message_pack(&ring, 1, 5, message, sizeof(message)) == LOG_MESSAGE_HEADER);
	CHECK(number(message + 6, 4) == 1 && number(message + 10, 4) == 1);
	log_ring_release(&ring);
	CHECK(log_message_pack(&ring, 1, 5, message, sizeof(message)) == LOG_MESSAGE_HEADER);
	log_ring_commit(&ring);
	CHECK(!log_ring_pending(&ring));
	CHECK(log_message_pack(&ring, 1, 5, message, sizeof(message)) == 0);
}

/* Numbers go on behind the largest one. */
static void test_overflow(void)
{
	static uint8_t bytes[60];
	uint8_t message[100];

	log_ring_init(&ring, bytes, sizeof(bytes));
	log_ring_skip(&ring, 0x7fffffff);
	log_ring_skip(&ring, 0x7fffffff);
	CHECK(ring.first == 0xfffffffe);
	add("m", 1, 1, "one");
	add("m", 1, 1, "two");
	add("m", 1, 1, "three");
	CHECK(log_message_pack(&ring, 1, 5, message, sizeof(message)) == LOG_MESSAGE_HEADER + 23);
	log_ring_commit(&ring);
	CHECK(ring.first == 1 && ring.used == 0);
}

/* -- messages for other readers */

static int write_golden(void)
{
	static uint8_t bytes[200];
	uint8_t message[128];
	size_t len;

	log_ring_init(&ring, bytes, sizeof(bytes));
	for (int i = 0; i < 5; i++) {
		add("m", 0, 1, "arrived before");
	}
	CHECK(log_message_pack(&ring, 0, 0, message, sizeof(message)) > 0);
	log_ring_commit(&ring);
	log_ring_skip(&ring, 2);
	add("net", 123000, LOG_SEVERITY_WARNING, "weak signal");
	add("sensor", 123200, LOG_SEVERITY_DEBUG, "21.5 \xc2\xb0" "C");
	len = log_message_pack(&ring, BOOT_ID, 123456, message, sizeof(message));
	return fwrite(message, 1, len, stdout) == len ? 0 : 1;
}

static int write_sample(uint32_t run)
{
	static uint8_t bytes[4096];
	static uint8_t message_bytes[1024];
	struct message message;
	size_t len;

	start_run(run);
	ring_bytes = bytes;
	ring_size = sizeof(bytes);
	log_ring_init(&ring, bytes, sizeof(bytes));
	for (int i = 0; i < 200; i++) {
		append();
	}
	len = log_message_pack(&ring, BOOT_ID, now, message_bytes,
			       LOG_MESSAGE_MIN + draw(sizeof(message_bytes) - LOG_MESSAGE_MIN + 1));
	message = read_message(message_bytes, len, sizeof(message_bytes));
	fprintf(stderr, "%" PRIu32 " %" PRIu32 " %" PRIu64 " %zu\n", message.first, message.lost, now,
		message.count);
	for (size_t i = 0; i < message.count; i++) {
		const struct model_line *line = &lines[message.first + i];

		fprintf(stderr, "%" PRIu64 " %u ", line->uptime, line->severity);
		for (size_t j = 0; j < line->module_len; j++) {
			fprintf(stderr, "%02x", (uint8_t)line->module[j]);
		}
		fputs(" ", stderr);
		for (size_t j = 0; j < line->text_len; j++) {
			fprintf(stderr, "%02x", (uint8_t)line->text[j]);
		}
		fputs("\n", stderr);
	}
	return fwrite(message_bytes, 1, len, stdout) == len ? 0 : 1;
}

int main(int argc, char **argv)
{
	unsigned int runs = 0;

	if (argc > 1 && strcmp(argv[1], "golden") == 0) {
		return write_golden();
	}
	if (argc > 2 && strcmp(argv[1], "sample") == 0) {
		return write_sample((uint32_t)strtoul(argv[2], NULL, 10));
	}
	test_cut();
	test_varint();
	test_on_its_way();
	test_only_lost();
	test_overflow();
	for (size_t size = 0; size <= RING_MAX; size++) {
		start_run((uint32_t)size + 1);
		random_run(size);
		runs++;
	}
	printf("%u random runs\n", runs);
	return 0;
}
