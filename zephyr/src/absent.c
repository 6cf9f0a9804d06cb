/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Resources that this device does not have. Zephyr's objects come with every resource of the
 * specification and answer for an empty text with a message that nobody can read; deleting it
 * does not help. A read callback that has nothing does: alone it is 4.04, in a whole object it
 * is left out.
 */

#include "app.h"

static void *nothing(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, size_t *len)
{
	/* No data, yet a length: for the engine this is "not found" */
	*len = 1;
	return NULL;
}

int resource_absent(const struct lwm2m_obj_path *path)
{
	return lwm2m_register_read_callback(path, nothing);
}
