/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files: YAML (libyaml) or JSON (jansson), both into one jansson value.
 */
#ifndef BASIN_IO_CONFIG_H
#define BASIN_IO_CONFIG_H

#include "base/context.h"
#include <jansson.h>

/**
 * Read a mapping from a .yaml, .yml or .json file. YAML: the subset of JSON's types, block or flow;
 * anchors, tags and duplicate keys are refused. Errors give path, line and column.
 * @param out  new reference, the caller's to json_decref
 */
basin_status basin__config_read(basin_context *context, const char *path, json_t **out);
/** Write JSON, indented by two, keys in insertion order, locale-independent, atomically. */
basin_status basin__json_write(basin_context *context, const char *path, const json_t *value);

#endif
