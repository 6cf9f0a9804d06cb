/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sends the log as docs/device-logs.md has it: one message at a time, as the value of 20/0/4014.
 * Lines leave the ring when the server has answered 2.04, otherwise they are sent again.
 *
 * A device that always listens sends when an interval has passed since the first line that waits,
 * when enough bytes wait, and soon after an error. One in queue mode sends the lines that are
 * there when it wakes, and no others: a line never wakes it or keeps it awake.
 */

#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/util.h>

#include "log_message.h"
#include "log_send.h"

#define LOG_DATA LWM2M_OBJ(20, 0, 4014)

/* What follows an error goes along with it */
#define ERROR_DELAY        K_SECONDS(1)
#define INTERVAL           K_SECONDS(CONFIG_FLOWNEXUS_LOGS_INTERVAL)
/* By then Zephyr's log thread has handed over what led here */
#define WAKE_DELAY         K_MSEC(CONFIG_LOG_PROCESS_THREAD_SLEEP_MS + 500)
/* Longer than any CoAP exchange: the client has lost the message without a word */
#define ANSWER_MAX_SECONDS 300
/* After a failure: what ended a connection once must not end each new one at once */
#define PAUSE_SECONDS      60

static uint8_t ring_bytes[CONFIG_FLOWNEXUS_LOGS_RING_SIZE];
static struct log_ring ring = {.buf = ring_bytes, .size = sizeof(ring_bytes)};
static uint8_t message[CONFIG_FLOWNEXUS_LOGS_MESSAGE_SIZE];
static size_t message_len;
static K_MUTEX_DEFINE(lock);

static struct lwm2m_ctx *client;
static uint32_t boot_id;
static bool registered;
static bool kept = true;
/* A message is on its way, since when, and which one: answers name none */
static bool on_its_way;
static int64_t sent_at;
static uint32_t attempt;
static int64_t not_before;
/* Lines below this number are to be sent now */
static uint32_t due;
/* Bytes that wait beyond those, and what they ask for */
static size_t waiting;
static bool error_waits;

BUILD_ASSERT(CONFIG_FLOWNEXUS_LOGS_MESSAGE_SIZE >= LOG_MESSAGE_MIN);

static void send_next(struct k_work *work);
static void time_is_up(struct k_work *work);

static K_WORK_DEFINE(send_work, send_next);
static K_WORK_DELAYABLE_DEFINE(due_work, time_is_up);

static void send_all(void)
{
	k_mutex_lock(&lock, K_FOREVER);
	due = ring.next;
	waiting = 0;
	error_waits = false;
	k_mutex_unlock(&lock);
	(void)k_work_submit(&send_work);
}

static void time_is_up(struct k_work *work)
{
	send_all();
}

/* Sends again later: in queue mode when the device wakes. */
static void try_later(void)
{
	not_before = k_uptime_get() + PAUSE_SECONDS * MSEC_PER_SEC;
	if (!IS_ENABLED(CONFIG_LWM2M_QUEUE_MODE_ENABLED)) {
		(void)k_work_schedule(&due_work, INTERVAL);
	}
}

static void answered(enum lwm2m_send_status status, uint32_t which)
{
	bool more = false;

	k_mutex_lock(&lock, K_FOREVER);
	if (!on_its_way || which != attempt % 2) {
		/* The answer to a message that was given up */
		k_mutex_unlock(&lock);
		return;
	}
	on_its_way = false;
	if (status == LWM2M_SEND_STATUS_SUCCESS) {
		log_ring_commit(&ring);
		more = (int32_t)(ring.first - due) < 0;
	} else {
		log_ring_release(&ring);
	}
	k_mutex_unlock(&lock);
	if (more) {
		(void)k_work_submit(&send_work);
	} else if (status != LWM2M_SEND_STATUS_SUCCESS) {
		try_later();
	}
}

static void even_answered(enum lwm2m_send_status status)
{
	answered(status, 0);
}

static void odd_answered(enum lwm2m_send_status status)
{
	answered(status, 1);
}

static void send_next(struct k_work *work)
{
	lwm2m_send_cb_t callback;
	int ret;

	k_mutex_lock(&lock, K_FOREVER);
	if (on_its_way && k_uptime_get() - sent_at > ANSWER_MAX_SECONDS * MSEC_PER_SEC) {
		on_its_way = false;
		log_ring_release(&ring);
	}
	if (!registered || on_its_way) {
		k_mutex_unlock(&lock);
		return;
	}
	if (k_uptime_get() < not_before) {
		(void)k_work_schedule(&due_work, K_MSEC(not_before - k_uptime_get()));
		k_mutex_unlock(&lock);
		return;
	}
	message_len = log_message_pack(&ring, boot_id, k_uptime_get(), message, sizeof(message));
	if (message_len == 0) {
		k_mutex_unlock(&lock);
		return;
	}
	on_its_way = true;
	sent_at = k_uptime_get();
	attempt++;
	callback = attempt % 2 == 0 ? even_answered : odd_answered;
	k_mutex_unlock(&lock);

	/* Reads the resource, so calls log_send_message() */
	ret = lwm2m_send_cb(client, &LOG_DATA, 1, callback);
	if (ret < 0) {
		k_mutex_lock(&lock, K_FOREVER);
		on_its_way = false;
		log_ring_release(&ring);
		k_mutex_unlock(&lock);
		try_later();
	}
}

/* Makes the interval end earlier. */
static void send_in(k_timeout_t delay)
{
	if (k_work_delayable_remaining_get(&due_work) > delay.ticks ||
	    !k_work_delayable_is_pending(&due_work)) {
		(void)k_work_reschedule(&due_work, delay);
	}
}

static void wait_more(size_t bytes, bool error)
{
	bool full;
	bool first_error;

	if (IS_ENABLED(CONFIG_LWM2M_QUEUE_MODE_ENABLED)) {
		return;
	}
	k_mutex_lock(&lock, K_FOREVER);
	waiting += bytes;
	full = waiting >= CONFIG_FLOWNEXUS_LOGS_THRESHOLD;
	first_error = error && !error_waits;
	error_waits = error_waits || error;
	k_mutex_unlock(&lock);
	if (full) {
		send_in(K_NO_WAIT);
	} else if (first_error) {
		send_in(ERROR_DELAY);
	} else {
		(void)k_work_schedule(&due_work, INTERVAL);
	}
}

void log_send_init(struct lwm2m_ctx *ctx)
{
	client = ctx;
	boot_id = sys_rand32_get();
}

void log_send_event(enum lwm2m_rd_client_event event)
{
	switch (event) {
	case LWM2M_RD_CLIENT_EVENT_REGISTRATION_COMPLETE:
		registered = true;
		send_in(WAKE_DELAY);
		break;
	case LWM2M_RD_CLIENT_EVENT_REG_UPDATE_COMPLETE:
		registered = true;
		if (IS_ENABLED(CONFIG_LWM2M_QUEUE_MODE_ENABLED)) {
			send_in(WAKE_DELAY);
		}
		break;
	case LWM2M_RD_CLIENT_EVENT_QUEUE_MODE_RX_OFF:
		/* A Send would wake it */
		registered = false;
		break;
	case LWM2M_RD_CLIENT_EVENT_REGISTRATION_FAILURE:
	case LWM2M_RD_CLIENT_EVENT_REG_TIMEOUT:
	case LWM2M_RD_CLIENT_EVENT_NETWORK_ERROR:
	case LWM2M_RD_CLIENT_EVENT_DISCONNECT:
		registered = false;
		break;
	default:
		break;
	}
}

void log_send_line(uint64_t uptime, uint8_t severity, const char *module, const char *text,
		   size_t len, bool causes_send)
{
	size_t size = 0;

	k_mutex_lock(&lock, K_FOREVER);
	if (kept) {
		size = log_ring_append(&ring, uptime, severity, module, strlen(module), text, len);
	}
	k_mutex_unlock(&lock);
	if (size > 0 && causes_send) {
		wait_more(size, severity == LOG_SEVERITY_ERROR);
	}
}

void log_send_dropped(uint32_t count)
{
	k_mutex_lock(&lock, K_FOREVER);
	if (kept) {
		log_ring_skip(&ring, count);
	}
	k_mutex_unlock(&lock);
	wait_more(0, false);
}

void log_send_keep(bool keep)
{
	kept = keep;
}

bool log_send_keeps(void)
{
	return kept;
}

bool log_send_waiting(void)
{
	bool pending;

	k_mutex_lock(&lock, K_FOREVER);
	pending = log_ring_pending(&ring);
	k_mutex_unlock(&lock);
	return pending;
}

const uint8_t *log_send_message(size_t *len)
{
	k_mutex_lock(&lock, K_FOREVER);
	if (!on_its_way) {
		message_len =
			log_message_pack(&ring, boot_id, k_uptime_get(), message, sizeof(message));
		log_ring_release(&ring);
	}
	*len = message_len;
	k_mutex_unlock(&lock);
	return message;
}
