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

/** Version of the running firmware: that of its image if it has one, else that of the build. */
const char *firmware_version(void);

/** Fills the Device object (3). Returns 0 or a negative errno. */
int device_object_init(void);

/** Removes the error codes from the storage: after the next start there are none. */
void error_codes_forget(void);

/** Current Time, UTC offset and timezone of the Device object. Returns 0 or a negative errno. */
int clock_init(void);

/** Reboot and Factory Reset of the Device object. Returns 0 or a negative errno. */
int restart_init(void);

/** Restarts the device in a second, which leaves the time to answer. */
void restart_soon(void);

/** An MCUboot image in the flash. */
struct image_info {
	/** "MAJOR.MINOR.REVISION", and "+BUILD" if it has one. */
	char version[sizeof("255.255.65535+4294967295")];
	uint8_t sha256[32];
	/** Length of what the SHA-256 covers, in bytes from the image's start. */
	size_t hashed;
	/** Length of the whole image in bytes. */
	size_t size;
};

/** Version of the image that the boot loader started; without a boot loader that of the build. */
const char *image_version(void);

/** The image in slot 0. Returns 0, or a negative errno if there is none. */
int image_running(struct image_info *info);

/**
 * Begins to write slot 1; what has come of another package is given up.
 *
 * @param total Length of the package in bytes, 0 if unknown
 *
 * @return 0; -ENOSPC if it does not fit, -EIO
 */
int image_begin(size_t total);

/**
 * Writes the next piece of the package.
 *
 * @return 0; -ENOEXEC not an MCUboot image for this device, -ENOSPC does not fit, -EBADMSG the
 *         piece does not follow the one before, -EIO
 */
int image_write(const uint8_t *data, size_t len, size_t offset);

/**
 * Ends the package and checks the image in slot 1: header, size, SHA-256.
 *
 * @param info Receives what it is
 *
 * @return 0; -ENOEXEC as above, -EBADMSG incomplete or damaged, -EIO
 */
int image_finish(struct image_info *info);

/** Gives up what has come so far. */
void image_abort(void);

/**
 * The Firmware Update object (5), with the result of the update that ended in this start.
 *
 * @return 0 or a negative errno
 */
int firmware_init(void);

/** Confirms the running image if it is on trial: to be called when the device has registered. */
void firmware_registered(void);

/** Memory of the Device object. Returns 0 or a negative errno. */
int memory_init(void);

/** Simulates a battery in the Device object. Returns 0 or a negative errno. */
int battery_init(void);

/** Creates the Temperature object (3303) and starts measuring. Returns 0 or a negative errno. */
int temperature_init(void);

/** Creates the Light Control object (3311). Returns 0 or a negative errno. */
int light_init(void);

#endif /* FLOWNEXUS_APP_H */
