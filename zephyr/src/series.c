/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Values that are sampled often and uploaded rarely: one timestamped Send for all series, and the
 * samples are kept until the server has answered 2.04.
 *
 * Zephyr's client can send a series (lwm2m_enable_cache()), but empties its cache when it builds
 * the message, answered or not, and stamps the samples with time(). So they are kept here, with
 * the uptime, and each Send finds them in the cache for just as long as it is being built. With
 * a clock (3/0/13) the times are absolute, and the same if they have to be sent again; without
 * one they are relative to the moment of sending.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/ring_buffer.h>
#include <zephyr/sys/util.h>

#include "lwm2m_registry.h"

#include "series.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define CURRENT_TIME LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, 13)

/* SenML takes times below for relative ones (RFC 8428, 4.5.3); it is 1978 */
#define RELATIVE_BELOW     BIT64(28)
/* Longer than any CoAP exchange: the client has lost the message without a word */
#define ANSWER_MAX_SECONDS 300
/* After a failure, and twice as long each time up to the interval between two uploads */
#define RETRY_SECONDS      60

#define SERIES_MAX CONFIG_LWM2M_MAX_CACHED_RESOURCES

BUILD_ASSERT(CONFIG_FLOWNEXUS_SERIES_BATCH <= CONFIG_FLOWNEXUS_SERIES_SAMPLES);
/* Else Zephyr would make several messages of one Send, with one callback for all */
BUILD_ASSERT(SERIES_MAX * CONFIG_FLOWNEXUS_SERIES_BATCH <= CONFIG_LWM2M_RW_SENML_CBOR_RECORDS);

static struct series *all[SERIES_MAX];
static size_t count;
static struct lwm2m_ctx *client;
static bool registered;
/* A Send is on its way, since when, and which one: answers name none */
static bool on_its_way;
static int64_t sent_at;
static uint32_t attempt;
static uint32_t retry_seconds = RETRY_SECONDS;
static int64_t not_before;
static K_MUTEX_DEFINE(lock);

static void send_next(struct k_work *work);
static void upload(struct k_work *work);

static K_WORK_DEFINE(send_work, send_next);
static K_WORK_DELAYABLE_DEFINE(upload_work, upload);
static K_WORK_DELAYABLE_DEFINE(retry_work, send_next);

static uint32_t uptime_seconds(void)
{
	return (uint32_t)(k_uptime_get() / MSEC_PER_SEC);
}

/* Seconds since 1970 at the boot; 0 if the device has no clock. */
static time_t boot_time(void)
{
	time_t now = 0;
	uint32_t uptime;

	/* Within one second of the uptime */
	do {
		uptime = uptime_seconds();
		(void)lwm2m_get_time(&CURRENT_TIME, &now);
	} while (uptime != uptime_seconds());
	return now < (time_t)RELATIVE_BELOW ? 0 : now - (time_t)uptime;
}

static bool is_due(const struct series *series)
{
	return (int32_t)(series->first - series->due) < 0;
}

static void upload(struct k_work *work)
{
	(void)k_work_schedule(&upload_work, K_SECONDS(CONFIG_FLOWNEXUS_SERIES_UPLOAD_SECONDS));
	k_mutex_lock(&lock, K_FOREVER);
	for (size_t i = 0; i < count; i++) {
		all[i]->due = all[i]->next;
	}
	k_mutex_unlock(&lock);
	(void)k_work_submit(&send_work);
}

static void try_later(void)
{
	not_before = k_uptime_get() + (int64_t)retry_seconds * MSEC_PER_SEC;
	(void)k_work_reschedule(&retry_work, K_SECONDS(retry_seconds));
	retry_seconds = MAX(RETRY_SECONDS,
			    MIN(2 * retry_seconds, CONFIG_FLOWNEXUS_SERIES_UPLOAD_SECONDS));
}

static void answered(enum lwm2m_send_status status, uint32_t which)
{
	bool more = false;

	k_mutex_lock(&lock, K_FOREVER);
	if (!on_its_way || which != attempt % 2) {
		/* The answer to a Send that was given up */
		k_mutex_unlock(&lock);
		return;
	}
	on_its_way = false;
	for (size_t i = 0; i < count; i++) {
		struct series *series = all[i];

		/* Some may have been given up meanwhile */
		if (status == LWM2M_SEND_STATUS_SUCCESS &&
		    (int32_t)(series->taken - series->first) > 0) {
			series->first = series->taken;
		}
		more = more || is_due(series);
	}
	k_mutex_unlock(&lock);
	if (status != LWM2M_SEND_STATUS_SUCCESS) {
		try_later();
		return;
	}
	retry_seconds = RETRY_SECONDS;
	if (more) {
		(void)k_work_submit(&send_work);
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

/* Fills Zephyr's cache with the oldest samples. Returns how many there are. */
static uint32_t fill(struct series *series, time_t base)
{
	struct lwm2m_time_series_resource *cache = lwm2m_cache_entry_get_by_object(&series->path);
	uint32_t samples = MIN(series->due - series->first, CONFIG_FLOWNEXUS_SERIES_BATCH);

	series->taken = series->first;
	if (!is_due(series) || cache == NULL) {
		return 0;
	}
	ring_buf_reset(&cache->rb);
	for (uint32_t i = 0; i < samples; i++) {
		const struct series_sample *sample =
			&series->samples[(series->first + i) % CONFIG_FLOWNEXUS_SERIES_SAMPLES];
		struct lwm2m_time_series_elem elem = {.t = base + (time_t)sample->second};

		if (series->divisor == 0) {
			elem.u8 = (uint8_t)sample->value;
		} else {
			elem.f = (double)sample->value / series->divisor;
		}
		(void)lwm2m_cache_write(cache, &elem);
	}
	series->taken = series->first + samples;
	return samples;
}

static void send_next(struct k_work *work)
{
	struct lwm2m_obj_path paths[SERIES_MAX];
	uint8_t path_count = 0;
	uint32_t samples = 0;
	time_t base;
	int ret;

	k_mutex_lock(&lock, K_FOREVER);
	if (on_its_way && k_uptime_get() - sent_at > ANSWER_MAX_SECONDS * MSEC_PER_SEC) {
		on_its_way = false;
	}
	if (!registered || on_its_way || k_uptime_get() < not_before) {
		/* The answer, the registration or the end of the pause leads here again */
		k_mutex_unlock(&lock);
		return;
	}
	k_mutex_unlock(&lock);

	/* Nobody else reads the cache meanwhile; the registry's lock always comes first */
	lwm2m_registry_lock();
	base = boot_time();
	if (base == 0) {
		base = -(time_t)uptime_seconds();
	}
	k_mutex_lock(&lock, K_FOREVER);
	for (size_t i = 0; i < count; i++) {
		uint32_t filled = fill(all[i], base);

		if (filled > 0) {
			paths[path_count++] = all[i]->path;
			samples += filled;
		}
	}
	if (samples == 0) {
		k_mutex_unlock(&lock);
		lwm2m_registry_unlock();
		return;
	}
	on_its_way = true;
	sent_at = k_uptime_get();
	attempt++;
	k_mutex_unlock(&lock);
	ret = lwm2m_send_cb(client, paths, path_count,
			    attempt % 2 == 0 ? even_answered : odd_answered);
	for (size_t i = 0; i < path_count; i++) {
		ring_buf_reset(&lwm2m_cache_entry_get_by_object(&paths[i])->rb);
	}
	lwm2m_registry_unlock();

	if (ret < 0) {
		k_mutex_lock(&lock, K_FOREVER);
		on_its_way = false;
		k_mutex_unlock(&lock);
		try_later();
	} else {
		LOG_INF("Upload: %u values, %s", samples,
			base > 0 ? "with their times" : "times relative, there is no clock");
	}
}

void series_init(struct lwm2m_ctx *ctx)
{
	client = ctx;
	(void)k_work_schedule(&upload_work, K_SECONDS(CONFIG_FLOWNEXUS_SERIES_UPLOAD_SECONDS));
}

void series_event(enum lwm2m_rd_client_event event)
{
	switch (event) {
	case LWM2M_RD_CLIENT_EVENT_REGISTRATION_COMPLETE:
		/* The server is there again: a long pause is not waited out. Not at once, either:
		 * it may have been the Send that ended the session
		 */
		not_before = MIN(not_before, k_uptime_get() + RETRY_SECONDS * MSEC_PER_SEC);
		(void)k_work_reschedule(&retry_work, K_MSEC(MAX(0, not_before - k_uptime_get())));
		__fallthrough;
	case LWM2M_RD_CLIENT_EVENT_REG_UPDATE_COMPLETE:
		registered = true;
		/* What is due and has not been answered */
		(void)k_work_submit(&send_work);
		break;
	case LWM2M_RD_CLIENT_EVENT_REGISTRATION_FAILURE:
	case LWM2M_RD_CLIENT_EVENT_REG_TIMEOUT:
	case LWM2M_RD_CLIENT_EVENT_NETWORK_ERROR:
	case LWM2M_RD_CLIENT_EVENT_DISCONNECT:
		registered = false;
		break;
	default:
		/* A device that sleeps is woken by the Send */
		break;
	}
}

int series_add(struct series *series)
{
	int ret = count < SERIES_MAX ? 0 : -ENOSPC;

	if (ret == 0) {
		ret = lwm2m_enable_cache(&series->path, series->cache, ARRAY_SIZE(series->cache));
	}
	if (ret == 0) {
		all[count++] = series;
	}
	return ret;
}

void series_put(struct series *series, int32_t value)
{
	void *resource;
	uint16_t size;
	uint16_t len;
	uint8_t flags;

	/* As lwm2m_set_*(), which would tell observers and write to the cache */
	lwm2m_registry_lock();
	if (lwm2m_get_res_buf(&series->path, &resource, &size, &len, &flags) == 0) {
		if (series->divisor == 0) {
			*(uint8_t *)resource = (uint8_t)value;
		} else {
			double real = (double)value / series->divisor;

			memcpy(resource, &real, sizeof(real));
		}
	}
	lwm2m_registry_unlock();

	k_mutex_lock(&lock, K_FOREVER);
	if (series->next - series->first == CONFIG_FLOWNEXUS_SERIES_SAMPLES) {
		if (series->first % CONFIG_FLOWNEXUS_SERIES_BATCH == 0) {
			LOG_WRN("More values than wait for an upload: the oldest go");
		}
		series->first++;
	}
	series->samples[series->next++ % CONFIG_FLOWNEXUS_SERIES_SAMPLES] =
		(struct series_sample){.second = uptime_seconds(), .value = value};
	k_mutex_unlock(&lock);
}
