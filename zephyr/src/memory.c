/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the Device object, in kilobytes: the heaps of the kernel and of Mbed TLS, where a
 * device runs out of memory if it does. Measured at every read.
 */

#include <mbedtls/memory_buffer_alloc.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/sys_heap.h>

#include "app.h"

#define MEMORY(resource) LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, resource)

#define FREE_ID  10
#define TOTAL_ID 21

#define TOTAL_BYTES (CONFIG_HEAP_MEM_POOL_SIZE + CONFIG_MBEDTLS_HEAP_SIZE)

extern struct k_heap _system_heap;

static int32_t free_kb;
static int32_t total_kb = TOTAL_BYTES / 1024;

static void *measure(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, size_t *len)
{
	struct sys_memory_stats kernel = {0};
	size_t tls_used = 0;
	size_t tls_blocks = 0;

	(void)sys_heap_runtime_stats_get(&_system_heap.heap, &kernel);
	mbedtls_memory_buffer_alloc_cur_get(&tls_used, &tls_blocks);
	free_kb = (kernel.free_bytes + CONFIG_MBEDTLS_HEAP_SIZE - tls_used) / 1024;
	*len = sizeof(free_kb);
	return &free_kb;
}

int memory_init(void)
{
	int ret = lwm2m_set_res_buf(&MEMORY(FREE_ID), &free_kb, sizeof(free_kb), sizeof(free_kb),
				    LWM2M_RES_DATA_FLAG_RO);

	ret |= lwm2m_set_res_buf(&MEMORY(TOTAL_ID), &total_kb, sizeof(total_kb), sizeof(total_kb),
				 LWM2M_RES_DATA_FLAG_RO);
	ret |= lwm2m_register_read_callback(&MEMORY(FREE_ID), measure);
	return ret;
}
