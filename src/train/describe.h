/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run would cost.
 */
#ifndef BASIN_TRAIN_DESCRIBE_H
#define BASIN_TRAIN_DESCRIBE_H

#include "train/trainer.h"

typedef struct basin__run_facts {
    int64_t parameter_count, chain_steps;
    double step_flops; /* one sampler step of the whole batch */
    double loss_flops; /* the parameter gradient of the whole batch */
    /* memory; buffer and parameters with the guard's copies */
    size_t data_bytes, buffer_bytes, parameter_bytes, plan_bytes, batch_bytes;
} basin__run_facts;

basin_status basin__trainer_describe(basin__trainer *trainer, basin__run_facts *facts);

#endif
