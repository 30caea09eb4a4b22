/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The divergence guard. Energies trained by short chains can run away after hours of good work, and
 * the standing advice is to go back to the last good state with other noise and smaller steps. The
 * guard does that: it keeps a copy of the whole state in memory at each report, goes back to it
 * when an update fails, takes a new attempt number (a part of every noise draw) and halves the
 * rate.
 */
#include "train/trainer.h"
#include <string.h>

basin_status basin__guard_init(basin__trainer *trainer) {
    basin__snapshot *snapshot = &trainer->snapshot;
    const basin__buffer *buffer = &trainer->buffer;
    snapshot->trained =
        basin__alloc_array(trainer->context, (size_t)trainer->trained_elements, sizeof(float));
    if (snapshot->trained == NULL)
        return BASIN_ERROR_MEMORY;
    if (buffer->capacity > 0) { /* as a queue: it need not be filled, only copied into */
        BASIN_TRY(basin__buffer_init(trainer->context, &snapshot->buffer, buffer->capacity,
                                     buffer->size, true, buffer->is_byte, buffer->low, buffer->high,
                                     0));
        if (buffer->labels != NULL)
            BASIN_TRY(basin__buffer_add_labels(&snapshot->buffer));
    }
    basin__guard_keep(trainer);
    return BASIN_OK;
}

void basin__guard_keep(basin__trainer *trainer) {
    basin__snapshot *snapshot = &trainer->snapshot;
    float *to = snapshot->trained;
    for (int i = 0; i < trainer->trained_count; i++) {
        memcpy(to, trainer->trained[i].data, (size_t)trainer->trained[i].count * sizeof(float));
        to += trainer->trained[i].count;
    }
    if (trainer->buffer.capacity > 0)
        basin__buffer_copy(&snapshot->buffer, &trainer->buffer);
    snapshot->progress = trainer->progress;
}

basin_status basin__guard_roll_back(basin__trainer *trainer) {
    basin__snapshot *snapshot = &trainer->snapshot;
    int roll_backs = trainer->progress.roll_backs + 1;
    double rate_factor = trainer->progress.rate_factor / 2;
    if (roll_backs > trainer->config.train.roll_backs_max)
        return basin__fail_in(trainer->context, BASIN_ERROR_DIVERGED,
                              "training ran away and no roll-back is left");
    const float *from = snapshot->trained;
    for (int i = 0; i < trainer->trained_count; i++) {
        memcpy(trainer->trained[i].data, from, (size_t)trainer->trained[i].count * sizeof(float));
        from += trainer->trained[i].count;
    }
    if (trainer->buffer.capacity > 0)
        basin__buffer_copy(&trainer->buffer, &snapshot->buffer);
    trainer->progress = snapshot->progress;
    trainer->progress.roll_backs = roll_backs;
    trainer->progress.rate_factor = rate_factor;
    basin__energy_changed(trainer->energy);
    basin__energy_changed(trainer->average);
    return basin__rundir_log(trainer, "%s; back to update %lld with rate factor %g (%d of %lld)",
                             basin_context_error(trainer->context),
                             (long long)trainer->progress.update, rate_factor, roll_backs,
                             (long long)trainer->config.train.roll_backs_max);
}
