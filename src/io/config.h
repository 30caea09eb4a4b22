/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files: YAML (libyaml) or JSON (jansson), both into one jansson value.
 */
#ifndef BASIN_IO_CONFIG_H
#define BASIN_IO_CONFIG_H

#include "base/context.h"
#include <jansson.h>

/**
 * Read a mapping from a .yaml, .yml or .json file, told apart by the name.
 *
 * YAML: one document of JSON's types, block or flow. A plain scalar is null (null, ~ or nothing),
 * true or false, a number as in JSON (a leading + or point is fine too), else a string; quoted
 * scalars are strings. Anchors, aliases, tags, keys that are there twice and a depth past 64 are
 * refused, and so are numbers that a 64-bit integer or a double cannot hold. JSON: as the standard
 * has it, without duplicate keys.
 *
 * @param out  new reference, the caller's to json_decref; NULL after an error
 * @return BASIN_OK;
 *         BASIN_ERROR_ARGUMENT  another ending of the name
 *         BASIN_ERROR_FORMAT    the message gives path, line and column
 *         BASIN_ERROR_IO, BASIN_ERROR_MEMORY
 */
basin_status basin__config_read(basin_context *context, const char *path, json_t **out);
/**
 * Write JSON, indented by two, keys in insertion order, arrays of plain values on one line, real
 * numbers with the fewest digits that read back the same, locale-independent, atomically.
 */
basin_status basin__json_write(basin_context *context, const char *path, const json_t *value);
/** The same as one line of text without a newline: new memory, or NULL with the error recorded. */
char *basin__json_text(basin_context *context, const json_t *value);

#endif
