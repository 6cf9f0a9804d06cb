/*
 * SPDX-License-Identifier: Apache-2.0
 */

#ifndef FLOWNEXUS_SERIES_H
#define FLOWNEXUS_SERIES_H

#include <stdint.h>

#include <zephyr/net/lwm2m.h>

/** A value with its time. */
struct series_sample {
	/** Uptime in seconds. */
	uint32_t second;
	int32_t value;
};

/** The values of a resource that have not arrived yet; it has to stay where it is. */
struct series {
	/** A resource without resource instances. */
	struct lwm2m_obj_path path;
	/** The resource is value / divisor: of type Float, or if 0 an 8-bit Integer, value itself. */
	int32_t divisor;
	/* The rest is series.c's: samples first to next - 1 are kept, those below taken on their way */
	uint32_t first;
	uint32_t next;
	uint32_t taken;
	uint32_t due;
	struct series_sample samples[CONFIG_FLOWNEXUS_SERIES_SAMPLES];
	struct lwm2m_time_series_elem cache[CONFIG_FLOWNEXUS_SERIES_BATCH];
};

/**
 * Prepares to upload: to be called once, before lwm2m_rd_client_start().
 *
 * @param ctx The client that sends
 */
void series_init(struct lwm2m_ctx *ctx);

/** What happens to the registration: to be called from the client's event callback. */
void series_event(enum lwm2m_rd_client_event event);

/** Makes a resource a series. Returns 0 or a negative errno. */
int series_add(struct series *series);

/**
 * Keeps a value of now until it has arrived. The resource reads it from then on; its observers
 * are not told.
 */
void series_put(struct series *series, int32_t value);

#endif /* FLOWNEXUS_SERIES_H */
