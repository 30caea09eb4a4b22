/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources: values that come from outside of the graph, and constants. They have
 * no inputs, no gradient and no kernel: who runs the graph fills them.
 */
#include "ops/common.h"

#define SOURCE(source_name, source_help)                                                           \
    const basin__op_def basin__op_##source_name = {                                                \
        .name = #source_name, .help = source_help, .is_source = true, .infer = basin__infer_told};

SOURCE(input, "given for each example")
SOURCE(parameter, "trained, shared by all examples")
SOURCE(state, "shared, updated once per parameter step")
SOURCE(setting, "shared, given when the plan is run")
SOURCE(constant, "one number in every element")
