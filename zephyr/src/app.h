/*
 * SPDX-License-Identifier: Apache-2.0
 */

#ifndef FLOWNEXUS_APP_H
#define FLOWNEXUS_APP_H

#include <stddef.h>
#include <stdint.h>

#include <zephyr/net/lwm2m.h>
#include <zephyr/sys/slist.h>

/** Room for an endpoint name and its terminating NUL. */
#define ENDPOINT_SIZE CONFIG_LWM2M_RD_CLIENT_ENDPOINT_NAME_MAX_LENGTH

/** What differs from device to device; "" means: derive it. */
struct app_settings {
	/** URI of the server, coaps://HOST[:PORT]. */
	const char *server;
	/** Name that the server's certificate must carry; "": HOST. */
	const char *server_name;
	/** Endpoint name; "": the certificate's CN or the PSK identity. */
	const char *endpoint;
	/** Folder of the credentials, where they are read from files. */
	const char *credentials;
};

/** Kconfig's values, or those of the command line on native_sim. */
extern struct app_settings app_settings;

/**
 * Reads one credential, for instance "cert.der".
 *
 * @param name File name in the folder of the device's credentials
 * @param buf Where to put it
 * @param size Size of buf in bytes
 *
 * @return Its length in bytes; -ENOENT if there is none, -EFBIG if it is longer than size
 */
int credentials_read(const char *name, uint8_t *buf, size_t size);

/**
 * Fills the Security object (0) and makes ctx check its server.
 *
 * @param ctx LwM2M context, before lwm2m_rd_client_start()
 * @param endpoint Receives the endpoint name; ENDPOINT_SIZE bytes
 *
 * @return 0, or a negative errno; the log then says what to mend
 */
int security_init(struct lwm2m_ctx *ctx, char *endpoint);

/**
 * Makes ctx refuse every server whose certificate does not come from the device's CA or
 * does not carry the expected name, whatever the form of the server's URI.
 *
 * @return 0; -EINVAL if the server's URI is not usable (logged)
 */
int server_check_init(struct lwm2m_ctx *ctx);

/** A text resource that the server may write; it has to stay where it is. */
struct stored_text {
	struct lwm2m_obj_path path;
	/** The text, at first its default. */
	char *buf;
	/** Size of buf in bytes. */
	size_t size;
	sys_snode_t node;
};

/**
 * Makes a text writable, and restores what the server has written to it before a reboot.
 *
 * @return 0 or a negative errno
 */
int stored_text_init(struct stored_text *text);

/** Removes all of them from the storage: after the next start they have their defaults. */
void stored_texts_forget(void);

/** Makes a resource one that this device does not have. Returns 0 or a negative errno. */
int resource_absent(const struct lwm2m_obj_path *path);

/** Fills the Device object (3). Returns 0 or a negative errno. */
int device_object_init(void);

/** Removes the error codes from the storage: after the next start there are none. */
void error_codes_forget(void);

/** Current Time, UTC offset and timezone of the Device object. Returns 0 or a negative errno. */
int clock_init(void);

/** Reboot and Factory Reset of the Device object. Returns 0 or a negative errno. */
int restart_init(void);

/** Memory of the Device object. Returns 0 or a negative errno. */
int memory_init(void);

/** Simulates a battery in the Device object. Returns 0 or a negative errno. */
int battery_init(void);

/** Creates the Temperature object (3303) and starts measuring. Returns 0 or a negative errno. */
int temperature_init(void);

/** Creates the Light Control object (3311). Returns 0 or a negative errno. */
int light_init(void);

#endif /* FLOWNEXUS_APP_H */
