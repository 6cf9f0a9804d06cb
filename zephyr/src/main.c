/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers with the server and stays registered: whatever ends a connection is logged with
 * what to check, and the next attempt follows after a pause that doubles up to
 * CONFIG_FLOWNEXUS_RETRY_MAX_SECONDS.
 */

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/logging/log_ctrl.h>
#include <zephyr/net/conn_mgr_connectivity.h>
#include <zephyr/net/socket.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/util.h>

#include "app.h"
#if defined(CONFIG_FLOWNEXUS_LOGS)
#include "log_send.h"
#endif
#if defined(CONFIG_FLOWNEXUS_SERIES)
#include "series.h"
#endif

#if defined(CONFIG_BOARD_NATIVE_SIM)
#include <posix_board_if.h>
#endif

LOG_MODULE_REGISTER(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define RETRY_MIN_SECONDS 2

struct app_settings app_settings = {
	.server = CONFIG_FLOWNEXUS_SERVER,
	.server_name = CONFIG_FLOWNEXUS_SERVER_NAME,
	.endpoint = CONFIG_FLOWNEXUS_ENDPOINT,
	.credentials = CONFIG_FLOWNEXUS_CREDENTIALS_DIR,
};

static struct lwm2m_ctx client;
static char endpoint[ENDPOINT_SIZE];
static K_SEM_DEFINE(connection_ended, 0, 1);
static atomic_t retry_seconds = ATOMIC_INIT(RETRY_MIN_SECONDS);

static const char *connection_id(void)
{
	int status = TLS_DTLS_CID_STATUS_DISABLED;
	socklen_t len = sizeof(status);

	if (zsock_getsockopt(client.sock_fd, SOL_TLS, TLS_DTLS_CID_STATUS, &status, &len) < 0) {
		return "unknown";
	}
	return status == TLS_DTLS_CID_STATUS_DISABLED ? "none" : "in use";
}

static void on_event(struct lwm2m_ctx *ctx, enum lwm2m_rd_client_event event)
{
	/* A refusal is followed by a network error, which needs no advice of its own then */
	static bool refused;

#if defined(CONFIG_FLOWNEXUS_LOGS)
	log_send_event(event);
#endif
#if defined(CONFIG_FLOWNEXUS_SERIES)
	series_event(event);
#endif
	switch (event) {
	case LWM2M_RD_CLIENT_EVENT_REGISTRATION_COMPLETE:
		atomic_set(&retry_seconds, RETRY_MIN_SECONDS);
		LOG_INF("Registered as '%s' (DTLS connection ID: %s)", endpoint, connection_id());
#if defined(CONFIG_FLOWNEXUS_FIRMWARE_UPDATE)
		firmware_registered();
#endif
		break;
	case LWM2M_RD_CLIENT_EVENT_REGISTRATION_FAILURE:
		LOG_ERR("The server refused endpoint '%s' (its code is in the line above)",
			endpoint);
		LOG_ERR("If 4.03: is '%s' a device in FlowNexus (scripts/certs device), not "
			"blocked, and is this its newest credential?",
			endpoint);
		refused = true;
		break;
	case LWM2M_RD_CLIENT_EVENT_REG_TIMEOUT:
		LOG_WRN("The registration was not answered or was cut off");
		break;
	case LWM2M_RD_CLIENT_EVENT_REG_UPDATE_COMPLETE:
		LOG_INF("Registration updated");
		break;
	case LWM2M_RD_CLIENT_EVENT_QUEUE_MODE_RX_OFF:
		LOG_INF("Asleep: not listening until the next update");
		break;
	case LWM2M_RD_CLIENT_EVENT_NETWORK_ERROR:
		if (!refused) {
			LOG_ERR("No connection to %s: does it listen there, and does it accept "
				"this device's credential? (its log says why not)",
				app_settings.server);
			(void)lwm2m_device_add_err(LWM2M_DEVICE_ERROR_NETWORK_FAILURE);
		}
		refused = false;
		k_sem_give(&connection_ended);
		break;
	default:
		break;
	}
}

static void on_observe(enum lwm2m_observe_event event, struct lwm2m_obj_path *path, void *user_data)
{
	switch (event) {
	case LWM2M_OBSERVE_EVENT_OBSERVER_ADDED:
		LOG_INF("Observed: object %u", path->obj_id);
		break;
	case LWM2M_OBSERVE_EVENT_NOTIFY_TIMEOUT:
		/* All retransmissions are spent by now. Zephyr would register over the same
		 * DTLS session, which a restarted server does not know: a new one is sooner.
		 */
		LOG_WRN("No answer to a notification, registering anew");
		k_sem_give(&connection_ended);
		break;
	default:
		break;
	}
}

static void pause_before_retry(void)
{
	uint32_t seconds = atomic_get(&retry_seconds);
	/* Spread out devices that lost the same server at the same moment */
	uint32_t ms = (seconds * MSEC_PER_SEC) / 2;

	ms += sys_rand32_get() % ms;
	atomic_set(&retry_seconds, MIN(2 * seconds, CONFIG_FLOWNEXUS_RETRY_MAX_SECONDS));
	LOG_INF("Next attempt in %u.%u s", ms / MSEC_PER_SEC, (ms % MSEC_PER_SEC) / 100);
	k_msleep(ms);
}

/* What the device has, in the order in which it starts. */
static int objects_init(void)
{
	static int (*const inits[])(void) = {
		device_object_init, clock_init, restart_init, memory_init,
#if defined(CONFIG_FLOWNEXUS_FIRMWARE_UPDATE)
		firmware_init,
#endif
#if defined(CONFIG_FLOWNEXUS_BATTERY_SIMULATED)
		battery_init,
#endif
		temperature_init,   light_init,
	};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(inits) && ret == 0; i++) {
		ret = inits[i]();
	}
	return ret;
}

int main(void)
{
	int ret;

	LOG_INF("FlowNexus device %s on %s", firmware_version(), CONFIG_BOARD_TARGET);

	ret = security_init(&client, endpoint);
	if (ret == 0) {
		ret = objects_init();
	}
	if (ret < 0) {
		LOG_ERR("Not started (%d)", ret);
#if defined(CONFIG_BOARD_NATIVE_SIM)
		LOG_PANIC();
		posix_exit(1);
#endif
		return 0;
	}

#if defined(CONFIG_NET_CONNECTION_MANAGER)
	/* A modem; the attempts below go on until it has a network */
	(void)conn_mgr_all_if_up(true);
	(void)conn_mgr_all_if_connect(true);
#endif
#if defined(CONFIG_FLOWNEXUS_LOGS)
	log_send_init(&client);
#endif
#if defined(CONFIG_FLOWNEXUS_SERIES)
	series_init(&client);
#endif
	LOG_INF("Connecting '%s' to %s", endpoint, app_settings.server);
	while (true) {
		k_sem_reset(&connection_ended);
		ret = lwm2m_rd_client_start(&client, endpoint, 0, on_event, on_observe);
		if (ret == 0) {
			k_sem_take(&connection_ended, K_FOREVER);
		}
		(void)lwm2m_rd_client_stop(&client, on_event, false);
		pause_before_retry();
	}
	return 0;
}
