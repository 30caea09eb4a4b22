/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energies at every noise level from a network F(u, σ): what a noise-conditional network ends in.
 */
#ifndef BASIN_ENERGY_DENOISER_H
#define BASIN_ENERGY_DENOISER_H

#include "energy/network.h"

/** The forms of E by name, in the order of the numbers below. */
#define BASIN__ENERGY_FORMS "residual|inner|norm|scalar"
enum {
    BASIN__FORM_RESIDUAL, /* ½‖x − D(x, σ)‖² / σ² */
    BASIN__FORM_INNER,    /* ½‖u‖² + (s/σ) ⟨u, F⟩ */
    BASIN__FORM_NORM,     /* ½‖u‖² + (s/σ) ½‖F‖² */
    BASIN__FORM_SCALAR    /* ½‖u‖² + (s/σ) F, F a scalar */
};

/** u = x / √(σ² + s²), what the network is given: of unit variance where data has std s. */
basin_value basin__denoiser_input(basin_graph *graph, basin_value x, basin_value noise_level,
                                  double data_std);
/** E(x, σ) of x and F; F is shaped like x, or a scalar for BASIN__FORM_SCALAR. */
basin_value basin__denoiser_energy(basin_graph *graph, int64_t form, basin_value x,
                                   basin_value noise_level, double data_std, basin_value f);
/**
 * An embedding of σ (where the network takes one) and of the class (of class_count, likewise): a
 * vector of `width`, after an activation. BASIN_NO_VALUE where it takes neither.
 */
basin_value basin__condition_embedding(basin__build *build, const char *name, int width,
                                       int class_count, int64_t activation);

#endif
